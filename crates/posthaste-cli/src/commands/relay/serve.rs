//! The relay itself: it starts, says so in three lines (and, of a stream, what that promises), is told to read its files anew or to stop, and says how it ended.

use std::{fmt, time::Duration};

use posthaste::queue::jetstream::StreamReport;
use posthaste_relay::{Config, Relay, Report, Stop, Store};
use tokio::net::TcpListener;

use super::{
    flags::{Flags, LogFormat},
    listeners::{Inherited, Listeners},
    plan::Plan,
};
use crate::common::{
    exit::{self, Exit, Failure},
    output::{Audience, Output},
    signals::{Hangups, Signals, Uncaught},
};

/// How long the first words of a relay wait for those of the stream, and how often it is looked for.
const STREAM_SEEN_WITHIN: Duration = Duration::from_secs(3);
const STREAM_LOOK: Duration = Duration::from_millis(20);

pub(super) fn run(flags: &Flags) -> Result<Exit, Failure> {
    let inherited = Inherited::take()?;
    let mut settings = flags.settings();
    inherited.tell(&mut settings)?;
    let (config, _) = settings.try_out()?;
    let voice = Voice { output: Output::new(Audience::of(flags.json)), format: flags.log_format };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config, inherited, &voice))
}

async fn serve(config: Config, inherited: Inherited, voice: &Voice) -> Result<Exit, Failure> {
    let signals = Uncaught::open()?.catch()?;
    let hangups = Hangups::catch()?;
    // Clients that come while the queues are opened wait for that, and are not refused.
    let Listeners { public, admin } = inherited.complete(&config).await?;
    let in_memory = config.keeps() && matches!(config.store, Store::Memory { .. });
    let plan = Plan::of(&config);
    let relay = Relay::open(config).map_err(|error| Failure::Refused(error.to_string()))?;
    let found = relay.ledgers().iter().map(|(_, ledger)| ledger.accepted).sum();
    let address = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
    let plan = plan.begun(address(&public)?, address(&admin)?, found);
    let stop = Stop::new();
    let serving = relay.serve(public, admin, &stop);
    let report = tokio::select! {
        biased;
        never = begin(voice, plan, &relay) => match never {},
        report = serving => report,
        never = attend(signals, &stop) => match never {},
        never = reload(&relay, hangups) => match never {},
    };
    voice.ended(&report);
    let is_lost =
        |tenant: &posthaste_relay::TenantReport| tenant.not_stored > 0 || (in_memory && tenant.queued > 0);
    Ok(if report.tenants.iter().any(is_lost) { Exit::Failed } else { Exit::Fine })
}

/// Says what it does. It serves already.
async fn begin(voice: &Voice, plan: Plan, relay: &Relay) -> std::convert::Infallible {
    let (report, trouble) = stream_seen(relay).await;
    voice.begun(&plan.promising(report, trouble));
    std::future::pending().await
}

/// What the stream promises, once it has been seen; or why it has not been within a while. A relay with a bridge takes
/// events all the same.
async fn stream_seen(relay: &Relay) -> (Option<StreamReport>, Option<String>) {
    let looking = async {
        while relay.stream_report().is_none() && relay.stream_trouble().is_some() {
            tokio::time::sleep(STREAM_LOOK).await;
        }
    };
    drop(tokio::time::timeout(STREAM_SEEN_WITHIN, looking).await);
    (relay.stream_report(), relay.stream_trouble().map(|trouble| trouble.to_string()))
}

/// Tells the relay to stop at the first request, and ends the process at the second.
async fn attend(mut signals: Signals, stop: &Stop) -> std::convert::Infallible {
    signals.next().await;
    stop.stop();
    signals.next().await;
    std::process::exit(exit::QUIT_AT_ONCE)
}

/// Reads tokens and accounts anew whenever it is told to. How that went is logged.
async fn reload(relay: &Relay, mut hangups: Hangups) -> std::convert::Infallible {
    loop {
        hangups.next().await;
        let relay = relay.clone();
        // Files may be slow, and nobody is to wait for them. It does not panic.
        drop(tokio::task::spawn_blocking(move || relay.reload()).await);
    }
}

/// How a relay speaks: with logs as JSON, everything on stderr is.
struct Voice {
    output: Output,
    format: LogFormat,
}

impl Voice {
    fn begun(&self, plan: &Plan) {
        plan.lines().into_iter().for_each(|line| self.tell(line));
        if self.output.audience() == Audience::Machines {
            self.output.say_json(plan);
        }
    }

    fn ended(&self, report: &Report) {
        match self.output.audience() {
            Audience::People => report.to_string().lines().for_each(|line| self.tell(line)),
            Audience::Machines => self.output.say_json(report),
        }
    }

    fn tell(&self, line: impl fmt::Display) {
        match self.format {
            LogFormat::Text => self.output.inform(line),
            LogFormat::Json => tracing::info!(target: "posthaste_relay", "{line}"),
        }
    }
}
