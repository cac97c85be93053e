//! `posthaste torture`: whether events survive a process that is killed again and again, an upstream that fails in
//! every way, and a spool that is full, on this machine and this disk.
//!
//! ```text
//! parent ── starts, kills, starts again ─▶ child: BatchEventProcessor over a SpoolQueue in DIR
//!   ▲ ▲                                      │ stdout: what it claims, and what it is told
//!   │ └──────────────── books ◀──────────────┤
//!   └── upstream, as the dice say ◀── HTTP ──┘
//! ```
//!
//! The parent trusts nothing that the child says of itself: the verdict comes from what the child was told, what the
//! upstream has, and what is found on disk (`posthaste-oracle`).

mod aftermath;
mod books;
mod child;
mod dice;
mod observe;
mod payload;
mod plan;
mod queue;
mod readers;
mod relay;
mod report;
mod upstream;
mod victim;

use std::{
    fs::DirBuilder,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use posthaste::{Clock, SystemClock, dispatch::EndPoint};

use self::{
    books::Books,
    dice::Dice,
    readers::Readers,
    relay::Target,
    report::{Report, Run},
    upstream::Upstream,
    victim::{Breed, End, Victim},
};
pub(crate) use self::{
    child::{ChildArgs, run as run_child},
    queue::{PublisherArgs, SenderArgs, run_publisher, run_sender},
};
use crate::common::{
    bar::Bar,
    exit::{Exit, Failure},
    nats::NatsArgs,
    output::{Audience, Output, counted},
    values::{self, some_time},
};

/// Keeps the books below a gigabyte.
const EVENTS_MAX: u64 = 5_000_000;
const KILLS_MAX: i64 = 100_000;
/// Processes that may end by themselves before it is enough.
const DEATHS_MAX: usize = 5;
/// The least that the end is given.
const LAST_CALL: Duration = Duration::from_secs(2);

/// Kill a process that reports events, again and again, and count whether any is lost.
///
/// A child process reports events through a spool in DIR to an upstream on this machine, which fails in every way that
/// upstreams do. The child is killed at random moments and started again, while others read the spool. In the end every
/// event is counted by what its producer was told, what arrived, and what is on disk. Nothing leaves the machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # A few seconds, 20 kills
  posthaste torture --dir /tmp/torture
  posthaste torture --dir /mnt/new/t --events 200000 --kills 1000 --time 15m
  posthaste torture --dir /tmp/torture --seed 7 --json | jq .lost
  # A relay, started and killed by this command
  posthaste torture --relay http://127.0.0.1:8090/v1/events \\
      --sink 8095 --kills 100 -- posthaste relay \\
      --upstream http://127.0.0.1:8095/v1/events --data /tmp/relay
  # A stream of NATS JetStream, made for this and deleted after
  posthaste torture --queue nats://127.0.0.1:4222/torture --replicas 1

A seed decides the events, the upstream's moods and the moments of the kills; the machine decides \
what a kill hits. The spool stays in DIR: `posthaste spool` looks into it.

The exit code is 0 only if nothing was lost, invented or altered, a fresh event arrived after all \
faults, nothing waits, and no reader reported damage.")]
pub(crate) struct TortureArgs {
    /// The spool's folder: on the disk in question, new or empty
    #[arg(long, value_name = "DIR", required_unless_present_any = ["relay", "queue"])]
    dir: Option<PathBuf>,
    /// A relay instead, by the URL that it takes events at; --sink must be its upstream
    #[arg(long, value_name = "URL", conflicts_with = "dir", requires = "sink")]
    relay: Option<String>,
    /// A stream of NATS JetStream instead, and processes that fill and empty it: `nats://HOST:4222/STREAM`
    ///
    /// The stream is not there yet, or nobody has anything in it. What is made is deleted in the end.
    #[arg(long, value_name = "URL", conflicts_with_all = ["dir", "relay"])]
    queue: Option<String>,
    /// On how many servers each event of the stream is to be, where it is made: 1, 3 or 5
    #[arg(long, value_name = "R", requires = "queue", default_value_t = 3)]
    replicas: usize,
    /// Where to be the relay's upstream: HOST:PORT, or a port, which means 127.0.0.1
    #[arg(long, value_name = "ADDR", requires = "relay", value_parser = values::address)]
    sink: Option<SocketAddr>,
    /// After --: what starts the relay, which is then killed; without it, kill it yourself
    #[arg(last = true, value_name = "COMMAND", requires = "relay")]
    command: Vec<String>,
    /// How many events to report
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX))]
    events: u64,
    /// How long all of it may take; two thirds are for the kills, the rest is for delivering what is left
    #[arg(long, value_name = "T", default_value = "60s", value_parser = some_time)]
    time: Duration,
    /// How often to kill
    #[arg(long, value_name = "K", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=KILLS_MAX))]
    kills: u32,
    /// Decides what is left to chance [default: another one each time]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

