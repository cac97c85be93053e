//! How callers reach the machine: by commands, which never queue behind data, and by waking it.
//!
//! The machine says from which size of the queue on it has something to do. Callers wake it only then.

use std::time::Duration;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

use super::{alarm::Alarm, pending::Asked};

/// What waits for the machine.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    wake: Notify,
    /// Whoever adds reads it: nothing else that changes shares its cache lines.
    alarm: CachePadded<Alarm>,
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
            alarm: CachePadded::new(Alarm::new()),
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

    /// One more item is in the queue.
    pub(super) fn one_more(&self) {
        if self.alarm.one_more() {
            self.wake();
        }
    }

    /// The queue may have grown, to this size.
    pub(super) fn grown(&self, size: impl FnOnce() -> usize) {
        if self.alarm.grown(size) {
            self.wake();
        }
    }

    /// The machine is about to sleep, and wants to be woken once the queue has this size. False: it has it by now.
    pub(super) fn wake_at(&self, at: usize, size: impl FnOnce() -> usize) -> bool {
        self.alarm.set(at, size)
    }

    /// No size of the queue is a reason to wake.
    pub(super) fn wake_at_no_size(&self) {
        self.alarm.stop();
    }

    pub(super) fn woken(&self) -> Notified<'_> {
        self.wake.notified()
    }
}
