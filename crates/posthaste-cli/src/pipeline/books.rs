//! What has become of lines and events.

use posthaste::{Ledger, Refusal};

use crate::lines::Fault;

/// Why a line could not be handed over.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// There is something wrong with it.
    Fault(Fault),
    /// Nothing is taken any more.
    Closed,
    /// The spool could not store it, nor lines before it that it was to be stored with.
    NotStored(Refusal),
}

/// What has become of events.
#[derive(Debug)]
pub(crate) struct Books {
    /// Of those of event lines, and of those of batches; a spool does not tell them apart.
    pub(crate) by_kind: Option<(Ledger, Ledger)>,
    /// Of all events that this run took or recovered.
    pub(crate) total: Ledger,
    /// Where the queue outlives a run: what only that brings.
    pub(crate) spooled: Option<SpooledBooks>,
}

/// What is counted of a spool besides.
#[derive(Debug)]
pub(crate) struct SpooledBooks {
    /// Events that an earlier run had left.
    pub(crate) recovered: u64,
    /// Records that were stored and are lost, and that nobody had counted before. They are among the dead-lettered.
    pub(crate) lost: u64,
    /// Records that this version cannot read, which are among the dead-lettered; and those that the disk would not hand
    /// out, which are left.
    pub(crate) unreadable: u64,
}
