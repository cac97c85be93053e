//! A stream of NATS servers as arguments say it: where it is, and who we are to the servers.
//!
//! Clap quotes what it refuses, and an address may hold a password: so it is looked at here.

use std::{ffi::OsString, path::PathBuf};

use posthaste::queue::jetstream::{Credentials, JetStream, JetStreamOptions, StreamAddress};

use super::exit::Failure;

/// Who we are to the servers. Variables are those of the `nats` command.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "NATS")]
pub(crate) struct NatsArgs {
    /// A file with a user's JWT and seed [env: `NATS_CREDS`; or `NATS_TOKEN`, `NATS_USER`]
    #[arg(id = "nats_creds", long = "nats-creds", value_name = "FILE")]
    creds: Option<PathBuf>,
    /// A file with the seed of an nkey [env: `NATS_NKEY`]
    #[arg(id = "nats_nkey", long = "nats-nkey", value_name = "FILE", conflicts_with = "nats_creds")]
    nkey: Option<PathBuf>,
    /// Certificates that the servers' are held against [env: `NATS_CA`; default: the system's]
    #[arg(id = "nats_ca", long = "nats-ca", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate for the servers [env: `NATS_CERT`]
    #[arg(id = "nats_cert", long = "nats-cert", value_name = "FILE", requires = "nats_key")]
    cert: Option<PathBuf>,
    /// Its key [env: `NATS_KEY`]
    #[arg(id = "nats_key", long = "nats-key", value_name = "FILE", requires = "nats_cert")]
    key: Option<PathBuf>,
}

impl NatsArgs {
    /// Each file that is given: its flag, the relay's option, and the path.
    pub(crate) fn files(&self) -> [(&'static str, &'static str, Option<&PathBuf>); 5] {
        let Self { creds, nkey, ca, cert, key } = self;
        [
            ("--nats-creds", "nats.creds_file", creds.as_ref()),
            ("--nats-nkey", "nats.nkey_file", nkey.as_ref()),
            ("--nats-ca", "nats.ca_file", ca.as_ref()),
            ("--nats-cert", "nats.cert_file", cert.as_ref()),
            ("--nats-key", "nats.key_file", key.as_ref()),
        ]
    }

    /// The same as words of a command line, for processes that are started.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let given = self.files().into_iter().filter_map(|(flag, _, path)| Some((flag, path?)));
        given.flat_map(|(flag, path)| [flag.into(), path.into()]).collect()
    }

    /// What is said here goes over what the environment says.
    pub(crate) fn credentials(&self) -> Credentials {
        let mut all = Credentials::from_env(|name| std::env::var(name).ok());
        if let Some(path) = &self.creds {
            all = all.creds_file(path);
        }
        if let Some(path) = &self.nkey {
            all = all.nkey_file(path);
        }
        if let Some(path) = &self.ca {
            all = all.ca_file(path);
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            all = all.client_cert(cert, key);
        }
        all
    }
}

/// An address that this flag gives.
pub(crate) fn address(flag: &str, text: &str) -> Result<StreamAddress, Failure> {
    text.parse().map_err(|error| Failure::Usage(format!("{flag}: {error}")))
}

/// Opens the stream, and waits until it can be used.
pub(crate) fn open(options: JetStreamOptions) -> Result<JetStream, Failure> {
    Ok(JetStream::open(options)?)
}

/// What it takes to reach the stream that an argument names.
pub(crate) fn options(argument: &str, text: &str, nats: &NatsArgs) -> Result<JetStreamOptions, Failure> {
    Ok(JetStreamOptions::new(address(argument, text)?).credentials(nats.credentials()))
}
