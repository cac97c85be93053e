//! When the machine has nothing to do, and what ends that: an answer, a caller, a moment.
//!
//! Callers wake it only where that gets something done: it says beforehand from which size of the queue on.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use futures_util::StreamExt;

use super::{breaker::Permission, item::Item, machine::Machine, shared::AWAKE};
use crate::clock::Sleep;

impl<T: Item> Machine<T> {
    /// Waits until there is something to do.
    pub(super) async fn sleep(&mut self) {
        let wake_at = self.wake_at();
        self.shared.wake_at.store(wake_at, SeqCst);
        if self.shared.queue.size() >= wake_at {
            self.shared.wake_at.store(AWAKE, SeqCst);
            // Somebody is about to finish adding; lets them, where one thread runs both of us.
            tokio::task::yield_now().await;
            return;
        }
        self.set_timer();
        let Self { in_flight, burying, replaying, shared, timer, .. } = self;
        let (mut answered, mut buried, mut replayed, mut timer_over) = (None, None, None, false);
        tokio::select! {
            biased;
            Some(next) = in_flight.next(), if !in_flight.is_empty() => answered = Some(next),
            Some(next) = burying.next(), if !burying.is_empty() => buried = Some(next),
            Some(next) = replaying.next(), if !replaying.is_empty() => replayed = Some(next),
            () = shared.wake.notified() => {}
            () = wait(timer) => timer_over = true,
        }
        if let Some((id, stored)) = replayed {
            self.replayed(id, stored.is_ok());
        }
        self.shared.wake_at.store(AWAKE, SeqCst);
        if timer_over {
            self.timer = None;
        }
        if let Some((burial, kept)) = buried {
            self.take_burial(burial, kept);
        }
        if let Some(answered) = answered {
            self.settle(answered);
        }
    }

    /// The queue's size from which there is something to do: a group could fill, or the queue is full.
    fn wake_at(&self) -> usize {
        let resting = self.lease_from.is_some_and(|from| self.now() < from);
        if resting || self.room() == 0 || self.free() <= self.ready.len() {
            return AWAKE;
        }
        let forced = self.force_before > self.next_sequence;
        let missing = if forced { 1 } else { self.groups.missing() };
        (self.unsettled + missing).min(self.shared.queue.capacity()).max(self.unsettled + 1)
    }

    /// The next moment at which something has to be done whatever happens until then.
    fn set_timer(&mut self) {
        let now = self.now();
        let lease_from = self.lease_from.filter(|from| now < *from);
        let at =
            [Some(self.next_tick), self.next_attempt(), self.published.due(), lease_from, self.bury_from]
                .into_iter()
                .flatten()
                .chain(self.waiters.iter().map(|waiter| waiter.deadline))
                .min()
                .unwrap_or(self.next_tick);
        if self.timer.as_ref().is_none_or(|(set_for, _)| *set_for != at) {
            let sleep = self.shared.clock.sleep(at.saturating_sub(self.now()));
            self.timer = Some((at, sleep));
        }
    }

    /// When a job that waits may be sent, if that is a matter of time alone.
    fn next_attempt(&self) -> Option<Duration> {
        let floor = || self.waiting.values().map(|waiting| waiting.floor).min();
        match self.breaker.permission(self.now()) {
            Permission::Send if self.in_flight.len() < self.limiter.limit() => {
                self.waiting.keys().next().map(|(due, _)| *due)
            }
            Permission::Probe if self.in_flight.is_empty() => floor(),
            Permission::NotBefore(until) if !self.ready.is_empty() => Some(until),
            Permission::NotBefore(until) => floor().map(|floor| floor.max(until)).or(Some(until)),
            _ => None,
        }
    }
}

async fn wait(timer: &mut Option<(Duration, Sleep)>) {
    match timer {
        Some((_, sleep)) => sleep.await,
        None => std::future::pending().await,
    }
}
