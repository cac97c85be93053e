//! The flags of a relay: the few options that are often given there, over the environment and the file.

use std::path::PathBuf;

use posthaste_relay::config::Settings;

use crate::common::logging::Style;

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
            ("--drain-delay", "drain_delay", &self.drain_delay),
            ("--strict", "strict", &self.strict.then(|| "true".to_owned())),
        ] {
            if let Some(value) = value {
                settings.flag(flag, key, value);
            }
        }
        settings
    }
}
