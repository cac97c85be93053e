//! The loop: it leases, sends and settles until it is told to close. Each part says what it may do; this file says in
//! which order.
//!
//! Invariant: every part of a lease that lasts is in exactly one of a backlog, an open group, a request that is ready,
//! waiting or under way, a half that is kept back for one of these, or a burial.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tracing::Instrument as _;

use super::{
    books::Act,
    burial::{Burial, Burials, News},
    guard::panic_text,
    item::Item,
    job::{Halves, Job, Part},
    lanes::{Lane, Lanes},
    leases::{Fate, Lease, Leases, PartEnd},
    mailbox::Command,
    options::{Options, WhenFull},
    settle::{Step, settle},
    shared::Shared,
    supply::{Endings, Renewal, Supply},
    telemetry::Published,
    upstream::{Change, Moment, Why},
    waiters::{Progress, Waiters},
};
use crate::{
    clock::Sleep,
    dispatch::{Answer, DispatchError, Dispatcher, Verdict, verdict},
    notification,
    outcome::{CloseReport, DeadReason, FlushReport, Health, Trouble, merged},
    queue::Leased,
};

/// How long a disk may take, after the deadline, to say that it has everything. Most say so at once.
const DISK_GRACE: Duration = Duration::from_millis(250);

/// One delivery pipeline at work.
pub(super) struct Machine<T: Item> {
    shared: Arc<Shared<T>>,
    dispatcher: Arc<dyn Dispatcher>,
    center: Option<Arc<notification::Center>>,
    supply: Supply<T>,
    leases: Leases,
    renewal: Renewal,
    lanes: Lanes<T>,
    in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Answered<T>> + Send>>>,
    burials: Burials<T>,
    endings: Endings,
    waiters: Waiters<T>,
    /// Leases before this sequence are not to wait for their group to fill.
    force_before: u64,
    next_tick: Duration,
    timer: Option<(Duration, Sleep)>,
    published: Published,
    /// Something has changed that others want to know of.
    is_health_stale: bool,
}

/// A request that has been answered, or not.
struct Answered<T> {
    job: Job<T>,
    sent: Duration,
    answer: Answer,
}

/// Why the loop has ended.
enum End {
    /// Somebody has closed it.
    Closed,
    /// It cannot go on.
    Broken(String),
}

