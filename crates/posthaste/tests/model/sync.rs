//! loom's locks and words, called as the library calls its own.

use loom::sync;
pub(crate) use loom::sync::{
    MutexGuard,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

#[derive(Debug)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(of: T) -> Self {
        Self(sync::Mutex::new(of))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}
