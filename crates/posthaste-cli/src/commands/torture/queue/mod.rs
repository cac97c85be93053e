//! `posthaste torture --queue`: whether what a stream has acknowledged arrives, whatever happens to those who put it there
//! and those who deliver it.
//!
//! ```text
//! publishers (killed, started again) ── the stream ── senders (killed, started again) ── HTTP ─▶ upstream, as the dice say
//!     └─ stdout: what they claim, and are told ──▶ books ◀──────────────────────────────────────────┘
//! ```
//!
//! The stream is of its own: one that is there and has something in it, or somebody who delivers from it, is left alone;
//! what was made here is deleted here. The servers are somebody else's, and are not killed.

mod aftermath;
mod lane;
mod publisher;
mod sender;
mod stream;

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use posthaste::{Clock, SystemClock};

use self::{
    lane::{Lane, Sender, Target},
    stream::Own,
};
pub(crate) use self::{
    publisher::{PublisherArgs, run as run_publisher},
    sender::{SenderArgs, run as run_sender},
};
use super::{
    TortureArgs,
    books::Books,
    dice::Dice,
    plan,
    readers::Read,
    report::{Kind, Report, Run},
    upstream::Upstream,
};
use crate::common::{
    bar::Bar,
    exit::{Exit, Failure},
    output::{Audience, Output, counted},
};

/// Processes that put events into the stream, and as many that deliver them.
const PROCESSES: u64 = 2;
/// Whose events they are.
const TENANT: &str = "torture";
/// The shortest lease: what a killed sender had comes back so soon.
const ACK_WAIT: Duration = Duration::from_secs(2);
/// How often to look whether something has happened.
const EVERY: Duration = Duration::from_millis(5);
/// How often to look into the stream.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often processes may end by themselves before it is enough.
const DEATHS_MAX: usize = 5;

pub(super) fn run(args: &TortureArgs, url: &str, seed: u64, bar: &Bar) -> Result<Exit, Failure> {
    let output = Output::new(Audience::of(args.json));
    let own = Own::take(url, &args.nats, args.replicas)?;
    output.tell_aside(format_args!(
        "seed {seed}: {}, {}, through {}",
        counted(args.events, "event", "events"),
        counted(args.kills.into(), "kill", "kills"),
        own.address()
    ));
    let tortured = Torture::start(args, url, &own, seed).and_then(|torture| torture.run(bar));
    // Whatever came of it.
    let cleaned = own.clean_up();
    let report = tortured?;
    cleaned?;
    output.result(&report);
    Ok(if report.ok { Exit::Fine } else { Exit::Failed })
}

struct Torture<'a> {
    args: &'a TortureArgs,
    own: &'a Own,
    seed: u64,
    started: Duration,
    books: Arc<Books>,
    upstream: Upstream,
    lanes: Vec<Lane>,
    senders: Vec<Sender>,
    kills: u64,
    troubles: Vec<String>,
}

impl<'a> Torture<'a> {
    fn start(args: &'a TortureArgs, url: &str, own: &'a Own, seed: u64) -> Result<Self, Failure> {
        let books = Arc::<Books>::default();
        let upstream = Upstream::start(Arc::clone(&books), Dice::new(seed))?;
        let mut torture = Self {
            args,
            own,
            seed,
            started: SystemClock.elapsed(),
            upstream,
            lanes: Vec::new(),
            senders: Vec::new(),
            kills: 0,
            troubles: Vec::new(),
            books,
        };
        for number in 0..PROCESSES {
            let upstream = torture.upstream.url().to_owned();
            let events = lane::share(args.events, number, PROCESSES);
            let to = Target { queue: url.to_owned(), nats: args.nats.words(), upstream };
            torture.senders.push(Sender::start(to.clone(), seed ^ number)?);
            torture.lanes.push(Lane::start(number, events, to, seed, &torture.books)?);
        }
        Ok(torture)
    }

