//! How a run is getting on, for people: a bar at a terminal, a line now and then elsewhere. Both say why nothing moves.

use std::{
    convert::Infallible,
    io::{self, IsTerminal},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use posthaste::{Clock, SystemClock};

use super::{
    job::{Job, Length},
    standing::{Extent, Pace, Standing},
    waits::{self, Told},
};
use crate::common::{
    bar::Bar,
    output::{Audience, counted, grouped},
    terminal,
};

/// Often enough to look alive, and to tell rates by.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Seldom enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// For how long nothing is delivered until it looks as if something were wrong.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// Steps of a bar that nobody counts.
const STEPS: u32 = 10_000;
/// Without a reason to wait, and with one.
const BARS: (&str, &str) = ("{bar:20} {prefix}", "{bar:20} {prefix}\n{wide_msg}");

/// Shows it until dropped.
pub(crate) async fn watch(job: &Job<'_>) -> Infallible {
    if job.output.audience() == Audience::Machines || terminal::is_quiet() {
        return std::future::pending().await;
    }
    // A bar would be drawn into what somebody types.
    let is_typed = matches!(job.length, Length::Unknown) && io::stdin().is_terminal();
    let bar = if is_typed { Bar::hidden() } else { Bar::show(STEPS.into(), BARS.0) };
    let mut watcher = Watcher { job, bar, pace: Pace::default(), told: Told::default(), line: String::new() };
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut line_due = SystemClock.elapsed() + LINE_EVERY;
    loop {
        every.tick().await;
        let now = SystemClock.elapsed();
        watcher.pace.note(now, standing(job));
        if watcher.bar.is_shown() {
            watcher.draw();
        } else {
            watcher.tell_waits(now);
            if now >= line_due {
                watcher.tell();
                line_due = now + LINE_EVERY;
            }
        }
    }
}

struct Watcher<'a> {
    job: &'a Job<'a>,
    bar: Bar,
    pace: Pace,
    told: Told,
    /// The last one.
    line: String,
}

impl Watcher<'_> {
    fn draw(&self) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1")]
        let steps = (self.pace.shown() * f64::from(STEPS)) as u64;
        self.bar.set(steps, STEPS.into());
        let mut reasons = self.reasons();
        reasons.extend(self.job.pipeline.room_wanted());
        let waiting = if reasons.is_empty() { String::new() } else { waits::waiting_for(&reasons) };
        self.bar.set_lines(BARS, self.pace.in_words(), waiting);
    }

    /// The spool tells itself that it has no room.
    fn tell_waits(&mut self, now: Duration) {
        let reasons = self.reasons();
        if let Some(line) = self.told.look(now, &reasons) {
            self.job.output.note(format_args!("posthaste: {line}"));
        }
    }

    fn tell(&mut self) {
        let (job, ledger) = (self.job, self.job.pipeline.books().total);
        let line = format!(
            "{} read, {} delivered, {} queued",
            counted(job.progress.lines.load(Relaxed), "line", "lines"),
            counted(ledger.delivered, "event", "events"),
            grouped(ledger.queued)
        );
        // Who follows a quiet log has nothing to say.
        if line != self.line {
            job.output.note(&line);
            self.line = line;
        }
    }

    fn reasons(&self) -> Vec<String> {
        waits::reasons(&self.job.pipeline.health(), self.pace.is_stalled(STALLED_AFTER))
    }
}

fn standing(job: &Job<'_>) -> Standing {
    let ledger = job.pipeline.books().total;
    let read = job.progress.bytes.load(Relaxed);
    Standing {
        taken: ledger.accepted,
        delivered: ledger.delivered,
        dead: ledger.dead_lettered,
        of_input: job.pipeline.events_of_input(),
        queued: ledger.queued,
        extent: match job.length {
            Length::Unknown => Extent::Endless,
            Length::Bytes(all) => Extent::Bytes { read, all },
            Length::Nothing => Extent::Taken,
        },
    }
}
