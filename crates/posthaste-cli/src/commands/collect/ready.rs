//! `posthaste collect ready`: waits for a collector, for images that have no curl.

use std::time::Duration;

use posthaste::{Clock as _, SystemClock};

use crate::common::{
    exit::{Exit, Failure},
    output::{Audience, Output},
    remote::{CollectorUrl, Remote, RemoteError},
    values,
};

/// How long to wait between two questions.
const EVERY: Duration = Duration::from_millis(20);

/// Wait until a collector takes events
///
/// Exits with 0 as soon as it does, and with 1 after the wait.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste collect ready http://127.0.0.1:8080
  posthaste collect ready --wait 30s http://collector:8080")]
pub(crate) struct ReadyArgs {
    /// The collector's URL
    #[arg(value_name = "URL", env = "POSTHASTE_COLLECTOR_URL")]
    url: CollectorUrl,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    wait: Duration,
}

pub(super) fn run(args: &ReadyArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(wait(args)) {
        Ok(()) => Ok(Exit::Fine),
        Err(error) => {
            let wait = args.wait;
            Output::new(Audience::People).note(format_args!("posthaste: not ready within {wait:?}: {error}"));
            Ok(Exit::Failed)
        }
    }
}

async fn wait(args: &ReadyArgs) -> Result<(), RemoteError> {
    let remote = Remote::new(args.url.clone());
    let end = SystemClock.elapsed() + args.wait;
    loop {
        let left = end.saturating_sub(SystemClock.elapsed());
        let asked = tokio::time::timeout(left.max(EVERY), remote.get("/healthz", "text/plain")).await;
        let error = match asked {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error @ RemoteError::Refused { .. })) => return Err(error),
            Ok(Err(error)) => error,
            Err(_) => remote.silent("nothing in time"),
        };
        if SystemClock.elapsed() + EVERY >= end {
            return Err(error);
        }
        tokio::time::sleep(EVERY).await;
    }
}
