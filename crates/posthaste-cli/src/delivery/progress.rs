//! How a run is getting on: a bar at a terminal, a line now and then elsewhere, nothing for machines.

use std::{convert::Infallible, sync::atomic::Ordering::Relaxed, time::Duration};

use super::job::Job;
use crate::common::output::{Audience, counted, grouped};

/// Often enough to look alive.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// Seldom enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows it until dropped.
pub(crate) async fn watch(job: &Job<'_>) -> Infallible {
    let is_for_people = job.output.audience() == Audience::People;
    let mut every = tokio::time::interval(if job.bar.is_hidden() { LINE_EVERY } else { BAR_EVERY });
    every.tick().await;
    let mut told = String::new();
    loop {
        every.tick().await;
        let ledger = job.pipeline.books().total;
        let text = format!(
            "{} delivered, {} queued",
            counted(ledger.delivered, "event", "events"),
            grouped(ledger.queued)
        );
        if !job.bar.is_hidden() {
            job.bar.set_position(job.progress.bytes.load(Relaxed));
            job.bar.set_message(text);
        } else if is_for_people {
            let lines = counted(job.progress.lines.load(Relaxed), "line", "lines");
            let line = format!("{lines} read, {text}");
            // Who follows a quiet log has nothing to say.
            if line != told {
                job.output.note(&line);
                told = line;
            }
        }
    }
}
