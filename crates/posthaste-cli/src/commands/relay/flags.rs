//! The flags of a relay: the few options that are often given there, over the environment and the file.

use std::path::PathBuf;

use posthaste_relay::config::Settings;

use crate::common::{logging::Style, nats::NatsArgs};

/// What the relay itself makes of these values is looked at when all are together: so a wrong one is told of in the same
/// words wherever it stands.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Where SDKs post to: HOST:PORT, or a port, which means 127.0.0.1; port 0 is any free one [default: 8090]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where events go: us, eu, or a URL
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Where events are kept until they are delivered [default: ./posthaste-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where the admin interface listens: /healthz, /readyz, /metrics and more; or none [default: 8091]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Keep events in memory: what is queued is gone with the process
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    #[command(flatten)]
    stream: StreamFlags,
    /// All options, in a file (docs/relay.toml is a sample)
    #[arg(long, value_name = "FILE", env = "POSTHASTE_RELAY_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// How long a relay that was told to stop still takes events, so that load balancers notice [default: 5s]
    #[arg(long, value_name = "TIME")]
    drain_delay: Option<String>,
    /// Answer bodies with faults 400 and the list of them, instead of 204
    #[arg(long)]
    strict: bool,
    /// How what goes on is logged on stderr
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value_t,
        env = "POSTHASTE_RELAY_LOG_FORMAT",
        hide_env_values = true
    )]
    pub(super) log_format: LogFormat,
    /// Write the result as JSON: where it listens and what it does first, what became of events at the end
    #[arg(long)]
    pub(super) json: bool,
}

/// Those of a stream that several relays share.
#[derive(Debug, clap::Args)]
struct StreamFlags {
    /// A stream of NATS that events wait in, for all relays that share it: `nats://HOST:4222/STREAM`
    ///
    /// Servers of one cluster stand behind each other, with commas; `tls://` is for TLS. The stream is made where it is not
    /// there. Who the relay is to the servers is in the address (`USER:PASSWORD@` or `TOKEN@`), in the files below, or in
    /// the variables that the `nats` command knows.
    #[arg(long, value_name = "URL")]
    queue: Option<String>,
    /// Its part in that: accept (needs no --upstream), deliver (listens for no events), or both [default: both]
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Answer 204 once the stream has the events, and 503 while it is away; keep nothing on disk here
    ///
    /// Without this flag events are in --data until the stream has them, and are taken while it is away.
    #[arg(long, conflicts_with_all = ["data", "memory"])]
    no_bridge: bool,
    /// On how many servers each event is, where the stream is made: 1, 3 or 5 [default: 3]
    #[arg(long, value_name = "N")]
    replicas: Option<String>,
    #[command(flatten)]
    nats: NatsArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object on each line
    Json,
}

impl LogFormat {
    pub(super) fn style(self) -> Style {
        match self {
            Self::Text => Style::RelayText,
            Self::Json => Style::RelayJson,
        }
    }
}

impl Flags {
    /// Everything that was said: in the file, the environment, and here.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::new();
        if let Some(path) = &self.config {
            settings.file(path);
        }
        settings.variables(std::env::vars_os());
        for (flag, key, value) in [
            ("--listen", "listen", &self.listen),
            ("--admin", "admin", &self.admin),
            ("--upstream", "upstream", &self.upstream),
            ("--data", "data", &self.data),
            // Who names a folder wants it used, whatever stands in the file.
            ("--data", "memory", &self.data.as_ref().map(|_| "false".to_owned())),
            ("--memory", "memory", &self.memory.then(|| "true".to_owned())),
            ("--queue", "queue", &self.stream.queue),
            ("--role", "role", &self.stream.role),
            ("--no-bridge", "nats.bridge", &self.stream.no_bridge.then(|| "false".to_owned())),
            ("--replicas", "nats.replicas", &self.stream.replicas),
            ("--drain-delay", "drain_delay", &self.drain_delay),
            ("--strict", "strict", &self.strict.then(|| "true".to_owned())),
        ] {
            if let Some(value) = value {
                settings.flag(flag, key, value);
            }
        }
        for (flag, key, path) in self.stream.nats.files() {
            if let Some(path) = path {
                settings.flag(flag, key, &path.to_string_lossy());
            }
        }
        settings
    }
}
