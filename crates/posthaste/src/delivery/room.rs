//! Where callers wait for room in a full queue ([`WhenFull::Block`](super::WhenFull::Block)).

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// A place to wait in.
#[derive(Debug, Default)]
pub(super) struct Room {
    waiting: AtomicUsize,
    lock: Mutex<()>,
    freed: Condvar,
}

impl Room {
    /// Calls `attempt` with what it gave back, until it gives nothing back or time is up; then once more.
    #[expect(clippy::disallowed_methods, reason = "a blocked thread can only wait in real time")]
    pub(super) fn until<I, R>(
        &self,
        bound: Duration,
        mut item: I,
        attempt: impl Fn(I) -> Attempt<I, R>,
    ) -> Attempt<I, R> {
        let give_up = Instant::now().checked_add(bound);
        self.waiting.fetch_add(1, SeqCst);
        let ended = loop {
            let mut lock = self.lock.lock();
            // Tried under the lock, so that room made from here on wakes us.
            item = match attempt(item) {
                Attempt::Again(back, _) if Self::wait(&self.freed, &mut lock, give_up) => back,
                Attempt::Again(back, _) => {
                    drop(lock);
                    break attempt(back);
                }
                done @ Attempt::Done(_) => break done,
            };
        };
        self.waiting.fetch_sub(1, SeqCst);
        ended
    }

    /// Tells callers who wait that there is room, or will never be.
    pub(super) fn made(&self) {
        if self.waiting.load(SeqCst) > 0 {
            drop(self.lock.lock());
            self.freed.notify_all();
        }
    }

    /// False: nobody said anything in time. Without end where there is no time to give up at.
    fn wait(freed: &Condvar, lock: &mut MutexGuard<'_, ()>, give_up: Option<Instant>) -> bool {
        if let Some(give_up) = give_up {
            return !freed.wait_until(lock, give_up).timed_out();
        }
        freed.wait(lock);
        true
    }
}

/// What has come of an attempt.
pub(super) enum Attempt<I, R> {
    /// There was no room, says the reason; this is to be tried again.
    Again(I, crate::outcome::Refusal),
    /// It is over.
    Done(R),
}
