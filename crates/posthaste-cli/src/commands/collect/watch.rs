//! What is said and kept of events while they arrive: a line for each bad one, how it stands, a file of all.
//!
//! Invariants: no more than [`LINES_PER_SECOND`] lines a second, and the others are counted; every event that is kept
//! by the collector goes to the file, or is counted as missing there, which is an error in the end.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use posthaste::{Clock as _, SystemClock};
use posthaste_collector::{Arrival, BadEvent, Collector, Follower, Record, Verdict};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{load, options::Options};
use crate::common::{
    arrived::Arrived,
    bar::Bar,
    exit::Failure,
    output::{Audience, Output, counted, plain},
};

/// Bad events that get a line each, in a second.
const LINES_PER_SECOND: u64 = 10;
const SECOND: Duration = Duration::from_secs(1);
/// How long to wait between two looks at least.
const BREATH: Duration = Duration::from_millis(10);
/// How often it is said how it stands where that cannot be brought up to date in its place.
const SUMMARY_EVERY: Duration = Duration::from_secs(10);
/// How often it is brought up to date at a terminal.
const REDRAWN_EVERY: Duration = Duration::from_millis(100);

/// Somebody who looks at all that arrives.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    collector: Collector,
    follower: Follower,
    output: &'a Output,
    lines: Lines,
    summary: Summary,
    file: Option<Keep>,
}

/// What is said of bad events.
#[derive(Debug, Default)]
struct Lines {
    /// When the second began that is running.
    since: Duration,
    said: u64,
    /// Not said one by one.
    held: u64,
}

/// How it stands.
#[derive(Debug)]
struct Summary {
    bar: Bar,
    said: u64,
    said_at: Duration,
}

/// A file of all events.
#[derive(Debug)]
struct Keep {
    path: PathBuf,
    file: BufWriter<File>,
    missed: u64,
}

/// An event in the file.
#[derive(Serialize)]
struct Line<'a> {
    verdict: Verdict,
    event: &'a Record,
    raw: &'a RawValue,
}

impl<'a> Watch<'a> {
    /// Takes what is to be loaded, and looks from then on.
    pub(super) fn begin(
        collector: &Collector,
        options: &Options,
        output: &'a Output,
    ) -> Result<Self, Failure> {
        if options.out.is_some() && options.out == options.load {
            return Err(Failure::Usage(
                "--out and --load are the same file; give another for one".to_owned(),
            ));
        }
        if let Some(path) = &options.load {
            load::load(collector, path, output)?;
        }
        // Where a command runs, the terminal is the command's.
        let bar = if output.audience() == Audience::People { Bar::show(0, "{msg}") } else { Bar::hidden() };
        Ok(Self {
            follower: collector.follow(),
            collector: collector.clone(),
            output,
            lines: Lines::default(),
            summary: Summary { bar, said: 0, said_at: SystemClock.elapsed() },
            file: options.out.as_deref().map(Keep::create).transpose()?,
        })
    }

