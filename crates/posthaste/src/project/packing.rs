//! A visitor's attributes as its events carry them, kept for the next event.
//!
//! Whoever has one event gains nothing by that, so they are kept from the second event on. What is kept is what the
//! first datafile made of them; under another, they are packed anew for each event, as without it. An event that finds
//! them only reads.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::tables::DatafileId;

/// A visitor's place for them.
#[derive(Default)]
pub(crate) struct KeptPacking {
    is_wanted: AtomicBool,
    /// Clones of the visitor share it.
    kept: OnceLock<Arc<Packing>>,
}

/// Attributes as packed, and what was left out.
#[derive(Debug)]
pub(crate) struct Packing {
    pub(crate) datafile: DatafileId,
    pub(crate) packed: Box<[u8]>,
    pub(crate) counts: PackingCounts,
}

/// How many attributes are there, and how many were left out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PackingCounts {
    pub(crate) sent: usize,
    /// Not in the datafile.
    pub(crate) unknown: u64,
    /// Of a value that cannot be sent.
    pub(crate) invalid: u64,
}

impl KeptPacking {
    /// What is kept for this datafile.
    #[inline]
    pub(crate) fn get(&self, datafile: DatafileId) -> Option<&Packing> {
        self.kept.get().map(|packing| &**packing).filter(|packing| packing.datafile == datafile)
    }

    /// Keeps what `make` gives, once somebody has asked for the second time.
    pub(crate) fn offer(&self, make: impl FnOnce() -> Packing) {
        if self.kept.get().is_some() {
            return;
        }
        if self.is_wanted.load(Relaxed) {
            self.kept.get_or_init(|| Arc::new(make()));
        } else {
            self.is_wanted.store(true, Relaxed);
        }
    }
}

impl Clone for KeptPacking {
    fn clone(&self) -> Self {
        Self { is_wanted: AtomicBool::new(self.is_wanted.load(Relaxed)), kept: self.kept.clone() }
    }
}

/// It follows from the attributes.
impl PartialEq for KeptPacking {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl fmt::Debug for KeptPacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptPacking").finish_non_exhaustive()
    }
}
