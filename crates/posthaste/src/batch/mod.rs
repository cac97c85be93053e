//! What the API receives: the request body's types, its encoding and decoding. No behaviour, no I/O.
//!
//! Writing is strict, reading is lenient: [`Batch`] is written exactly as the seed writes it (PROTOCOL 1.4 and 1.5) and
//! reads what other SDKs send; where nothing of another's body may be lost, [`RawBatch`] keeps every field as it came.
//!
//! ```text
//! Batch ─ visitors ─▶ Visitor ─ snapshots ─▶ Snapshot ─ decisions ─▶ Decision
//!                        │                      └────── events ────▶ SnapshotEvent
//!                        └ attributes ─▶ VisitorAttribute
//! ```

mod encode;
mod log_event;
mod raw;
mod wire;

pub(crate) use encode::encode_events;
pub use log_event::LogEvent;
pub use raw::{DecodeError, RawBatch};
pub use wire::{Batch, Decision, DecisionMetadata, Snapshot, SnapshotEvent, Visitor, VisitorAttribute};
