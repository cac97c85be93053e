//! Who we are to the servers: what NATS users have, by option or by the environment variables of the `nats` command.

use std::path::{Path, PathBuf};

use async_nats::ConnectOptions;

use super::{address::StreamAddress, error::JetStreamError, secret::Secret};

/// Who we are to the servers, and whom we trust. What is in it never shows.
///
/// ```
/// use posthaste::queue::jetstream::Credentials;
///
/// let credentials = Credentials::default().user_and_password("shop", "open sesame");
/// assert!(!format!("{credentials:?}").contains("sesame"));
///
/// // As the `nats` command reads them: NATS_CREDS, NATS_NKEY, NATS_TOKEN, NATS_USER, NATS_PASSWORD, NATS_CA, NATS_CERT,
/// // NATS_KEY.
/// let from_env = Credentials::from_env(|name| std::env::var(name).ok());
/// # let _ = from_env;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Credentials {
    who: Who,
    ca: Option<PathBuf>,
    client_cert: Option<(PathBuf, PathBuf)>,
    tls_first: bool,
}

#[derive(Debug, Clone, Default)]
enum Who {
    #[default]
    Nobody,
    User(String, Secret),
    Token(Secret),
    CredsFile(PathBuf),
    NkeyFile(PathBuf),
    NkeySeed(Secret),
}

