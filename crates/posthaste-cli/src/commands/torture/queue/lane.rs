//! The parent's hold on processes that are killed and started again: those who publish, and those who deliver.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::Mutex;
use posthaste::{Clock, SystemClock};
use posthaste_oracle::Fact;

use super::{EVERY, stream};
use crate::commands::torture::{
    books::Books,
    child::FINISH,
    died,
    victim::{End, Victim},
};

/// Events of different lanes have numbers so far apart.
const APART: u64 = 1 << 32;
/// How long senders may take for their end.
const SENDER_END: Duration = Duration::from_secs(10);
/// Numbers of lives, over all lanes.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// What a lane has of all events.
pub(super) fn share(events: u64, number: u64, of: u64) -> u64 {
    events / of + u64::from(number < events % of)
}

/// The stream, who we are to its servers, and where events go from there.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) queue: String,
    pub(super) nats: Vec<OsString>,
    pub(super) upstream: String,
}

/// Publishers that follow each other: each claims what no earlier one has.
#[derive(Debug)]
pub(super) struct Lane {
    first: u64,
    /// The fresh one at the end included.
    events: u64,
    /// Those that were claimed, by their numbers. An earlier life may have died before it claimed what it had taken.
    claimed: Arc<Mutex<BTreeSet<u64>>>,
    to: Target,
    seed: u64,
    books: Arc<Books>,
    victim: Option<Victim>,
}

impl Lane {
    pub(super) fn start(
        number: u64,
        events: u64,
        to: Target,
        seed: u64,
        books: &Arc<Books>,
    ) -> io::Result<Self> {
        let mut lane = Self {
            first: number * APART + 1,
            events,
            claimed: Arc::default(),
            to,
            seed,
            books: Arc::clone(books),
            victim: None,
        };
        lane.spawn()?;
        Ok(lane)
    }

    fn spawn(&mut self) -> io::Result<()> {
        let run = RUNS.fetch_add(1, SeqCst) + 1;
        let (from, left) = {
            let claimed = self.claimed.lock();
            let from = claimed.last().map_or(self.first, |last| last + 1);
            (from, self.events.saturating_sub(1).saturating_sub(claimed.len() as u64))
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["torture-publisher", "--upstream", &self.to.upstream]);
        command.env(stream::ADDRESS, &self.to.queue).args(&self.to.nats);
        let numbers = [("--run", run.into()), ("--from", from), ("--events", left), ("--seed", self.seed)];
        for (name, number) in numbers {
            command.args([name, &number.to_string()]);
        }
        let claimed = Arc::clone(&self.claimed);
        let on_fact = move |fact: &Fact| {
            if let Fact::Claimed { id, .. } = fact {
                claimed.lock().insert(*id);
            }
        };
        self.victim = Some(Victim::start(command, run, &self.books, on_fact)?);
        Ok(())
    }

    /// What it said, where it had ended by itself.
    pub(super) fn kill_and_start(&mut self) -> io::Result<Option<String>> {
        let end = self.victim.take().map(Victim::kill).transpose()?;
        self.spawn()?;
        Ok(match end {
            Some(End::Ended { said, .. }) => Some(died(&said)),
            Some(End::Killed) | None => None,
        })
    }

    /// Starts it again where it has ended by itself, and says what it said.
    pub(super) fn revive(&mut self) -> Option<String> {
        let has_ended = self.victim.as_mut().is_none_or(|victim| victim.has_ended().unwrap_or(true));
        if !has_ended {
            return None;
        }
        self.kill_and_start().unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Lets the last one come to its end. What went wrong is said.
    pub(super) fn finish(mut self, within: Duration) -> io::Result<Option<String>> {
        Ok(match self.victim.take().map(|victim| victim.finish(within)).transpose()? {
            Some(End::Ended { is_fine: true, .. }) | None => None,
            Some(End::Ended { said, .. }) => Some(died(&said)),
            Some(End::Killed) => Some("a publisher did not end in time".to_owned()),
        })
    }
}

/// Senders that follow each other.
#[derive(Debug)]
pub(super) struct Sender {
    to: Target,
    seed: u64,
    lives: u64,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Sender {
    pub(super) fn start(to: Target, seed: u64) -> io::Result<Self> {
        let (child, stdin) = spawn_sender(&to, seed)?;
        Ok(Self { to, seed, lives: 1, child, stdin })
    }

    pub(super) fn kill_and_start(&mut self) -> io::Result<Option<String>> {
        let ended = self.child.try_wait()?;
        if ended.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        self.lives += 1;
        (self.child, self.stdin) = spawn_sender(&self.to, self.seed ^ (self.lives << 16))?;
        Ok(ended.map(|status| died(&format!("a sender, with {status}"))))
    }

    pub(super) fn revive(&mut self) -> Option<String> {
        if matches!(self.child.try_wait(), Ok(None)) {
            return None;
        }
        self.kill_and_start().unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Tells it to end, and kills it where it does not.
    pub(super) fn finish(mut self) -> io::Result<Option<String>> {
        if let Some(mut stdin) = self.stdin.take() {
            // One that is gone already does not hear it.
            drop(writeln!(stdin, "{FINISH} {}", SENDER_END.as_millis()));
        }
        let end = SystemClock.elapsed() + SENDER_END * 2;
        while SystemClock.elapsed() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok((!status.success()).then(|| format!("a sender ended with {status}")));
            }
            std::thread::sleep(EVERY);
        }
        Ok(Some("a sender did not end in time".to_owned()))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // It may be gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn_sender(to: &Target, seed: u64) -> io::Result<(Child, Option<ChildStdin>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["torture-sender", "--seed", &seed.to_string()])
        .args(&to.nats)
        .env(stream::ADDRESS, &to.queue);
    if std::env::var_os("POSTHASTE_LOG").is_none() {
        command.env("POSTHASTE_LOG", "off").stderr(Stdio::null());
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let stdin = child.stdin.take();
    Ok((child, stdin))
}