    /// Looks on until something fails.
    pub(super) async fn go_on(&mut self) -> Failure {
        loop {
            if let Err(failure) = self.look() {
                return failure;
            }
            let pause = if self.summary.bar.is_shown() { REDRAWN_EVERY } else { SECOND };
            tokio::select! {
                () = self.follower.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
            // Many requests are looked at together.
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Says the last of it. Whoever calls this has stopped taking events.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.look()?;
        self.lines.say_held(self.output);
        self.file.map_or(Ok(()), Keep::end)
    }

    /// All that has arrived since the last look.
    fn look(&mut self) -> Result<(), Failure> {
        loop {
            let arrivals = self.follower.take();
            if let Some(file) = &mut self.file {
                file.missed += arrivals.missed;
                arrivals.events.iter().try_for_each(|arrival| file.put(arrival))?;
            }
            for arrival in &arrivals.events {
                if let Record::Bad(event) = &arrival.record {
                    self.lines.say(event, self.output);
                }
            }
            if arrivals.events.is_empty() {
                break;
            }
        }
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        self.lines.tick(self.output);
        self.summary.tick(&self.collector, self.output);
        Ok(())
    }
}

impl Lines {
    fn say(&mut self, event: &BadEvent, output: &Output) {
        self.tick(output);
        if self.said < LINES_PER_SECOND {
            self.said += 1;
            output.inform(line(event));
        } else {
            self.held += 1;
        }
    }

    fn tick(&mut self, output: &Output) {
        let now = SystemClock.elapsed();
        if now.saturating_sub(self.since) >= SECOND {
            self.say_held(output);
            (self.since, self.said) = (now, 0);
        }
    }

    fn say_held(&mut self, output: &Output) {
        let held = std::mem::take(&mut self.held);
        if held > 0 {
            output.inform(format_args!("and {}", counted(held, "more bad event", "more bad events")));
        }
    }
}

/// What is wrong with it, at its first problem.
fn line(event: &BadEvent) -> String {
    let Some(first) = event.problems.first() else { return format!("bad event {}", event.id) };
    let more = match event.problems.len() - 1 {
        0 => String::new(),
        more => format!(" (and {})", counted(more as u64, "more problem", "more problems")),
    };
    let [path, problem, fix] = [&first.path, &first.problem, &first.fix].map(|text| plain(text));
    format!("bad event {}: {path}: {problem}; {fix}{more}", event.id)
}

impl Summary {
    fn tick(&mut self, collector: &Collector, output: &Output) {
        if self.bar.is_shown() {
            self.bar.set_message(Arrived(collector.ledger()).to_string());
            return;
        }
        let now = SystemClock.elapsed();
        // The ledger is read only where it can be told: this is asked at every look.
        if output.audience() == Audience::Machines || now.saturating_sub(self.said_at) < SUMMARY_EVERY {
            return;
        }
        let ledger = collector.ledger();
        if ledger.events != self.said {
            (self.said, self.said_at) = (ledger.events, now);
            output.tell_aside(Arrived(ledger));
        }
    }
}

impl Keep {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|source| Failure::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), missed: 0 })
    }

    fn put(&mut self, Arrival { record, raw }: &Arrival) -> Result<(), Failure> {
        let line = Line { verdict: record.verdict(), event: record, raw };
        serde_json::to_writer(&mut self.file, &line)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|source| Failure::Write { path: self.path.clone(), source })
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|source| Failure::Write { path: self.path.clone(), source })
    }

    fn end(mut self) -> Result<(), Failure> {
        self.flush()?;
        match self.missed {
            0 => Ok(()),
            missed => Err(Failure::Refused(format!(
                "{} not in {}: the collector forgot them before they could be written; give it more memory, or a \
                 faster disk",
                counted(missed, "event is", "events are"),
                self.path.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> BadEvent {
        let collector = Collector::new(posthaste_collector::CollectorOptions::default());
        collector.receive(b"{\x1b[2J");
        collector.bad(&posthaste_collector::Filter::default()).remove(0)
    }

    #[test]
    fn a_line_says_where_what_and_how_to_mend_it() {
        let event = bad();
        let said = line(&event);
        assert!(said.starts_with("bad event 1: body: ") && said.contains("; "), "{said}");
        assert!(!said.contains('\u{1b}'), "{said}");
    }

    #[test]
    fn ten_lines_a_second_and_the_rest_is_counted() {
        let output = Output::new(Audience::Machines);
        let (event, mut lines) = (bad(), Lines { since: SystemClock.elapsed(), ..Lines::default() });
        for _ in 0..25 {
            lines.since = SystemClock.elapsed();
            lines.say(&event, &output);
        }
        assert_eq!((lines.said, lines.held), (10, 15));
        lines.since = Duration::ZERO;
        std::thread::sleep(Duration::from_millis(1));
        lines.say_held(&output);
        assert_eq!(lines.held, 0);
    }
}
