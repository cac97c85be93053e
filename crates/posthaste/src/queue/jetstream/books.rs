//! What all queues of a connection have counted together: those that are there, and those that are gone.
//!
//! Invariant: what was counted once stays counted, whatever becomes of the queue that has counted it.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{state::State, traffic::Traffic};

#[derive(Debug, Default)]
pub(super) struct Books(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: Vec<Weak<Mutex<State>>>,
    closed: Traffic,
}

impl Books {
    pub(super) fn open(&self, state: &Arc<Mutex<State>>) {
        self.0.lock().open.push(Arc::downgrade(state));
    }

    /// The queue ends: its counts stay.
    pub(super) fn close(&self, state: &Arc<Mutex<State>>) {
        let traffic = state.lock().traffic();
        let mut inner = self.0.lock();
        inner.open.retain(|open| !std::ptr::eq(open.as_ptr(), Arc::as_ptr(state)));
        inner.closed += traffic.at_last();
    }

    pub(super) fn sum(&self) -> Traffic {
        let inner = self.0.lock();
        let mut sum = inner.closed;
        for state in inner.open.iter().filter_map(Weak::upgrade) {
            sum += state.lock().traffic();
        }
        sum
    }
}
