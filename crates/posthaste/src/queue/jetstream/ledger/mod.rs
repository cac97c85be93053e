//! The ledger over processes: each writes down beside the stream what it has counted, and whoever wants to know adds up
//! the stream and the processes.
//!
//! ```text
//! process ── its counts, twice a second ─▶ <stream>-notes (key-value) ─┐
//! process ── its counts, twice a second ─▶          ″                  ├─▶ Ledger: does it add up?
//! stream  ── messages that it has ever taken, and those in it ─────────┘
//! ```
//!
//! # What is held against what
//!
//! A stream numbers its messages, so it knows exactly, whatever happens to processes, how many it has ever taken and how
//! many have gone. Processes know who has put them there and who has taken them out. Both are held against each other, in
//! messages: `taken = published + put back`, and `gone = delivered + buried`. In events, processes alone can say how many.
//!
//! # What cannot be exact
//!
//! - **What is under way.** Notes are read before the stream is looked at and again after, when all who live have written
//!   down what they had counted by then. What the stream says has to be between the two; at rest, the two are the same.
//! - **The last half second of a killed process**: what it did and had not written down. The stream shows that something is
//!   missing from the notes, and how much; whether a message that has gone was delivered nobody can say. So where a process
//!   ended without a last word, the ledger is never balanced: it is [unknown](Verdict::Unknown), and says how much.
//! - **Repeats.** A publish under an id that the stream knew already may have been counted by an earlier process, which was
//!   killed after; a message that was leased again may have been settled by both. So many may be counted twice, no more. So
//!   many could also be missing without showing: the ledger is unknown then, too, and says how many.
//!
//! A stream that has taken fewer messages than it has acknowledged has lost some: that shows whoever was killed.
//!
//! All three last. Whoever has looked into them begins new books ([`begin_books`](super::JetStream::begin_books)), in which
//! they are not.
//!
//! # Dead letters
//!
//! They are in a stream of their own, which numbers them too: what has gone from it has to be what processes replayed and
//! purged, and what they buried and did not remove has to be there.

mod account;
mod keeper;
mod note;
mod opening;
mod read;
mod sums;
#[cfg(test)]
mod tests;

pub use self::{
    account::{Bounds, EventSums, Ledger, Leeway, MessageSums, Process, Standing, Verdict},
    keeper::Keeper,
    note::{ProcessCounts, ProcessNote},
};
