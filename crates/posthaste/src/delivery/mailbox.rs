//! How callers reach the machine: by commands, which never queue behind data, and by waking it.
//!
//! The machine says from which size of the queue on it has something to do. Callers wake it only then.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

use super::pending::Asked;

/// No size that a queue can reach.
const AWAKE: usize = usize::MAX;

/// What waits for the machine.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    wake: Notify,
    /// The queue's size from which the machine wants to be woken; [`AWAKE`] while it does not sleep.
    wake_at: AtomicUsize,
    commands: Mutex<Commands<T>>,
}

#[derive(Debug)]
struct Commands<T> {
    pending: Vec<Command<T>>,
    /// The machine has ended: nobody will look.
    ended: bool,
}

/// To flush, or to flush and end.
#[derive(Debug)]
pub(super) struct Command<T> {
    pub(super) within: Duration,
    pub(super) asked: Asked<T>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            wake_at: AtomicUsize::new(AWAKE),
            commands: Mutex::new(Commands { pending: Vec::new(), ended: false }),
        }
    }
}

impl<T> Mailbox<T> {
    /// Hands a command to the machine. One that has ended drops it, and whoever waits for the answer sees that.
    pub(super) fn command(&self, command: Command<T>) {
        let mut commands = self.commands.lock();
        if commands.ended {
            return;
        }
        commands.pending.push(command);
        drop(commands);
        self.wake();
    }

    /// What has been told since the last call.
    pub(super) fn take(&self) -> Vec<Command<T>> {
        std::mem::take(&mut self.commands.lock().pending)
    }

    /// The machine ends: what has been told and not looked at, once.
    pub(super) fn end(&self) -> Option<Vec<Command<T>>> {
        let mut commands = self.commands.lock();
        let was_over = std::mem::replace(&mut commands.ended, true);
        (!was_over).then(|| std::mem::take(&mut commands.pending))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.commands.lock().ended
    }

    /// Whatever it does, it shall look again.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The queue has grown to this size.
    pub(super) fn grown_to(&self, size: usize) {
        if size >= self.wake_at.load(SeqCst) && self.wake_at.swap(AWAKE, SeqCst) != AWAKE {
            self.wake.notify_one();
        }
    }

    /// The machine wants to be woken once the queue has this size; `None`: at no size, as while it is awake.
    pub(super) fn sleep_until(&self, size: Option<usize>) {
        self.wake_at.store(size.unwrap_or(AWAKE), SeqCst);
    }

    pub(super) fn woken(&self) -> Notified<'_> {
        self.wake.notified()
    }
}
