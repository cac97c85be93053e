//! Where callers wait for room in a full queue ([`WhenFull::Block`](super::WhenFull::Block)).

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// A place to wait in.
#[derive(Debug, Default)]
pub(super) struct Room {
    waiting: AtomicUsize,
    /// How often room has been made while somebody waited.
    made: Mutex<u64>,
    freed: Condvar,
}

impl Room {
    /// Calls `attempt` with what it gave back, until it gives nothing back or time is up; then once more. No lock is held
    /// meanwhile: the queue may say in the midst of it that there is room.
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
            // Looked at first, so that room made during the attempt counts.
            let seen = *self.made.lock();
            item = match attempt(item) {
                Attempt::Again(back, _) if self.wait_for_more(seen, give_up) => back,
                Attempt::Again(back, _) => break attempt(back),
                done @ Attempt::Done(_) => break done,
            };
        };
        self.waiting.fetch_sub(1, SeqCst);
        ended
    }

    /// Tells callers who wait that there is room, or will never be.
    pub(super) fn made(&self) {
        if self.waiting.load(SeqCst) > 0 {
            *self.made.lock() += 1;
            self.freed.notify_all();
        }
    }

    /// False: no room was made in time. Without end where there is no time to give up at.
    fn wait_for_more(&self, seen: u64, give_up: Option<Instant>) -> bool {
        let mut made = self.made.lock();
        while *made == seen {
            match give_up {
                None => self.freed.wait(&mut made),
                Some(at) if self.freed.wait_until(&mut made, at).timed_out() => return *made != seen,
                Some(_) => {}
            }
        }
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