impl<T: Item> Machine<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, dispatcher: Arc<dyn Dispatcher>) -> Self {
        let options = shared.options();
        let now = shared.clock().elapsed();
        let lease_time = shared.queue().lease_time();
        Self {
            center: options.sdk_key.as_deref().map(notification::center),
            supply: Supply::default(),
            leases: Leases::new(lease_time.is_some()),
            renewal: Renewal::new(lease_time, now),
            lanes: Lanes::new(options.seed),
            in_flight: FuturesUnordered::new(),
            burials: Burials::default(),
            endings: Endings::default(),
            waiters: Waiters::default(),
            force_before: 0,
            next_tick: now.saturating_add(options.flush_interval),
            timer: None,
            published: Published::new(&shared),
            is_health_stale: false,
            dispatcher,
            shared,
        }
    }

    /// Works until it is told to close and has, or has run out of time. A panic ends it too, with the reason.
    pub(super) async fn run(mut self) {
        let end = match AssertUnwindSafe(self.work()).catch_unwind().await {
            Ok(end) => end,
            Err(panic) => End::Broken(format!("delivery panicked: {}", panic_text(&*panic))),
        };
        if let End::Broken(why) = end {
            tracing::error!(why, "delivery has ended; what is left stays in the queue");
            self.shared.admission().shut();
            let health = self.health();
            let ended = Some(Trouble::new(why, self.shared.clock().now_ms()));
            self.shared.set_health(Health { ended, ..health });
        }
        if AssertUnwindSafe(self.finish()).catch_unwind().await.is_err() {
            tracing::error!("delivery panicked while it ended");
        }
    }

    async fn work(&mut self) -> End {
        loop {
            self.take_commands();
            self.take_what_is_there();
            self.try_again();
            self.bury_displaced();
            self.tick();
            self.fill();
            self.send_what_may_go();
            self.publish(false);
            if let Some(why) = self.shared.queue().broken() {
                return End::Broken(why.to_owned());
            }
            if self.waiters.is_time_to_end(self.progress()) {
                return End::Closed;
            }
            self.answer_waiters();
            self.sleep().await;
        }
    }

    fn now(&self) -> Duration {
        self.shared.clock().elapsed()
    }

    fn options(&self) -> &Options<T> {
        self.shared.options()
    }

    /// How many items the queue holds that have not been leased.
    fn unleased(&self) -> usize {
        self.shared.queue().size().saturating_sub(self.leases.open())
    }

    fn progress(&self) -> Progress {
        Progress { now: self.now(), next: self.leases.next(), unleased: self.unleased() }
    }

    fn take_commands(&mut self) {
        for Command { within, asked } in self.shared.mailbox().take() {
            let deadline = self.now().saturating_add(within);
            let target = self.leases.next().saturating_add(self.unleased() as u64);
            self.force_before = self.force_before.max(target);
            self.waiters.add(asked, deadline, target, self.leases.open());
        }
    }

    /// Everything goes at each interval. It goes when the queue is full, too: a group that cannot fill would keep it
    /// full.
    fn tick(&mut self) {
        let now = self.now();
        let is_time = now >= self.next_tick;
        if is_time {
            self.next_tick = now.saturating_add(self.options().flush_interval);
        }
        if self.shared.admission().has_been_full() || is_time || self.is_full() || self.is_stuck() {
            self.force();
        }
    }

    fn is_full(&self) -> bool {
        self.shared.queue().size() >= self.shared.queue().capacity()
    }

    /// Everything leased gathers in groups, none of which is full, and no more can be leased.
    fn is_stuck(&self) -> bool {
        self.room() == 0 && self.lanes.nothing_moves()
    }

    fn force(&mut self) {
        let all = self.leases.next().saturating_add(self.unleased() as u64);
        self.force_before = self.force_before.max(all);
    }

    // Leasing.

    /// Leases as much as can be sent now, and makes requests of it.
    fn fill(&mut self) {
        self.load();
        while let Some(wanted) = self.wanted() {
            let answer = self.shared.queue().lease(wanted);
            let now = self.now();
            let leased = self.supply.ask(answer, now, self.shared.clock().now_ms());
            if leased.is_empty() {
                self.note_empty_lease(now);
                break;
            }
            self.take_leased(leased);
        }
        if self.unleased() == 0 {
            // What was to go may have been taken out of the queue instead.
            self.force_before = self.force_before.min(self.leases.next());
        }
    }

    fn take_leased(&mut self, leased: Vec<Leased<T>>) {
        self.supply.flows();
        for Leased { id, item, .. } in leased {
            let lease = self.begin_lease(id);
            let options = self.shared.options();
            let lane = self.lanes.to(item.end_point(options.end_point.as_ref()), options);
            lane.push(Part { lease, item });
        }
        self.load();
    }

    /// Groups that must go wait for what may still join them, unless there is no room for it.
    fn load(&mut self) {
        let all_leased = self.leases.next() >= self.force_before || self.unleased() == 0;
        let may_others_join = !all_leased && self.room() > 0;
        let (now, options) = (self.now(), self.shared.options());
        for lane in self.lanes.iter_mut() {
            lane.load(now, options, self.force_before, may_others_join);
        }
    }

    fn note_empty_lease(&mut self, now: Duration) {
        if self.unleased() == 0 {
            self.supply.flows();
        } else if self.supply.may_ask(now) {
            self.supply.ran_dry(now);
        }
    }

    /// How many items to lease now, if any.
    fn wanted(&self) -> Option<usize> {
        /// Keeps one call's memory and time small.
        const AT_ONCE: usize = 4_096;
        let now = self.now();
        if !self.supply.may_ask(now) || self.unleased() == 0 {
            return None;
        }
        let options = self.options();
        let requests = self.lanes.demand(now, options.rules.in_flight, self.looks_ahead());
        let wanted = requests.saturating_mul(options.batch_size).min(self.room()).min(AT_ONCE);
        (wanted > 0).then_some(wanted)
    }

    /// Whether to lease beyond what can be sent, to find items for other end points. Not under `DropOldest`: what is
    /// leased cannot make room.
    fn looks_ahead(&self) -> bool {
        let options = self.options();
        let has_others = options.end_point.is_none() && (T::GOES_ANYWHERE || self.lanes.are_several());
        has_others && options.when_full != WhenFull::DropOldest
    }

    /// How many items more may be leased. The bound is higher while an end point holds back what it has, so that the
    /// others get theirs.
    fn room(&self) -> usize {
        let window = self.options().window_max();
        let max = if self.looks_ahead() && self.lanes.some_are_blocked(self.now()) {
            self.shared.queue().leases_max().unwrap_or(window.saturating_mul(BLOCKED_WINDOWS))
        } else {
            window
        };
        max.saturating_sub(self.leases.open())
    }

    fn begin_lease(&mut self, id: u64) -> Lease {
        let lease = self.leases.begin(id);
        self.waiters.lease_begun(lease.sequence());
        lease
    }

    // Sending.

    fn send_what_may_go(&mut self) {
        let now = self.now();
        while let Some(job) = self.lanes.next(now) {
            self.send(job, now);
        }
    }

    fn send(&mut self, job: Job<T>, sent: Duration) {
        if let Some(center) = &self.center {
            center.send(&job.request);
        }
        let dispatcher = Arc::clone(&self.dispatcher);
        let request = job.request.clone();
        let span = tracing::debug_span!("request", events = request.events(), failures = job.failures);
        let dispatched = async move { dispatcher.dispatch_event(request).await }.instrument(span);
        let dispatched = AssertUnwindSafe(dispatched).catch_unwind();
        self.in_flight.push(Box::pin(async move {
            let answer = dispatched.await.unwrap_or(Err(DispatchError::Panicked));
            Answered { job, sent, answer }
        }));
    }

    // Settling.

    /// Does what an answer asks for.
    fn settle(&mut self, Answered { mut job, sent, answer }: Answered<T>) {
        let (now, now_ms) = (self.now(), self.shared.clock().now_ms());
        let verdict = verdict(&answer, now_ms);
        self.published.answered(verdict);
        let moment = Moment { sent, now, now_ms, held_at: job.held_at };
        self.learn(job.request.end_point(), verdict, &answer, moment);
        if matches!(verdict, Verdict::Retry { .. } | Verdict::Hold) {
            job.failed(&answer, now_ms);
        }
        let (step, sibling) = settle(job, verdict);
        self.take_step(step, &answer, now);
        if let Some(sibling) = sibling {
            self.take_step(sibling, &answer, now);
        }
    }

    fn learn(&mut self, end_point: &str, verdict: Verdict, answer: &Answer, moment: Moment) {
        let lane = self.lanes.to(end_point, self.shared.options());
        let had_trouble = lane.upstream().trouble().is_some();
        let change = lane.upstream_mut().answered(verdict, answer, moment);
        self.is_health_stale |= had_trouble || lane.upstream().trouble().is_some() || change.is_some();
        match change {
            Some(Change::Opened(why)) => log_opened(why, lane),
            Some(Change::Closed(_)) => {
                tracing::info!(end_point, "the end point works again");
                lane.schedule_mut().hurry(moment.now);
            }
            None => {}
        }
    }

    fn take_step(&mut self, step: Step<T>, answer: &Answer, now: Duration) {
        match step {
            Step::Delivered(parts) => self.delivered(parts),
            Step::Retry(job, at_least) => self.retry(job, at_least, now),
            Step::Hold(job) => self.hold(job, now),
            Step::Send(parts) => self.make_ready(parts),
            Step::SendBoth(Halves { left, right, split_lease }) => {
                self.note_split(split_lease);
                self.make_ready(left);
                self.make_ready(right);
            }
            Step::AskLeft(Halves { left, right, split_lease }) => {
                self.note_split(split_lease);
                self.ask_about(left, right);
            }
            Step::Bury(part, reason) => self.bury(part, reason, answer),
        }
    }

    fn lane_of(&mut self, parts: &[Part<T>]) -> Option<&mut Lane<T>> {
        let options = self.shared.options();
        let end_point = parts.first()?.item.end_point(options.end_point.as_ref());
        Some(self.lanes.to(end_point, options))
    }

    fn make_ready(&mut self, parts: Vec<Part<T>>) {
        let shared = Arc::clone(&self.shared);
        if let Some(lane) = self.lane_of(&parts) {
            lane.make_ready(parts, shared.options());
        }
    }

    fn ask_about(&mut self, left: Vec<Part<T>>, right: Vec<Part<T>>) {
        let mut job = Job::new(left, self.options().end_point.as_ref());
        job.sibling = Some(right);
        let lane = self.lanes.to(job.request.end_point(), self.shared.options());
        lane.schedule_mut().add_first(job);
    }

    fn note_split(&mut self, split: Option<Lease>) {
        if let Some(lease) = split {
            self.leases.split(lease);
        }
    }

    fn retry(&mut self, job: Job<T>, at_least: Duration, now: Duration) {
        let options = self.shared.options();
        let lane = self.lanes.to(job.request.end_point(), options);
        let floor = now.saturating_add(at_least.min(options.rules.retry_after_max));
        let wait = options.rules.backoff.wait(job.failures, lane.upstream_mut().jitter());
        lane.schedule_mut().add_later(job, now.saturating_add(wait), floor);
    }

    /// Slowly, whatever becomes of others meanwhile.
    fn hold(&mut self, mut job: Job<T>, now: Duration) {
        job.held_at = Some(now);
        let options = self.shared.options();
        let lane = self.lanes.to(job.request.end_point(), options);
        let wait = options.rules.hold_backoff.wait(job.failures, lane.upstream_mut().jitter());
        let due = now.saturating_add(wait);
        lane.schedule_mut().add_later(job, due, due);
    }

    fn delivered(&mut self, parts: Vec<Part<T>>) {
        let ended = parts.into_iter().map(|part| (part.lease, part.item.events(), Fate::Delivered));
        self.end(ended);
    }

    /// These parts have come to an end; so have their leases, once no other part of them is left. The books and the
    /// queue learn of it at one moment.
    fn end(&mut self, parts: impl Iterator<Item = (Lease, usize, Fate)>) {
        let Self { leases, waiters, shared, .. } = self;
        let mut ids = Vec::new();
        let answer = shared.books().act(|act| {
            for (lease, events, fate) in parts {
                match leases.end_part(lease, events, fate) {
                    PartEnd::Lost => continue,
                    PartEnd::OthersLeft => act.end_early(events),
                    PartEnd::Last { before } => {
                        act.end_whole(before);
                        ids.push(lease.id());
                        waiters.lease_ended(lease.sequence());
                    }
                }
                note(act, events, fate);
            }
            shared.queue().settle(&ids)
        });
        self.endings.begin(ids, answer, self.shared.clock().elapsed(), self.shared.clock().now_ms());
        self.shared.admission().room_made();
    }

    // Burying.

    fn bury(&mut self, part: Part<T>, reason: DeadReason, answer: &Answer) {
        let (status, text) = match answer {
            Ok(response) => (Some(response.status), response.text.clone()),
            Err(error) => (None, error.to_string()),
        };
        let is_whole = !self.leases.is_split(part.lease);
        let letter = self.shared.letter(part.item, reason, status, text);
        self.begin_burial(Burial { lease: part.lease, letter, is_whole });
    }

    fn begin_burial(&mut self, burial: Burial<T>) {
        let now = self.now();
        let kept = self.burials.begin(self.shared.letters(), burial, now);
        self.is_health_stale |= self.burials.trouble().is_some();
        if let Some(burial) = kept {
            self.buried(&burial);
        }
    }

    fn buried(&mut self, Burial { lease, letter, .. }: &Burial<T>) {
        self.shared.letters().tell(letter);
        self.end(std::iter::once((*lease, letter.item.events(), Fate::Buried(letter.reason))));
    }

    /// What the queue has let go to make room for newer items.
    fn bury_displaced(&mut self) {
        /// Keeps one call's memory and time small.
        const AT_ONCE: usize = 1_024;
        if self.burials.is_stuck() {
            return;
        }
        for Leased { id, item, .. } in self.shared.queue().displaced(AT_ONCE) {
            let lease = self.begin_lease(id);
            let letter = self.shared.letter(item, DeadReason::Displaced, None, String::new());
            self.begin_burial(Burial { lease, letter, is_whole: true });
        }
    }

    // What takes its time.

    /// Whatever is there by now, without waiting.
    fn take_what_is_there(&mut self) {
        while let Some(Some(answered)) = self.in_flight.next().now_or_never() {
            self.settle(answered);
        }
        self.burials.follow_replays(self.shared.letters());
        while let Some(event) = self.next_event().now_or_never() {
            self.take(event);
        }
    }

    /// The next thing that has taken its time, besides answers. Never resolves where there is none.
    async fn next_event(&mut self) -> Event<T> {
        let Self { burials, supply, endings, renewal, .. } = self;
        tokio::select! {
            biased;
            news = burials.next() => Event::Burial(news),
            leased = supply.next() => Event::Leased(leased),
            (ids, answer) = endings.next() => Event::Ended(ids, answer),
            lost = renewal.next() => Event::Lost(lost),
        }
    }

    fn take(&mut self, event: Event<T>) {
        let (now, now_ms) = (self.now(), self.shared.clock().now_ms());
        match event {
            Event::Burial(News::Kept(burial, kept)) => {
                self.is_health_stale = true;
                if let Some(burial) = self.burials.kept(burial, kept, now) {
                    self.buried(&burial);
                }
            }
            Event::Burial(News::Replayed(id, stored)) => self.shared.letters().replayed(id, stored.is_ok()),
            Event::Leased(answer) => {
                self.is_health_stale = true;
                let leased = self.supply.answered(answer, now, now_ms);
                if leased.is_empty() { self.note_empty_lease(now) } else { self.take_leased(leased) }
            }
            Event::Ended(ids, answer) => {
                self.is_health_stale = true;
                self.endings.ended(ids, answer, now, now_ms);
            }
            Event::Lost(ids) => self.lose(&ids),
        }
    }

    /// What failed a while ago, and what would run out.
    fn try_again(&mut self) {
        let (now, now_ms) = (self.now(), self.shared.clock().now_ms());
        for burial in self.burials.take_again(now) {
            self.begin_burial(burial);
        }
        let ids = self.endings.take_again(now);
        if !ids.is_empty() {
            let answer = self.shared.queue().settle(&ids);
            self.endings.begin(ids, answer, now, now_ms);
        }
        if self.renewal.is_due(now) {
            let ids = self.leases.ids();
            let lost = self.renewal.begin(self.shared.queue().renew(&ids), now);
            self.lose(&lost);
        }
    }

    /// The queue has taken these back: nobody here sends them again.
    fn lose(&mut self, ids: &[u64]) {
        if ids.is_empty() {
            return;
        }
        let Self { lanes, leases, shared, waiters, .. } = self;
        for (sequence, ended) in ids.iter().filter_map(|id| leases.lose(*id)).collect::<Vec<_>>() {
            waiters.lease_lost(sequence, leases.next());
            shared
                .books()
                .act(|act| ended.into_iter().for_each(|(fate, events)| take_back(act, events, fate)));
        }
        for lane in lanes.iter_mut() {
            let mut keep = |part: &Part<T>| {
                let is_lost = leases.is_lost(part.lease);
                if is_lost {
                    leases.end_part(part.lease, 0, Fate::Delivered);
                }
                !is_lost
            };
            lane.retain(&mut keep, shared.options().end_point.as_ref());
        }
    }

    // Sleeping.

    /// Waits until there is something to do.
    async fn sleep(&mut self) {
        let wake_at = self.wake_at();
        self.shared.mailbox().sleep_until(wake_at);
        if wake_at.is_some_and(|size| self.shared.queue().size() >= size) {
            self.shared.mailbox().awake();
            // Somebody is about to finish adding; lets them, where one thread runs both of us.
            tokio::task::yield_now().await;
            return;
        }
        self.set_timer();
        let shared = Arc::clone(&self.shared);
        let mut timer = self.timer.take();
        let mut in_flight = std::mem::take(&mut self.in_flight);
        let (mut answered, mut event) = (None, None);
        tokio::select! {
            biased;
            Some(next) = in_flight.next(), if !in_flight.is_empty() => answered = Some(next),
            next = self.next_event() => event = Some(next),
            () = shared.mailbox().woken() => {}
            () = wait(&mut timer) => timer = None,
        }
        (self.in_flight, self.timer) = (in_flight, timer);
        self.shared.mailbox().awake();
        if let Some(answered) = answered {
            self.settle(answered);
        }
        if let Some(event) = event {
            self.take(event);
        }
    }

    /// The queue's size from which there is something to do: a group could fill, or the queue is full.
    fn wake_at(&self) -> Option<usize> {
        let now = self.now();
        if !self.supply.may_ask(now) || self.room() == 0 {
            return None;
        }
        let missing = self.lanes.missing(now, self.options().batch_size, self.looks_ahead())?;
        let is_forced = self.force_before > self.leases.next();
        let open = self.leases.open();
        let size = open.saturating_add(if is_forced { 1 } else { missing });
        Some(size.min(self.shared.queue().capacity()).max(open + 1))
    }

    /// The next moment at which something has to be done whatever happens until then.
    fn set_timer(&mut self) {
        let now = self.now();
        let moments = [
            Some(self.next_tick),
            self.lanes.next_attempt(now),
            self.lanes.next_stall(now).filter(|_| self.looks_ahead()),
            self.published.due(),
            self.supply.due(now),
            self.endings.due(),
            self.renewal.due(),
            self.burials.due(),
            self.waiters.next_deadline(),
        ];
        let at = moments.into_iter().flatten().min().unwrap_or(self.next_tick);
        if self.timer.as_ref().is_none_or(|(set_for, _)| *set_for != at) {
            let sleep = self.shared.clock().sleep(at.saturating_sub(self.now()));
            self.timer = Some((at, sleep));
        }
    }

    // Telling.

    fn publish(&mut self, now_or_never: bool) {
        if std::mem::take(&mut self.is_health_stale) {
            self.shared.set_health(self.health());
        }
        self.published.publish(&self.shared, &self.lanes, now_or_never);
    }

    fn health(&self) -> Health {
        let trouble = self
            .burials
            .trouble()
            .or_else(|| self.supply.trouble())
            .or_else(|| self.endings.trouble())
            .cloned();
        Health { upstreams: self.lanes.health(), queue: trouble, ended: None }
    }

    /// Why what is left is left.
    fn reasons(&self) -> Vec<Trouble> {
        let now_ms = self.shared.clock().now_ms();
        let known = self.shared.health();
        let of_lanes = self.lanes.iter().flat_map(|lane| lane.troubles(now_ms));
        merged(known.ended.into_iter().chain(known.queue).chain(of_lanes))
    }

    /// Answers whoever need not or cannot wait any longer, while others do.
    fn answer_waiters(&mut self) {
        let over = self.waiters.take_over(self.progress());
        if over.is_empty() {
            return;
        }
        let ledger = self.shared.ledger();
        for (asked, left) in over {
            let reasons = if left > 0 { self.reasons() } else { Vec::new() };
            asked.answer(left, &CloseReport::new(ledger, reasons, None, Vec::new()));
        }
    }

    /// Everything unfinished goes back to the queue, and everybody who waits is told.
    async fn finish(&mut self) {
        let until = self.waiters.closing().unwrap_or_default();
        let reasons = self.reasons();
        self.in_flight.clear();
        self.finish_what_takes_its_time(until).await;
        self.shared.queue().release();
        let within = until.saturating_sub(self.now()).saturating_add(DISK_GRACE);
        self.shared.queue().finish(within).await;
        let not_stored = self.shared.give_up();
        let dispatcher = self.flush_dispatcher(until).await;
        self.publish(true);
        let told = self.shared.mailbox().end().unwrap_or_default();
        let asked = self.waiters.take_all().into_iter().chain(told.into_iter().map(|command| command.asked));
        let report = CloseReport::new(self.shared.ledger(), reasons, dispatcher, not_stored);
        asked.for_each(|asked| asked.answer(report.left, &report));
    }

    /// Gives burials and the queue's confirmations the time that is left.
    async fn finish_what_takes_its_time(&mut self, until: Duration) {
        while (self.burials.are_under_way() || !self.endings.are_confirmed()) && self.now() < until {
            let due = self.endings.due().unwrap_or(until).min(until);
            let mut sleep = Some((due, self.shared.clock().sleep(due.saturating_sub(self.now()))));
            let event = tokio::select! {
                event = self.next_event() => Some(event),
                () = wait(&mut sleep) => None,
            };
            match event {
                Some(event) => self.take(event),
                None => self.try_again(),
            }
        }
    }

    /// A dispatcher with a queue of its own gets what is left of the time.
    async fn flush_dispatcher(&mut self, until: Duration) -> Option<FlushReport> {
        let within = until.saturating_sub(self.now());
        let flush = AssertUnwindSafe(async { self.dispatcher.flush(within).await }).catch_unwind();
        tokio::select! {
            report = flush => report.ok().flatten(),
            () = self.shared.clock().sleep(within) => None,
        }
    }
}

