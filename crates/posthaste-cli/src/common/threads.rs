//! Threads, where there may be few of them.
//!
//! Some crates start theirs in a way that panics if that fails. So each command tries before it begins whether there
//! can be enough of them at once.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::exit::Failure;

/// What a run starts: reading, delivery of two kinds, a spool and its dead letters, timers; and some to spare.
pub(crate) const OF_A_RUN: usize = 12;
/// What it takes to mend a spool, or to serve.
pub(crate) const OF_A_SERVICE: usize = 8;

/// Refuses to begin where fewer than this can be started.
pub(crate) fn need(needed: usize) -> Result<(), Failure> {
    start(needed).map_err(|source| Failure::Threads { needed, source })
}

/// Whether one more can be started now.
pub(crate) fn can_be_started() -> bool {
    start(1).is_ok()
}

/// They are all there before the first one ends.
fn start(count: usize) -> io::Result<()> {
    let mut started = Vec::new();
    let result = (0..count).try_for_each(|_| {
        started.push(waiting()?);
        Ok(())
    });
    for (go, thread) in started {
        drop(go);
        // It does nothing, so it does not panic.
        drop(thread.join());
    }
    result
}

/// A thread that ends when the sender is dropped.
fn waiting() -> io::Result<(SyncSender<()>, thread::JoinHandle<()>)> {
    let (go, gone): (_, Receiver<()>) = sync_channel(0);
    let thread = thread::Builder::new().spawn(move || gone.iter().for_each(drop))?;
    Ok((go, thread))
}
