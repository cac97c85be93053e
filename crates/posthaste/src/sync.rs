//! The locks and the words that threads share where their order matters. A model (`tests/model`) compiles the same files
//! over loom's, which tries every order.

pub(crate) use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

pub(crate) use parking_lot::{Mutex, MutexGuard};
