//! Bytes free on the disk of the data folder, as they were read last. A disk that hangs may hold up whoever asks for them
//! for ever: that is one thread, and nobody waits for it for long.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use parking_lot::Mutex;

use super::PATIENCE;
use crate::{config::Store, relay::Relay};

/// How many there are, and who asks.
pub(in crate::admin) struct FreeBytes(Arc<Inner>);

struct Inner {
    ask: Box<dyn Fn() -> Option<u64> + Send + Sync>,
    /// Somebody asks.
    is_asked: AtomicBool,
    last: Mutex<Option<u64>>,
}

impl FreeBytes {
    pub(in crate::admin) fn of(relay: &Relay) -> Self {
        match &relay.config().store {
            Store::Disk { folder, .. } => {
                let folder = folder.clone();
                Self::by(move || free_bytes(&folder))
            }
            Store::Memory { .. } => Self::by(|| None),
        }
    }

    fn by(ask: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { ask: Box::new(ask), is_asked: AtomicBool::new(false), last: Mutex::default() }))
    }

    /// None: nobody could say, so far.
    pub(super) async fn look(&self) -> Option<u64> {
        if !self.0.is_asked.swap(true, SeqCst) {
            let inner = Arc::clone(&self.0);
            let asked = tokio::task::spawn_blocking(move || {
                *inner.last.lock() = (inner.ask)();
                inner.is_asked.store(false, SeqCst);
            });
            drop(tokio::time::timeout(PATIENCE, asked).await);
        }
        *self.0.last.lock()
    }
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl fmt::Debug for FreeBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreeBytes").field("last", &self.0.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::AtomicU64, mpsc};

    use super::*;

    /// On the only thread that there is: whoever asks for the disk elsewhere does not hold up the others.
    #[tokio::test]
    async fn a_disk_that_hangs_costs_one_thread_and_the_last_answer_is_told_meanwhile() {
        let asked = Arc::new(AtomicU64::new(0));
        let (go_on, waits) = mpsc::sync_channel::<()>(1);
        let (waits, count) = (Mutex::new(waits), Arc::clone(&asked));
        let free = FreeBytes::by(move || {
            let number = count.fetch_add(1, SeqCst) + 1;
            if number == 2 {
                assert!(waits.lock().recv().is_ok());
            }
            Some(number)
        });
        assert_eq!(free.look().await, Some(1));
        for _ in 0..5 {
            assert_eq!(free.look().await, Some(1), "the disk hangs");
        }
        assert_eq!(asked.load(SeqCst), 2, "nobody asks behind it");
        go_on.send(()).unwrap();
        while free.look().await == Some(1) {
            tokio::task::yield_now().await;
        }
        assert!(free.look().await > Some(2), "it is asked again");
    }

    #[test]
    fn a_folder_tells_of_its_disk_and_one_that_is_not_there_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(folder.path()).unwrap() > 0);
        assert_eq!(free_bytes(&folder.path().join("none")), None);
    }
}
