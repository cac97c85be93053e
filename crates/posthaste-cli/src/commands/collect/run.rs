//! `posthaste collect run`: a collector on a free port for as long as a command runs.

use std::{
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use posthaste::{Clock as _, SystemClock};
use posthaste_collector::{Collector, Filter};

use super::{
    child::Running,
    junit::{self, LISTED_MAX},
    options::Options,
    serve::Serving,
    watch::Watch,
};
use crate::common::{
    arrived::Arrived,
    exit::{Exit, Failure},
    output::{Audience, Output},
    signals::Passed,
};

/// Run a command with a collector of its own
///
/// The collector listens on a free port. The command finds it in its environment: POSTHASTE_COLLECTOR_URL, and
/// POSTHASTE_COLLECTOR_EVENTS_URL for SDKs. Standard output is the command's; what the collector has to say goes to
/// standard error.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown as help, where backticks would be in the way")]
#[command(after_help = "Examples:
  posthaste collect run -- npm test
  # Fail if a bad event came, and let CI show which
  posthaste collect run --no-bad --junit events.xml -- cargo test

The exit code is the command's (128 and the signal's number where one ended it,
127 where there is no such command), or 1 if it is 0 and --no-bad finds bad
events. Signals are passed on to the command.")]
pub(crate) struct RunArgs {
    /// Exit with 1 if bad events or refused requests came, reset since or not
    #[arg(long)]
    no_bad: bool,
    /// Write what came of it as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
    /// The command, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    // What goes to standard output is the command's.
    let output = Output::new(Audience::Machines);
    let options = args.options.read(&output)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let began = SystemClock.elapsed();
    let (collector, code) = runtime.block_on(async {
        let mut signals = Passed::catch()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (collector, mut serving) = Serving::start(options, address).await?;
        let mut watch = Watch::begin(&collector, &args.options, &output)?;
        let environment = [
            ("POSTHASTE_COLLECTOR_URL", serving.url()),
            ("POSTHASTE_COLLECTOR_EVENTS_URL", serving.events_url()),
        ];
        let mut running = Running::start(&args.command, &environment)?;
        let code = tokio::select! {
            code = running.ends(&mut signals) => code?,
            failure = serving.fails() => return Err(running.stopped(failure)),
            failure = watch.go_on() => return Err(running.stopped(failure)),
        };
        serving.stop().await?;
        watch.end()?;
        Ok::<_, Failure>((collector, code))
    })?;
    args.conclude(&collector, code, SystemClock.elapsed().saturating_sub(began), &output)
}

impl RunArgs {
    fn conclude(
        &self,
        collector: &Collector,
        code: u8,
        took: Duration,
        output: &Output,
    ) -> Result<Exit, Failure> {
        let ledger = collector.ledger();
        // What was refused unread may have been anything; what a test has reset was there.
        let (events, bad_events) = (ledger.events, collector.bad_ever());
        let bad_reset = bad_events.saturating_sub(ledger.bad + ledger.refused);
        output.inform(Arrived(ledger));
        if let Some(path) = &self.junit {
            let bad = collector.bad(&Filter { limit: Some(LISTED_MAX), ..Filter::default() });
            let command: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
            let command = command.join(" ");
            let no_bad = self.no_bad;
            let xml = junit::xml(&junit::Run {
                command: &command,
                code,
                took,
                events,
                bad_events,
                bad_reset,
                bad: &bad,
                no_bad,
            });
            fs::write(path, xml).map_err(|source| Failure::Write { path: path.clone(), source })?;
        }
        Ok(match code {
            0 if self.no_bad && bad_events > 0 => {
                let reset =
                    if bad_reset > 0 { format!(", {bad_reset} of them reset since") } else { String::new() };
                output.note(format_args!("posthaste: bad events and refused requests: {bad_events}{reset}"));
                Exit::Failed
            }
            0 => Exit::Fine,
            code => Exit::Code(code),
        })
    }
}
