//! The loop: it leases, sends and settles until it is told to close. Each part says what it may do; this file says in
//! which order.
//!
//! Invariant: every part of a lease that lasts is in exactly one of what is not grouped, an open group, a request that is ready,
//! waiting or under way, a half that is kept back for one of these, or a burial.

mod answers;
mod backlog;
mod telling;
mod under_way;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::task::unconstrained;

use self::{
    backlog::Backlog,
    under_way::{Answered, UnderWay},
};
use super::{
    ends::Ends,
    expiry::Expiry,
    guard::panic_text,
    item::Item,
    job::Part,
    lanes::Lanes,
    line::{Line, Lines},
    options::{Options, WhenFull},
    pending::Asked,
    shared::Shared,
    supply::Supply,
    telemetry::Published,
};
use crate::{
    clock::Sleep,
    dispatch::Dispatcher,
    notification,
    outcome::Pulse,
    queue::{Leased, QueueError},
};

/// One delivery pipeline at work.
pub(super) struct Machine<T: Item> {
    shared: Arc<Shared<T>>,
    dispatcher: Arc<dyn Dispatcher>,
    center: Option<Arc<notification::Center>>,
    supply: Supply<T>,
    backlog: Backlog<T>,
    lanes: Lanes<T>,
    in_flight: FuturesUnordered<UnderWay<T>>,
    ends: Ends<T>,
    expiry: Expiry,
    /// New leases before this sequence are not to wait for their group to fill.
    force_before: u64,
    next_tick: Duration,
    timer: Option<(Duration, Sleep)>,
    published: Published,
    /// Something has changed that others want to know of.
    is_health_stale: bool,
    /// Health says that something is wrong with the queue or the dead letters.
    told_of_trouble: bool,
    /// How many end points had been found when health was last told.
    told_of_lanes: u64,
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
        Self {
            center: options.sdk_key.as_deref().map(notification::center),
            supply: Supply::default(),
            backlog: Backlog::default(),
            lanes: Lanes::new(options.seed),
            in_flight: FuturesUnordered::new(),
            ends: Ends::new(Arc::clone(&shared)),
            expiry: Expiry::new(options.age_max),
            force_before: 0,
            next_tick: now.saturating_add(options.flush_interval),
            timer: None,
            published: Published::new(&shared),
            is_health_stale: false,
            told_of_trouble: false,
            told_of_lanes: 0,
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
            self.shared.ended_by(why);
        }
        if AssertUnwindSafe(self.finish()).catch_unwind().await.is_err() {
            tracing::error!("delivery panicked while it ended");
        }
    }

    async fn work(&mut self) -> End {
        self.begin_backlog();
        loop {
            self.take_commands();
            self.take_what_is_there();
            self.tell_of_much_room();
            self.ends.try_again(&mut self.lanes);
            self.ends.bury_displaced(self.backlog.line());
            self.end_backlog();
            self.tick();
            self.expire();
            self.forget_old_letters();
            self.fill();
            self.send_what_may_go();
            self.shared.set_backlog(self.events_of_backlog());
            self.publish(false);
            if let Some(why) = self.shared.queue().broken() {
                return End::Broken(why.to_owned());
            }
            if self.ends.is_time_to_end(self.unleased_lines()) {
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
        self.shared.queue().size().saturating_sub(self.ends.open())
    }

    fn take_commands(&mut self) {
        for command in self.shared.mailbox().take() {
            if let Asked::Ping(answer) = command.asked {
                // Whoever asked may have stopped listening.
                let _ = answer.send(Pulse::Beating);
                continue;
            }
            if command.asked.is_close() {
                // Whoever was about to add has done so then, or never will.
                self.shared.queue().close();
            }
            self.force();
            self.ends.wait(command, self.unleased_lines());
        }
    }

    /// Everything goes at each interval. It goes when the queue is full, too: a group that cannot fill would keep it
    /// full. That does not hold where a backlog fills it, which goes anyway.
    fn tick(&mut self) {
        let now = self.now();
        let is_time = now >= self.next_tick;
        if is_time {
            self.next_tick = now.saturating_add(self.options().flush_interval);
        }
        let is_full = self.shared.admission().has_been_full() || self.is_full();
        if is_time || is_full && self.ends.open_paced() == 0 || self.is_stuck() {
            self.force();
        }
    }

    fn forget_old_letters(&self) {
        self.shared.letters().forget_old(self.now(), self.shared.clock().now_ms());
    }

    /// What waits and is too old becomes a dead letter.
    fn expire(&mut self) {
        let (now, now_ms) = (self.now(), self.shared.clock().now_ms());
        if !self.expiry.is_due(now, now_ms) {
            return;
        }
        let Self { lanes, expiry, shared, .. } = self;
        let mut over = Vec::new();
        let mut keep = |part: &Part<T>| {
            let is_over = expiry.is_over(&part.item, now_ms);
            over.extend(is_over.then(|| part.clone()));
            !is_over
        };
        lanes.retain(&mut keep, shared.options());
        for part in over {
            self.ends.expire(part, self.expiry.reason());
        }
    }

    /// Callers who wait for room are told before the machine sleeps; while it works, once there is room for many: each of
    /// them told by itself would cost more than its event.
    fn tell_of_much_room(&mut self) {
        /// Of the queue.
        const SHARE: usize = 8;
        let capacity = self.shared.queue().capacity();
        if self.shared.queue().size() <= capacity - capacity / SHARE {
            self.ends.tell_of_room();
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
        let all = self.ends.next_sequences().new.saturating_add(self.unleased_new() as u64);
        self.force_before = self.force_before.max(all);
    }

    /// Leases as much as can be sent now, and makes requests of it.
    fn fill(&mut self) {
        self.load();
        while let Some(wanted) = self.wanted() {
            let answer = self.shared.queue().lease(wanted, self.ends.bytes_left(Line::New));
            let now = self.now();
            let leased = self.supply.ask(answer, now, self.shared.clock().now_ms());
            if leased.is_empty() {
                self.note_empty_lease(now);
                break;
            }
            self.take_leased(leased, Line::New);
        }
        self.fill_from_backlog();
        if self.unleased_new() == 0 {
            // What was to go may have been taken out of the queue instead.
            self.force_before = self.force_before.min(self.ends.next_sequences().new);
        }
    }

    fn take_leased(&mut self, leased: Vec<Leased<T>>, line: Line) {
        self.supply_of(line).flows();
        let now_ms = self.shared.clock().now_ms();
        for Leased { id, item, .. } in leased {
            let lease = self.ends.begin_lease(line, id, || item.bytes());
            self.supply_of(line).leased(item.events());
            let part = Part { lease, item };
            if self.expiry.is_over(&part.item, now_ms) {
                self.ends.expire(part, self.expiry.reason());
            } else {
                self.lanes.push(part, self.shared.options());
            }
        }
        self.load();
    }

    /// Groups that must go wait for what may still join them, unless there is no room for it.
    fn load(&mut self) {
        let all_leased = self.ends.next_sequences().new >= self.force_before || self.unleased_new() == 0;
        // What others have leased, where others share the queue, will not join either.
        let may_others_join = !all_leased && !self.supply.is_dry() && self.room() > 0;
        let may_join_backlog = self.may_join_backlog();
        let (now, options) = (self.now(), self.shared.options());
        for lane in self.lanes.iter_mut() {
            lane.load(now, options, self.force_before, may_others_join);
            lane.load_paced(now, options, may_join_backlog);
        }
    }

    fn note_empty_lease(&mut self, now: Duration) {
        if self.unleased_new() == 0 && !self.backlog.is_all() {
            self.supply.flows();
        } else if self.supply.may_ask(now) {
            self.supply.ran_dry(now);
        }
    }

    /// How many items to lease now, if any.
    fn wanted(&self) -> Option<usize> {
        let now = self.now();
        if !self.supply.may_ask(now) || self.unleased_new() == 0 {
            return None;
        }
        let options = self.options();
        let requests = self.lanes.demand(now, options.rules.in_flight, self.looks_ahead());
        let events = requests.saturating_mul(options.batch_size);
        let wanted = self.supply.items_of(events).min(self.room()).min(AT_ONCE);
        (wanted > 0).then_some(wanted)
    }

    /// Whether to lease beyond what can be sent, for the sake of end points that are not known yet.
    fn looks_ahead(&self) -> bool {
        let has_others = || T::GOES_ANYWHERE || self.lanes.are_several();
        self.may_look_ahead() && (has_others() || self.lanes.some_are_blocked(self.now()))
    }

    /// Not where the oldest is to make room for the newest: what is leased cannot.
    fn may_look_ahead(&self) -> bool {
        let options = self.options();
        options.end_point.is_none() && options.when_full != WhenFull::DropOldest
    }

    /// How many items more may be leased. The bound is higher while an end point holds back what it has, so that the
    /// others get theirs.
    fn room(&self) -> usize {
        if self.ends.bytes_left(Line::New) == 0 {
            return 0;
        }
        let open = self.ends.open() - self.ends.open_paced();
        self.leases_max(self.options().window_max()).saturating_sub(open)
    }

    fn leases_max(&self, window: usize) -> usize {
        if self.may_look_ahead() && self.lanes.some_are_blocked(self.now()) {
            self.shared.queue().leases_max().unwrap_or(window.saturating_mul(BLOCKED_WINDOWS))
        } else {
            window
        }
    }

    fn send_what_may_go(&mut self) {
        let now = self.now();
        while let Some(job) = self.lanes.next(now) {
            self.send(job, now);
        }
    }

    /// Whatever is there by now, without waiting.
    fn take_what_is_there(&mut self) {
        let at = self.at();
        while let Some(answered) = self.answered() {
            self.settle(answered, at);
        }
        self.ends.follow_letters();
        while let Some(event) = self.ends.next_event().now_or_never() {
            self.ends.take(event, &mut self.lanes);
        }
        if let Some(leased) = self.supply.next().now_or_never() {
            self.take_late_leases(leased, Line::New);
        }
        if let Some(leased) = self.backlog.supply_mut().next().now_or_never() {
            self.take_late_leases(leased, Line::Backlog);
        }
    }

    /// A request whose answer is there. All of them are looked at in one turn: were tokio to say after some that the turn is
    /// over, each of the others would be asked again, and again in vain.
    fn answered(&mut self) -> Option<Answered<T>> {
        unconstrained(self.in_flight.next()).now_or_never().flatten()
    }

    /// The queue has taken its time to lease.
    fn take_late_leases(&mut self, leased: Result<Vec<Leased<T>>, QueueError>, line: Line) {
        self.is_health_stale = true;
        let (now, now_ms) = (self.now(), self.shared.clock().now_ms());
        let leased = self.supply_of(line).answered(leased, now, now_ms);
        match line {
            _ if !leased.is_empty() => self.take_leased(leased, line),
            Line::New => self.note_empty_lease(now),
            Line::Backlog => self.note_empty_backlog(now),
        }
    }

    /// Waits until there is something to do.
    async fn sleep(&mut self) {
        let wake_at = self.wake_at();
        if wake_at.is_some_and(|at| !self.shared.mailbox().wake_at(at, || self.shared.queue().size())) {
            // It has come meanwhile. Lets others go on, where one thread runs all of us.
            tokio::task::yield_now().await;
            return;
        }
        // What was sent just now is written here, and a server that is near may have answered already.
        if let Some(answered) = self.answered() {
            self.shared.mailbox().wake_at_no_size();
            self.settle(answered, self.at());
            // A dispatcher that answers at once lets others on this thread have their turn, too.
            tokio::task::coop::consume_budget().await;
            return;
        }
        self.ends.tell_of_room();
        self.set_timer();
        let shared = Arc::clone(&self.shared);
        let Self { in_flight, ends, supply, backlog, timer, .. } = self;
        let (mut answered, mut event, mut leased) = (None, None, None);
        tokio::select! {
            biased;
            Some(next) = unconstrained(in_flight.next()), if !in_flight.is_empty() => answered = Some(next),
            next = ends.next_event() => event = Some(next),
            next = supply.next() => leased = Some((next, Line::New)),
            next = backlog.supply_mut().next() => leased = Some((next, Line::Backlog)),
            () = shared.mailbox().woken() => {}
            () = wait(timer) => *timer = None,
        }
        shared.mailbox().wake_at_no_size();
        if let Some(answered) = answered {
            self.settle(answered, self.at());
        }
        if let Some(event) = event {
            self.ends.take(event, &mut self.lanes);
        }
        if let Some((leased, line)) = leased {
            self.take_late_leases(leased, line);
        }
    }

    /// The queue's size from which there is something to do: a group could fill, or the queue is full.
    fn wake_at(&self) -> Option<usize> {
        let now = self.now();
        if !self.supply.may_ask(now) || self.room() == 0 {
            return None;
        }
        let missing = self.lanes.missing(now, self.options().batch_size, self.looks_ahead())?;
        if self.backlog.is_all() {
            // Whatever comes stands behind it.
            return None;
        }
        let is_forced = self.force_before > self.ends.next_sequences().new;
        let others = self.ends.open() + self.unleased_backlog();
        let size = others.saturating_add(if is_forced { 1 } else { self.supply.items_of(missing) });
        Some(size.min(self.shared.queue().capacity()).max(others + 1))
    }

    /// The next moment at which something has to be done whatever happens until then.
    fn set_timer(&mut self) {
        let now = self.now();
        let moments = [
            Some(self.next_tick),
            self.lanes.next_attempt(now),
            self.lanes.next_stall(now).filter(|_| self.may_look_ahead()),
            self.published.due(),
            self.supply.due(now),
            self.backlog.supply().due(now),
            self.ends.due(),
            self.shared.letters().next_look(),
            self.expiry.due(now, self.shared.clock().now_ms()),
        ];
        let at = moments.into_iter().flatten().min().unwrap_or(self.next_tick);
        if self.timer.as_ref().is_none_or(|(set_for, _)| *set_for != at) {
            let sleep = self.shared.clock().sleep(at.saturating_sub(self.now()));
            self.timer = Some((at, sleep));
        }
    }
}

/// Items leased in one call, at most. Keeps its memory and time small.
const AT_ONCE: usize = 4_096;

/// How many windows may be leased while an end point holds back what it has, unless the queue sets its own bound.
const BLOCKED_WINDOWS: usize = 16;

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