    fn run(mut self, bar: &Bar) -> Result<Report, Failure> {
        self.torture(bar)?;
        bar.set_message("looking at what is left");
        self.troubles.extend(aftermath::look(self.own, &self.books)?);
        self.upstream.stop();
        let run = Run {
            seed: self.seed,
            events: self.args.events,
            took: SystemClock.elapsed().saturating_sub(self.started),
            read: Read::default(),
            troubles: self.troubles,
        };
        Ok(Report::new(run, &self.books.verdict()).of(Kind::Queue, self.kills))
    }

    /// Kills, and lets the last ones live.
    fn torture(&mut self, bar: &Bar) -> Result<(), Failure> {
        let time = self.args.time * 2 / 3;
        let mut random = Rng::with_seed(self.seed);
        for kill in plan::kills(self.args.kills, self.args.events, time, self.seed) {
            self.wait_until(|this| this.claimed(bar) >= kill.after_events || this.took() >= kill.at_latest)?;
            if self.took() >= time {
                break;
            }
            std::thread::sleep(kill.delay);
            self.kill_one(&mut random)?;
            bar.set_message(format!("killed {}", counted(self.kills, "time", "times")));
        }
        // The last ones claim one fresh event each, at their end.
        self.wait_until(|this| this.claimed(bar) + PROCESSES >= this.args.events || this.took() >= time)?;
        self.upstream.heal();
        bar.set_message("delivering what is left");
        self.end_publishers()?;
        let end = self.args.time.max(self.took() + super::LAST_CALL);
        self.wait_for_empty_stream(end)?;
        for sender in self.senders.drain(..) {
            self.troubles.extend(sender.finish()?);
        }
        Ok(())
    }

    fn kill_one(&mut self, random: &mut Rng) -> Result<(), Failure> {
        let chosen = random.usize(0..self.lanes.len() + self.senders.len());
        let died = if let Some(lane) = self.lanes.get_mut(chosen) {
            lane.kill_and_start()?
        } else {
            match self.senders.get_mut(chosen - self.lanes.len()) {
                Some(sender) => sender.kill_and_start()?,
                None => None,
            }
        };
        self.kills += u64::from(died.is_none());
        self.troubled(died)
    }

    /// Processes have no reason to end by themselves.
    fn troubled(&mut self, died: Option<String>) -> Result<(), Failure> {
        self.troubles.extend(died);
        if self.troubles.len() >= DEATHS_MAX {
            return Err(Failure::Refused(self.troubles.pop().unwrap_or_default()));
        }
        Ok(())
    }

    fn end_publishers(&mut self) -> Result<(), Failure> {
        let left = self.args.time.saturating_sub(self.took()).max(super::LAST_CALL);
        let ended = self.lanes.drain(..).map(|lane| lane.finish(left)).collect::<Result<Vec<_>, _>>()?;
        self.troubles.extend(ended.into_iter().flatten());
        Ok(())
    }

    fn wait_for_empty_stream(&mut self, end: Duration) -> Result<(), Failure> {
        let mut looked_at = Duration::ZERO;
        loop {
            let died: Vec<String> = self.senders.iter_mut().filter_map(Sender::revive).collect();
            for died in died {
                self.troubled(Some(died))?;
            }
            if self.took() >= end {
                return Ok(());
            }
            if self.took().saturating_sub(looked_at) >= LOOK_EVERY {
                looked_at = self.took();
                // Servers that are away now may be back before the end.
                if self.own.messages() == Some(0) {
                    return Ok(());
                }
            }
            std::thread::sleep(EVERY);
        }
    }

    /// Those who ended by themselves are started again meanwhile.
    fn wait_until(&mut self, is_so: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        while !is_so(self) {
            let lanes = self.lanes.iter_mut().filter_map(Lane::revive);
            let died: Vec<String> = lanes.chain(self.senders.iter_mut().filter_map(Sender::revive)).collect();
            for died in died {
                self.troubled(Some(died))?;
            }
            std::thread::sleep(EVERY);
        }
        Ok(())
    }

    fn claimed(&self, bar: &Bar) -> u64 {
        let claimed = self.books.claimed();
        bar.set(claimed, self.args.events);
        claimed
    }

    fn took(&self) -> Duration {
        SystemClock.elapsed().saturating_sub(self.started)
    }
}