/// How many windows may be leased while an end point holds back what it has, unless the queue sets its own bound.
const BLOCKED_WINDOWS: usize = 16;

/// Something that has taken its time.
enum Event<T> {
    Burial(News<T>),
    Leased(Result<Vec<Leased<T>>, crate::queue::QueueError>),
    Ended(Vec<u64>, Result<(), crate::queue::QueueError>),
    Lost(Vec<u64>),
}

/// Counts what became of these events.
fn note(act: &Act<'_>, events: usize, fate: Fate) {
    match fate {
        Fate::Delivered => act.deliver(events),
        Fate::Buried(reason) => act.bury(events, reason),
    }
}

/// They will come to an end again.
fn take_back(act: &Act<'_>, events: usize, fate: Fate) {
    act.end_whole(events);
    match fate {
        Fate::Delivered => act.take_back_delivered(events),
        Fate::Buried(reason) => act.take_back_buried(events, reason),
    }
}

fn log_opened<T: Item>(why: Why, lane: &Lane<T>) {
    let end_point = &**lane.upstream().end_point();
    let answer = lane.upstream().trouble().map_or("", |trouble| &trouble.what);
    match why {
        Why::Failing => {
            tracing::warn!(end_point, answer, "the end point fails; its events wait in the queue");
        }
        Why::Held => tracing::error!(
            end_point,
            answer,
            "the end point refuses every request; put its address or credential right; its events wait in the queue"
        ),
    }
}

async fn wait(timer: &mut Option<(Duration, Sleep)>) {
    match timer {
        Some((_, sleep)) => sleep.await,
        None => std::future::pending().await,
    }
}

/// Whatever ends the machine: those who wait hear of it, and its leases end.
impl<T: Item> Drop for Machine<T> {
    fn drop(&mut self) {
        if let Some(unanswered) = self.shared.mailbox().end() {
            // Their receivers see that no answer will come.
            drop(unanswered);
            self.shared.queue().release();
        }
    }
}
