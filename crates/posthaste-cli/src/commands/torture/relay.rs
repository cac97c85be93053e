//! `posthaste torture --relay`: whether what a relay has answered 204 arrives, whatever happens to the relay.
//!
//! ```text
//! producers ── POST, as SDKs do ─▶ relay (killed, started again) ── HTTP ─▶ upstream, as the dice say
//!     └──────────────▶ books ◀───────────────────────────────────────────────┘
//! ```
//!
//! This process is the producer and the upstream, and asks the relay nothing. A request whose answer is not 204 promises
//! nothing: it may arrive or not, and is sent again under the same uuids, as SDKs do.

use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use fastrand::Rng;
use posthaste::{
    Batch, Clock, Dispatcher, HttpEventDispatcher, LogEvent, ProjectConfig, SystemClock, UserEvent,
};
use posthaste_oracle::{Digest, Fact};
use tokio::task::JoinSet;

use super::{
    TortureArgs,
    books::Books,
    dice::Dice,
    payload, plan,
    readers::Read,
    report::{Kind, Report, Run},
    upstream::Upstream,
};
use crate::common::{
    bar::Bar,
    exit::{Exit, Failure},
    output::{Audience, Output, counted},
};

/// Producers that send at the same time.
const PRODUCERS: u32 = 8;
/// Events of a request, at most.
const EVENTS_MAX: usize = 5;
/// How often a request is sent again before its producer gives it up.
const TRIES: u32 = 200;
/// How long a producer waits before that.
const PAUSE_MS: std::ops::Range<u64> = 5..60;
/// How long a relay may take for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the canary may take to arrive.
const CANARY_PATIENCE: Duration = Duration::from_secs(15);
/// How often to look whether something has happened.
const EVERY: Duration = Duration::from_millis(5);

/// What is tortured, and from where.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// Where the relay takes events.
    pub(super) url: &'a str,
    /// Where this process is the upstream.
    pub(super) sink: SocketAddr,
    /// What starts the relay; empty: somebody else does, and kills it.
    pub(super) command: &'a [String],
}

pub(super) fn run(args: &TortureArgs, target: &Target<'_>, seed: u64, bar: &Bar) -> Result<Exit, Failure> {
    let output = Output::new(Audience::of(args.json));
    let kills = if target.command.is_empty() { 0 } else { args.kills };
    output.tell_aside(format_args!(
        "seed {seed}: {}, {}, through {}",
        counted(args.events, "event", "events"),
        counted(kills.into(), "kill", "kills"),
        target.url
    ));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let torture = Torture::start(args, target, seed)?;
    let report = runtime.block_on(torture.run(bar))?;
    output.result(&report);
    Ok(if report.ok { Exit::Fine } else { Exit::Failed })
}

struct Torture<'a> {
    args: &'a TortureArgs,
    target: &'a Target<'a>,
    seed: u64,
    started: Duration,
    upstream: Upstream,
    producing: Arc<Producing>,
    kills: u64,
    troubles: Vec<String>,
}

/// What producers share.
struct Producing {
    books: Arc<Books>,
    config: ProjectConfig,
    http: HttpEventDispatcher,
    url: String,
    seed: u64,
    next: AtomicU64,
    until: u64,
    /// A producer is a new one to the books after each answer that says nothing for certain.
    runs: AtomicU32,
    is_over: AtomicBool,
}

impl<'a> Torture<'a> {
    fn start(args: &'a TortureArgs, target: &'a Target<'a>, seed: u64) -> Result<Self, Failure> {
        let books = Arc::<Books>::default();
        let upstream = Upstream::start_at(target.sink, Arc::clone(&books), Dice::without_bad_events(seed))?;
        let http = HttpEventDispatcher::builder().request_timeout(REQUEST_TIMEOUT).no_proxy().build();
        let producing = Producing {
            books,
            config: payload::project(),
            http: http.map_err(posthaste::OptionsError::from)?,
            url: target.url.to_owned(),
            seed,
            next: AtomicU64::new(2),
            until: args.events,
            runs: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        };
        let (producing, started) = (Arc::new(producing), SystemClock.elapsed());
        Ok(Self { args, target, seed, started, upstream, producing, kills: 0, troubles: Vec::new() })
    }

    async fn run(mut self, bar: &Bar) -> Result<Report, Failure> {
        let mut relay = self.spawn()?;
        let ended = self.torture(&mut relay, bar).await;
        if let Some(mut relay) = relay {
            // What it has left is not asked for: it was to deliver everything by now.
            relay.kill().and_then(|()| relay.wait())?;
        }
        ended?;
        self.upstream.stop();
        let run = Run {
            seed: self.seed,
            events: self.args.events,
            took: SystemClock.elapsed().saturating_sub(self.started),
            read: Read::default(),
            troubles: self.troubles,
        };
        Ok(Report::new(run, &self.producing.books.verdict()).of(Kind::Relay, self.kills))
    }

    async fn torture(&mut self, relay: &mut Option<Child>, bar: &Bar) -> Result<(), Failure> {
        self.canary().await?;
        let mut producers = JoinSet::new();
        for number in 0..PRODUCERS {
            let producing = Arc::clone(&self.producing);
            producers.spawn(async move { producing.produce(number).await });
        }
        let time = self.args.time * 2 / 3;
        let kills = if relay.is_some() { self.args.kills } else { 0 };
        for kill in plan::kills(kills, self.args.events, time, self.seed) {
            self.wait_until(|this| this.claimed(bar) >= kill.after_events || this.took() >= kill.at_latest)
                .await;
            if self.took() >= time {
                break;
            }
            tokio::time::sleep(kill.delay).await;
            *relay = self.kill(relay.take())?;
            bar.set_message(format!("killed {} times", self.kills));
        }
        self.wait_until(|this| this.claimed(bar) >= this.args.events || this.took() >= time).await;
        self.producing.is_over.store(true, SeqCst);
        producers.join_all().await;
        self.upstream.heal();
        bar.set_message("waiting for what is left");
        self.fresh().await;
        let end = self.args.time.max(self.took() + super::LAST_CALL);
        self.wait_until(|this| this.took() >= end || this.producing.books.verdict().ok()).await;
        Ok(())
    }

