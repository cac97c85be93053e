//! Servers that want to know who we are, and that we know them.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use posthaste::queue::jetstream::{Credentials, JetStream, JetStreamOptions, Role};
use serde_json::{Value, json};

use crate::{
    servers::Servers,
    support::{SECOND, STREAM, add, lease, numbers, options, queue},
};

/// It lets us in, and events go through.
fn works(options: JetStreamOptions) {
    let stream = JetStream::open(options.replicas(1)).unwrap_or_else(|error| panic!("{error}"));
    let queue = queue(&stream, Role::Both);
    add(&queue, 7..8);
    assert_eq!(numbers(&lease(&queue, 1, SECOND * 10)), [7]);
    assert!(!format!("{:?} {:?}", stream, stream.options()).contains("s3cret"));
}

/// It does not, and says so without what must not show.
fn is_refused(options: JetStreamOptions) {
    let error = JetStream::open(options.replicas(1).connect_timeout(SECOND * 2)).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("s3cret"), "{text}");
    assert!(text.to_lowercase().contains("authorization"), "{text}");
}

#[test]
fn a_user_with_a_password() {
    let servers = Servers::with("authorization { user: shop, password: \"s3cret@word\" }");
    let with = |user: &str, password: &str| {
        options(&servers).credentials(Credentials::default().user_and_password(user, password))
    };
    works(with("shop", "s3cret@word"));
    works(JetStreamOptions::at(&servers.address_of("shop:s3cret%40word@", STREAM)).unwrap());
    is_refused(with("shop", "s3cret"));
    is_refused(options(&servers));
}

#[test]
fn a_token() {
    let servers = Servers::with("authorization { token: \"s3cret-token\" }");
    works(options(&servers).credentials(Credentials::default().token("s3cret-token")));
    works(JetStreamOptions::at(&servers.address_of("s3cret-token@", STREAM)).unwrap());
    let from_env = Credentials::from_env(|name| (name == "NATS_USER").then(|| "s3cret-token".to_owned()));
    works(options(&servers).credentials(from_env));
    is_refused(options(&servers).credentials(Credentials::default().token("s3cret")));
}

#[test]
fn an_nkey_by_its_seed_or_the_file_that_has_it() {
    let key = KeyPair::new_user();
    let seed = key.seed().unwrap();
    let servers = Servers::with(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key()));
    works(options(&servers).credentials(Credentials::default().nkey_seed(&seed)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.nk");
    fs::write(&file, format!("# of the shop\n{seed}\n")).unwrap();
    works(options(&servers).credentials(Credentials::default().nkey_file(&file)));
    let other = KeyPair::new_user().seed().unwrap();
    is_refused(options(&servers).credentials(Credentials::default().nkey_seed(other)));
}

/// A signed statement, as `nsc` makes them.
fn jwt(by: &KeyPair, about: &KeyPair, nats: &Value) -> String {
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": "posthaste",
        "iat": 1_700_000_000,
        "iss": by.public_key(),
        "name": "posthaste",
        "sub": about.public_key(),
        "nats": nats,
    });
    let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(by.sign(text.as_bytes()).unwrap());
    format!("{text}.{signature}")
}

#[test]
fn a_creds_file() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let nats = json!({ "limits": limits, "type": "account", "version": 2 });
    let of_account = jwt(&operator, &account, &nats);
    let system = KeyPair::new_account();
    let of_system = jwt(&operator, &system, &json!({ "limits": {}, "type": "account", "version": 2 }));
    let of_user =
        jwt(&account, &user, &json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 }));
    let of_operator = jwt(&operator, &operator, &json!({ "type": "operator", "version": 2 }));
    let servers = Servers::with(&format!(
        "operator: \"{of_operator}\"\nsystem_account: {system}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: \"{of_account}\", {system}: \"{of_system}\" }}",
        account.public_key(),
        system = system.public_key(),
    ));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.creds");
    let seed = user.seed().unwrap();
    fs::write(
        &file,
        format!(
            "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        ),
    )
    .unwrap();
    works(options(&servers).credentials(Credentials::default().creds_file(&file)));
    let path = file.display().to_string();
    let from_env = Credentials::from_env(|name| (name == "NATS_CREDS").then(|| path.clone()));
    works(options(&servers).credentials(from_env));
    is_refused(options(&servers));
}

/// A certificate and its key, in files.
fn write_cert(folder: &Path, name: &str, issuer: &rcgen::Issuer<'_, rcgen::KeyPair>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let cert = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, issuer).unwrap();
    fs::write(folder.join(format!("{name}.pem")), cert.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

#[test]
fn tls_with_an_authority_of_our_own_and_certificates_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new([]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    fs::write(file("ca.pem"), authority.pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    write_cert(folder.path(), "server", &issuer);
    write_cert(folder.path(), "client", &issuer);
    let path = |name: &str| file(name).display().to_string();
    let servers = Servers::with(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    ));
    let address = servers.address(STREAM).replace("nats://", "tls://");
    let options = || JetStreamOptions::at(&address).unwrap().connect_timeout(SECOND * 30);
    let trusting = Credentials::default().ca_file(file("ca.pem"));
    works(options().credentials(trusting.clone().client_cert(file("client.pem"), file("client.key"))));

    for without in [trusting, Credentials::default().client_cert(file("client.pem"), file("client.key"))] {
        let options = options().credentials(without).replicas(1).connect_timeout(SECOND * 2);
        let error = JetStream::open(options).unwrap_err();
        assert!(error.to_string().contains("certificates"), "{error}");
    }
}
