//! How what there is to send is delivered, as the command line says: of `send` and of `spool drain`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use posthaste::{DEFAULT_BATCH_SIZE, Strict, dispatch::Share};

use crate::{
    common::{descriptors, endpoint, exit::Failure, values},
    lines,
};

/// How what there is to send is delivered.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DeliveryArgs {
    /// Where to send to [default: the Event API of the project's or the batch's region]
    #[arg(long, value_name = "URL", env = endpoint::VARIABLE, hide_env_values = true)]
    pub(crate) endpoint: Option<String>,
    /// Events that may share a request
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BATCH_SIZE, value_parser = values::at_least_one)]
    pub(crate) batch_size: usize,
    /// How long events may wait for others to fill their batch
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::some_time)]
    pub(crate) flush_interval: Duration,
    /// Requests that may be under way at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::at_least_one)]
    pub(crate) in_flight: usize,
    /// Bytes that a request may have
    #[arg(long, value_name = "BYTES", default_value_t = lines::REQUEST_BYTES_MAX, value_parser = values::at_least_one)]
    pub(crate) max_batch_bytes: usize,
    /// How long a request may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::some_time)]
    pub(crate) request_timeout: Duration,

    /// Compress requests, for a relay or a collector; the Event API does not document whether it takes them
    #[arg(long)]
    pub(crate) gzip: bool,
    /// Ask the API to refuse bad events rather than drop them silently: off, on, or a share of requests such as 0.01
    #[arg(long, value_name = "WHEN", default_value = "off", value_parser = strict)]
    pub(crate) strict: Strict,
    /// Keep events that the API refused: add them to this file with the reasons; `send` reads it
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letters: Option<PathBuf>,
    /// Stop reading and delivering after this time
    #[arg(long, value_name = "TIME", value_parser = values::some_time)]
    pub(crate) max_time: Option<Duration>,
    /// How long delivery goes on after Ctrl-C or SIGTERM; a second one quits at once
    ///
    /// If everything that was read is delivered by then, and the input is one without an end, such as a pipe, the exit
    /// code is 0. Quitting at once tells what is left, and keeps it as the end of a run does.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    pub(crate) drain: Duration,
    /// Serve Prometheus metrics at /metrics of this address; a port alone means 127.0.0.1
    #[arg(long, value_name = "ADDR", value_parser = values::address)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Write the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl DeliveryArgs {
    /// Refuses what no run could do, before it begins.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        endpoint::check(self.endpoint.as_deref())
    }

    /// Requests under way at once, at most, as far as there are descriptors for their connections.
    pub(super) fn in_flight(&self) -> usize {
        descriptors::connections(self.in_flight)
    }
}

fn strict(text: &str) -> Result<Strict, String> {
    match text {
        "off" => Ok(Strict::Off),
        "on" => Ok(Strict::On),
        share => match share.parse().ok().and_then(|share| Share::new(share).ok()) {
            Some(share) => Ok(Strict::Sampled(share)),
            None => Err("give off, on, or a share of requests from 0 to 1".to_owned()),
        },
    }
}