    /// One event goes through before anything else: is this the relay's upstream?
    async fn canary(&self) -> Result<(), Failure> {
        let end = self.took() + CANARY_PATIENCE;
        self.upstream.heal();
        let canary = Request::of(&self.producing, 1..2);
        let mut arrived = false;
        while !arrived && self.took() < end {
            if canary.claimed_and_sent(&self.producing).await {
                self.wait_until(|this| this.took() >= end || this.producing.books.verdict().arrived > 0)
                    .await;
            } else {
                tokio::time::sleep(Duration::from_millis(PAUSE_MS.end)).await;
            }
            arrived = self.producing.books.verdict().arrived > 0;
        }
        if arrived {
            self.upstream.turn_ill();
            return Ok(());
        }
        Err(Failure::Refused(format!(
            "an event sent to {} did not arrive here within {} s; start the relay with --upstream {}",
            self.target.url,
            CANARY_PATIENCE.as_secs(),
            self.upstream.url()
        )))
    }

    /// An event that is sent after all faults have stopped has to arrive.
    async fn fresh(&self) {
        let id = self.args.events + 1;
        let fresh = Request::of(&self.producing, id..id + 1);
        if fresh.send_until_taken(&self.producing, &mut Rng::with_seed(self.seed)).await {
            self.producing.books.note(Fact::Fresh { id });
        }
    }

    fn spawn(&self) -> Result<Option<Child>, Failure> {
        let Some((program, args)) = self.target.command.split_first() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        // It is tortured: what it has to say about that is no news.
        if std::env::var_os("POSTHASTE_LOG").is_none() {
            command.env("POSTHASTE_LOG", "off").stderr(Stdio::null());
        }
        Ok(Some(command.spawn()?))
    }

    fn kill(&mut self, relay: Option<Child>) -> Result<Option<Child>, Failure> {
        let Some(mut relay) = relay else { return Ok(None) };
        if let Some(status) = relay.try_wait()? {
            self.troubles.push(format!("the relay ended by itself: {status}"));
        } else {
            relay.kill()?;
            relay.wait()?;
            self.kills += 1;
        }
        self.spawn()
    }

    async fn wait_until(&self, mut is_so: impl FnMut(&Self) -> bool) {
        while !is_so(self) {
            tokio::time::sleep(EVERY).await;
        }
    }

    fn claimed(&self, bar: &Bar) -> u64 {
        let claimed = self.producing.books.claimed();
        bar.set(claimed, self.args.events);
        claimed
    }

    fn took(&self) -> Duration {
        SystemClock.elapsed().saturating_sub(self.started)
    }
}

impl Producing {
    /// Sends requests until every event has been claimed, or the end has come.
    async fn produce(&self, number: u32) {
        let mut random = Rng::with_seed(self.seed ^ (u64::from(number) << 40));
        while !self.is_over.load(SeqCst) {
            let count = random.u64(1..=EVENTS_MAX as u64);
            let from = self.next.fetch_add(count, SeqCst);
            let ids = from..(from + count).min(self.until + 1);
            if ids.is_empty() {
                return;
            }
            Request::of(self, ids).send_until_taken(self, &mut random).await;
        }
    }

    fn new_run(&self) -> u32 {
        let run = self.runs.fetch_add(1, SeqCst) + 1;
        self.books.note(Fact::Started { run });
        run
    }
}

/// A request, and what must arrive of it.
struct Request {
    events: Vec<(u64, Digest)>,
    request: LogEvent,
}

impl Request {
    fn of(producing: &Producing, ids: std::ops::Range<u64>) -> Self {
        let made: Vec<(u64, UserEvent, Digest)> = ids
            .map(|id| {
                let (event, digest) = payload::event(&producing.config, producing.seed, id);
                (id, event, digest)
            })
            .collect();
        let events: Vec<UserEvent> = made.iter().map(|(_, event, _)| event.clone()).collect();
        let request = LogEvent::new(producing.url.as_str(), &Batch::from_user_events(&events));
        Self { events: made.into_iter().map(|(id, _, digest)| (id, digest)).collect(), request }
    }

    /// Sends it, again and again if need be. False: it was given up.
    async fn send_until_taken(&self, producing: &Producing, random: &mut Rng) -> bool {
        for _ in 0..TRIES {
            if self.claimed_and_sent(producing).await {
                return true;
            }
            if producing.is_over.load(SeqCst) && random.u8(0..20) == 0 {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(random.u64(PAUSE_MS))).await;
        }
        false
    }

    /// Sends it once. False: nobody knows whether it was taken.
    async fn claimed_and_sent(&self, producing: &Producing) -> bool {
        let run = producing.new_run();
        for (id, digest) in &self.events {
            producing.books.note(Fact::Claimed { run, id: *id, digest: *digest });
        }
        let answer = producing.http.dispatch_event(self.request.clone()).await;
        let is_taken = answer.is_ok_and(|answer| answer.status == 204);
        if is_taken {
            for (id, _) in &self.events {
                producing.books.note(Fact::Accepted { run, id: *id });
                producing.books.note(Fact::Stored { run, id: *id });
            }
            producing.books.note(Fact::Ended { run });
        } else {
            // For the books it is as if its producer had died: nothing is promised, and it may be there.
            producing.books.note(Fact::Killed { run });
        }
        is_taken
    }
}
