//! What only a whole program shows of the way to the Event API, since the environment decides it: the system's root
//! certificates, HTTP/2 where the server offers it, proxies.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use http_body_util::Empty;
use hyper::{Request, Response, Version, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::task::JoinSet;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::support::{Ran, command, datafile, vector};

/// A server of encrypted connections, which answers 204 and remembers how it was spoken to.
struct TlsServer {
    address: SocketAddr,
    /// The certificate, to be trusted or not.
    certificate: String,
    versions: Arc<Mutex<Vec<Version>>>,
}

impl TlsServer {
    fn start(protocols: &[&[u8]]) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let chain = vec![CertificateDer::from(key.cert.der().to_vec())];
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let versions = Arc::<Mutex<Vec<Version>>>::default();
        let (ready, started) = mpsc::sync_channel(1);
        let seen = Arc::clone(&versions);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let mut connections = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.spawn(serve(acceptor.clone(), stream, Arc::clone(&seen)));
                }
            });
        });
        Self { address: started.recv().unwrap(), certificate: key.cert.pem(), versions }
    }

    /// Sends the example events there, trusting this file of certificates.
    fn send(&self, trusted: &str, more: &[&str]) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, trusted).unwrap();
        let endpoint = format!("https://localhost:{}/v1/events", self.address.port());
        let events = vector("larkspur.events.jsonl");
        let mut command = command(&["send", "--datafile", datafile(), "--endpoint", &endpoint, "--json"]);
        command.args(more).arg(events).env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
        command.output().unwrap().into()
    }
}

/// A client that does not trust us hangs up: that ends its connection, nothing else.
async fn serve(acceptor: TlsAcceptor, stream: tokio::net::TcpStream, seen: Arc<Mutex<Vec<Version>>>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let answer = service_fn(move |request: Request<Incoming>| {
        seen.lock().unwrap().push(request.version());
        async move {
            http_body_util::BodyExt::collect(request.into_body()).await?;
            Ok::<_, hyper::Error>(Response::builder().status(204).body(Empty::<bytes::Bytes>::new()).unwrap())
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
}

#[test]
fn http_2_is_spoken_where_the_server_offers_it() {
    for (protocols, version) in [
        (&[b"h2".as_slice(), b"http/1.1".as_slice()][..], Version::HTTP_2),
        (&[b"http/1.1".as_slice()][..], Version::HTTP_11),
    ] {
        let server = TlsServer::start(protocols);
        let ran = server.send(&server.certificate, &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let versions = server.versions.lock().unwrap();
        assert!(versions.len() >= 170 && versions.iter().all(|found| *found == version), "{versions:?}");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
    let (server, other) = (TlsServer::start(&[b"h2"]), TlsServer::start(&[b"h2"]));
    let ran = server.send(&other.certificate, &["--max-time", "300ms"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(server.versions.lock().unwrap().is_empty());
}

/// A proxy that opens tunnels, and remembers what it was asked for.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let seen = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || tunnel(stream.unwrap(), &seen));
            }
        });
        Self { address, heads }
    }
}

fn tunnel(mut client: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0);
    }
    seen.lock().unwrap().push(head.clone());
    let to = head.split(' ').nth(1).unwrap();
    let mut server = TcpStream::connect(to).unwrap();
    write!(client, "HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let mut from_server = server.try_clone().unwrap();
    // Either side may hang up; that ends the tunnel.
    let back = thread::spawn(move || drop(std::io::copy(&mut from_server, &mut client)));
    let _ = std::io::copy(&mut reader, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Both);
    back.join().unwrap();
}

#[test]
fn the_environments_proxy_is_used_with_its_password_unless_excepted() {
    let server = crate::support::Server::start(true, |_| 204);
    let endpoint = server.url.clone();
    let events = vector("larkspur.events.jsonl");
    for (exception, tunnels) in [("", true), ("127.0.0.1", false)] {
        let proxy = Proxy::start();
        let mut command = command(&["send", "--datafile", datafile(), "--endpoint", &endpoint]);
        command.arg(&events).env("HTTP_PROXY", format!("http://user:secret@{}", proxy.address));
        let ran: Ran = command.env("NO_PROXY", exception).output().unwrap().into();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let heads = proxy.heads.lock().unwrap();
        assert_eq!(!heads.is_empty(), tunnels);
        for head in heads.iter() {
            assert!(head.starts_with("CONNECT 127.0.0.1:"), "{head}");
            // user:secret, as RFC 7617 writes it.
            assert!(
                head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpzzwnyzxq="),
                "{head}"
            );
        }
    }
}