impl Credentials {
    /// What the environment says, by the names that the `nats` command knows: `NATS_CREDS` (a file with a JWT and a
    /// seed), `NATS_NKEY` (a file with a seed), `NATS_TOKEN`, `NATS_USER` and `NATS_PASSWORD` (a user without a password
    /// is a token), `NATS_CA`, `NATS_CERT` and `NATS_KEY` (files). Of several, the first in this order counts.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        let who = if let Some(path) = var("NATS_CREDS") {
            Who::CredsFile(path.into())
        } else if let Some(path) = var("NATS_NKEY") {
            Who::NkeyFile(path.into())
        } else if let Some(token) = var("NATS_TOKEN") {
            Who::Token(Secret::new(token))
        } else {
            match (var("NATS_USER"), var("NATS_PASSWORD")) {
                (Some(user), Some(password)) => Who::User(user, Secret::new(password)),
                (Some(token), None) => Who::Token(Secret::new(token)),
                (None, _) => Who::Nobody,
            }
        };
        let client_cert = var("NATS_CERT").zip(var("NATS_KEY"));
        Self {
            who,
            ca: var("NATS_CA").map(PathBuf::from),
            client_cert: client_cert.map(|(cert, key)| (cert.into(), key.into())),
            tls_first: false,
        }
    }

    /// A user, and a password.
    pub fn user_and_password(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { who: Who::User(user.into(), Secret::new(password)), ..self }
    }

    /// A token.
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { who: Who::Token(Secret::new(token)), ..self }
    }

    /// A file with a user's JWT and seed, as `nsc` writes it.
    pub fn creds_file(self, path: impl Into<PathBuf>) -> Self {
        Self { who: Who::CredsFile(path.into()), ..self }
    }

    /// A file with the seed of an nkey.
    pub fn nkey_file(self, path: impl Into<PathBuf>) -> Self {
        Self { who: Who::NkeyFile(path.into()), ..self }
    }

    /// The seed of an nkey.
    pub fn nkey_seed(self, seed: impl Into<String>) -> Self {
        Self { who: Who::NkeySeed(Secret::new(seed)), ..self }
    }

    /// The certificates of authorities that servers' certificates are held against, in place of the system's: PEM.
    pub fn ca_file(self, path: impl Into<PathBuf>) -> Self {
        Self { ca: Some(path.into()), ..self }
    }

    /// Our own certificate and its key: PEM.
    pub fn client_cert(self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { client_cert: Some((cert.into(), key.into())), ..self }
    }

    /// TLS before the server has said anything (`handshake_first`).
    pub fn tls_first(self) -> Self {
        Self { tls_first: true, ..self }
    }

    /// What the address says goes first.
    pub(super) fn or_of(&self, address: &StreamAddress) -> Self {
        let who = match (address.user(), address.secret()) {
            (Some(user), Some(password)) => Who::User(user.to_owned(), password.clone()),
            (None, Some(token)) => Who::Token(token.clone()),
            _ => self.who.clone(),
        };
        Self { who, ..self.clone() }
    }

    /// The client's options with these. Files are read here, once.
    pub(super) fn apply(&self, options: ConnectOptions) -> Result<ConnectOptions, JetStreamError> {
        let mut options = match &self.who {
            Who::Nobody => options,
            Who::User(user, password) => options.user_and_password(user.clone(), password.text().to_owned()),
            Who::Token(token) => options.token(token.text().to_owned()),
            Who::CredsFile(path) => {
                let creds = read(path)?;
                options.credentials(&creds).map_err(|_| JetStreamError::File {
                    path: path.clone(),
                    why: "it holds no JWT and seed as `nsc generate creds` writes them".to_owned(),
                })?
            }
            Who::NkeyFile(path) => {
                let text = read(path)?;
                let seed = text.lines().map(str::trim).find(|line| is_seed(line));
                let seed = seed.ok_or_else(|| JetStreamError::File {
                    path: path.clone(),
                    why: "it holds no line with the seed of a user's nkey (SU…)".to_owned(),
                })?;
                options.nkey(seed.to_owned())
            }
            Who::NkeySeed(seed) if is_seed(seed.text()) => options.nkey(seed.text().to_owned()),
            Who::NkeySeed(_) => {
                return Err(JetStreamError::Credentials(
                    "the seed of a user's nkey is 58 characters, and begins with SU",
                ));
            }
        };
        if let Some(ca) = &self.ca {
            read(ca)?;
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((cert, key)) = &self.client_cert {
            read(cert)?;
            read(key)?;
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        Ok(if self.tls_first { options.tls_first() } else { options })
    }
}

fn is_seed(text: &str) -> bool {
    text.len() == 58 && text.starts_with("SU") && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn read(path: &Path) -> Result<String, JetStreamError> {
    std::fs::read_to_string(path)
        .map_err(|error| JetStreamError::File { path: path.to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Credentials {
        Credentials::from_env(|name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_means_what_it_means_to_the_nats_command() {
        assert!(matches!(of(&[]).who, Who::Nobody));
        assert!(matches!(of(&[("NATS_USER", ""), ("NATS_PASSWORD", "x")]).who, Who::Nobody));
        let both = of(&[("NATS_USER", "shop"), ("NATS_PASSWORD", "s3cret")]);
        assert!(matches!(&both.who, Who::User(user, secret) if user == "shop" && secret.text() == "s3cret"));
        assert!(!format!("{both:?}").contains("s3cret"));
        assert!(matches!(of(&[("NATS_USER", "t0ken")]).who, Who::Token(token) if token.text() == "t0ken"));
        assert!(
            matches!(of(&[("NATS_TOKEN", "t"), ("NATS_USER", "u")]).who, Who::Token(token) if token.text() == "t")
        );
        assert!(matches!(of(&[("NATS_CREDS", "/c"), ("NATS_NKEY", "/n")]).who, Who::CredsFile(_)));
        assert!(matches!(of(&[("NATS_NKEY", "/n")]).who, Who::NkeyFile(_)));
        let tls = of(&[("NATS_CA", "/ca"), ("NATS_CERT", "/cert"), ("NATS_KEY", "/key")]);
        assert_eq!(
            (tls.ca.unwrap(), tls.client_cert.unwrap().1),
            (PathBuf::from("/ca"), PathBuf::from("/key"))
        );
    }

    #[test]
    fn credentials_that_cannot_be_are_refused_and_do_not_show() {
        let seed = Credentials::default().nkey_seed("SUsecret");
        let error = seed.apply(ConnectOptions::new()).unwrap_err();
        assert!(matches!(error, JetStreamError::Credentials(_)) && !error.to_string().contains("SUsecret"));
        let missing = Credentials::default().creds_file("/nowhere/user.creds");
        assert!(
            missing.apply(ConnectOptions::new()).unwrap_err().to_string().contains("/nowhere/user.creds")
        );
    }
}