pub(crate) fn run(args: &TortureArgs) -> Result<Exit, Failure> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    if let (Some(url), Some(sink)) = (&args.relay, args.sink) {
        EndPoint::check(url).map_err(|error| Failure::Usage(format!("--relay: {error}")))?;
        return relay::run(args, &Target { url, sink, command: &args.command }, seed, &bar(args));
    }
    if let Some(url) = &args.queue {
        return queue::run(args, url, seed, &bar(args));
    }
    let dir = args.dir.as_deref().unwrap_or(Path::new("."));
    take_folder(dir)?;
    let bar = bar(args);
    let output = Output::new(Audience::of(args.json));
    output.tell_aside(format_args!(
        "seed {seed}: {}, {}, in {}",
        counted(args.events, "event", "events"),
        counted(args.kills.into(), "kill", "kills"),
        dir.display()
    ));
    let report = Torture::start(args, dir, seed, bar)?.run()?;
    output.result(&report);
    Ok(if report.ok { Exit::Fine } else { Exit::Failed })
}

/// Makes the folder, or finds it empty.
fn take_folder(dir: &Path) -> Result<(), Failure> {
    let wrong = |source| Failure::Write { path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(wrong)?;
    if std::fs::read_dir(dir).map_err(wrong)?.next().is_some() {
        let dir = dir.display();
        return Err(Failure::Refused(format!("{dir} is not empty; name a folder that is new or empty")));
    }
    Ok(())
}

fn bar(args: &TortureArgs) -> Bar {
    if args.json {
        return Bar::hidden();
    }
    Bar::show_until_interrupted(args.events, "{bar:30} {human_pos}/{human_len} events, {msg}")
}

struct Torture<'a> {
    args: &'a TortureArgs,
    dir: &'a Path,
    bar: Bar,
    started: Duration,
    breed: Breed,
    books: Arc<Books>,
    upstream: Upstream,
    troubles: Vec<String>,
    runs: u32,
}

impl<'a> Torture<'a> {
    fn start(args: &'a TortureArgs, dir: &'a Path, seed: u64, bar: Bar) -> Result<Self, Failure> {
        let books = Arc::<Books>::default();
        let upstream = Upstream::start(Arc::clone(&books), Dice::new(seed))?;
        let breed = Breed {
            dir: dir.to_owned(),
            url: upstream.url().to_owned(),
            events: args.events,
            seed,
            books: Arc::clone(&books),
        };
        let started = SystemClock.elapsed();
        Ok(Self { args, dir, bar, started, breed, books, upstream, troubles: Vec::new(), runs: 0 })
    }

    fn run(mut self) -> Result<Report, Failure> {
        let readers = Readers::start(self.dir.to_owned(), Arc::clone(&self.books))?;
        let tortured = self.torture();
        let read = readers.stop();
        tortured?;
        self.bar.set_message("looking at what is left");
        self.troubles.extend(aftermath::look(self.dir, &self.books)?);
        self.upstream.stop();
        drop(self.bar);
        let run = Run {
            seed: self.breed.seed,
            events: self.args.events,
            took: SystemClock.elapsed().saturating_sub(self.started),
            read,
            troubles: self.troubles,
        };
        Ok(Report::new(run, &self.books.verdict()))
    }

    /// Kills, and lets the last one live.
    fn torture(&mut self) -> Result<(), Failure> {
        let time = self.args.time * 2 / 3;
        for kill in plan::kills(self.args.kills, self.args.events, time, self.breed.seed) {
            if self.took() >= time {
                break;
            }
            let is_due = |this: &Self| this.claimed() >= kill.after_events || this.took() >= kill.at_latest;
            let victim = self.next_that_lives_until(is_due)?;
            std::thread::sleep(kill.delay);
            if let End::Ended { said, .. } = victim.kill()? {
                self.troubles.push(died(&said));
            }
        }
        let is_done = |this: &Self| this.claimed() + 1 >= this.args.events || this.took() >= time;
        let victim = self.next_that_lives_until(is_done)?;
        self.upstream.heal();
        self.bar.set_message("delivering what is left");
        let left = self.args.time.saturating_sub(self.took()).max(LAST_CALL);
        match victim.finish(left)? {
            End::Ended { is_fine: true, .. } => {}
            End::Ended { said, .. } => self.troubles.push(died(&said)),
            End::Killed => self.troubles.push("the last process did not end in time".to_owned()),
        }
        Ok(())
    }

    /// Starts processes until one lives until then: none has a reason to end by itself.
    fn next_that_lives_until(&mut self, is_due: impl Fn(&Self) -> bool) -> Result<Victim, Failure> {
        loop {
            self.runs += 1;
            let mut victim = self.breed.spawn(self.runs)?;
            self.bar.set_message(format!("killed {}", counted((self.runs - 1).into(), "time", "times")));
            if victim.watch(|| is_due(self))? {
                return Ok(victim);
            }
            let said = match victim.kill()? {
                End::Ended { said, .. } => died(&said),
                End::Killed => "a process was killed by somebody else".to_owned(),
            };
            self.troubles.push(said);
            if self.troubles.len() >= DEATHS_MAX {
                return Err(Failure::Refused(self.troubles.pop().unwrap_or_default()));
            }
        }
    }

    fn claimed(&self) -> u64 {
        let claimed = self.books.claimed();
        self.bar.set(claimed, self.args.events);
        claimed
    }

    fn took(&self) -> Duration {
        SystemClock.elapsed().saturating_sub(self.started)
    }
}

fn died(said: &str) -> String {
    format!("a process that nobody killed ended: {said}")
}
