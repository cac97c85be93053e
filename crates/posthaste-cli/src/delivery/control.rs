//! When a run ends: at the end of the input, at a signal, at `--max-time`.

use std::{pin::pin, time::Duration};

use posthaste::outcome::Trouble;
use tokio::{sync::oneshot, time::Instant};

use super::{
    intake::{End, Intake},
    job::Job,
    metrics::Exporter,
    progress,
    stage::Stage,
};
use crate::common::{
    exit::Failure,
    output::counted,
    signals::{Signals, Uncaught},
};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Why reading did; `None` where it was cut off.
    pub(crate) reading: Option<End>,
    /// What cut reading or delivering off; `None` where nothing did.
    pub(crate) cut_off: Option<CutOff>,
    /// Why something is left, where something is.
    pub(crate) reasons: Vec<Trouble>,
    /// It was to end at once: delivery may still be under way.
    pub(crate) is_quit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutOff {
    /// Ctrl-C or SIGTERM.
    Signal,
    /// `--max-time` is over.
    MaxTime,
}

/// No deadline at all.
const FOREVER: Duration = Duration::MAX;

/// Runs until everything has been delivered, or there is a reason to stop.
pub(crate) fn run(
    job: &Job<'_>,
    stage: Stage,
    intake: Intake,
    metrics: Option<Exporter>,
) -> Result<Ended, Failure> {
    let Stage { runtime, signals } = stage;
    runtime.block_on(async {
        let ended = read_and_deliver(job, signals, intake, metrics).await;
        if ended.is_err() {
            // Nothing was read.
            job.pipeline.close(Duration::ZERO).await;
        }
        ended
    })
}

async fn read_and_deliver(
    job: &Job<'_>,
    signals: Uncaught,
    intake: Intake,
    metrics: Option<Exporter>,
) -> Result<Ended, Failure> {
    let mut signals = signals.catch()?;
    let _serving = metrics.map(|metrics| metrics.serve(&job.output)).transpose()?;
    let reading = intake.start()?;
    tokio::select! {
        ended = work(job, reading, &mut signals) => Ok(ended),
        never = progress::watch(job) => match never {},
    }
}

async fn work(job: &Job<'_>, mut reading: oneshot::Receiver<End>, signals: &mut Signals) -> Ended {
    let mut time_is_up = pin!(tokio::time::sleep(job.args.max_time.unwrap_or(FOREVER)));
    let mut read = None;
    let cut_off = tokio::select! {
        () = async {
            // The thread always says why it ended, unless it panicked.
            read = Some((&mut reading).await.unwrap_or(End::Stopped));
            job.pipeline.flush(FOREVER).await;
        } => None,
        () = signals.next() => Some(CutOff::Signal),
        () = &mut time_is_up => Some(CutOff::MaxTime),
    };
    let patience = match cut_off {
        Some(CutOff::Signal) => {
            job.args.drain.min(time_is_up.deadline().saturating_duration_since(Instant::now()))
        }
        _ => Duration::ZERO,
    };
    let stopped = stop(job, patience, signals).await;
    Ended { reading: read, cut_off, is_quit: stopped.is_none(), reasons: stopped.unwrap_or_default() }
}

/// Takes nothing more, and goes on delivering for a while. Says why something is left; `None`: it is to end at once.
async fn stop(job: &Job<'_>, patience: Duration, signals: &mut Signals) -> Option<Vec<Trouble>> {
    let closing = job.pipeline.close(patience);
    // Closing has freed a reader that waited for room.
    job.progress.stop();
    let left = job.pipeline.books().total.queued;
    if left > 0 && !patience.is_zero() {
        job.output.inform(format_args!(
            "posthaste: stopping; {} to deliver within {patience:?}; Ctrl-C again quits at once",
            counted(left, "event", "events")
        ));
    }
    tokio::select! {
        reasons = closing => Some(reasons),
        () = signals.next() => None,
    }
}
