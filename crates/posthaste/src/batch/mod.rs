//! What the API receives: the request body's types, and bodies as bytes. No behaviour, no I/O.
//!
//! A body is made once and sent as often as it takes, so what is in it must not change on the way: a [`LogEvent`] holds
//! bytes, and is taken apart and put together again without rewriting a visitor.
//!
//! Writing is strict, reading is lenient: [`Batch`] is written exactly as the seed writes it (PROTOCOL 1.4 and 1.5) and
//! reads what other SDKs send; where nothing of another's body may be lost, [`RawBatch`] keeps every field as it came.
//!
//! ```text
//! Batch ─ visitors ─▶ Visitor ─ snapshots ─▶ Snapshot ─ decisions ─▶ Decision ─ metadata ─▶ DecisionMetadata
//!                        │                      └────── events ────▶ SnapshotEvent
//!                        └ attributes ─▶ VisitorAttribute
//! ```
//!
//! The wire types' fields are public, and named as in the seed. They may gain fields: make them with `new` or
//! `default`, and set what you need. Where the API takes any JSON (an attribute's value, tags, revenue, value), the
//! field has the type of `serde_json`, the one exception to the rule that no other crate's types stand in public
//! fields: a type of our own would be the same thing under another name, and every program that looks inside a body has
//! that crate already.
//!
//! This module knows nothing of projects and events: [`event`](crate::event) makes bodies of them.

mod depth;
mod json;
mod log_event;
mod merge;
mod raw;
mod spare;
mod taken;
mod wire;

pub(crate) use depth::{LEVELS_MAX, TAGS_LEVELS_MAX, is_deeper_than};
pub(crate) use json::{needs_no_escape, write_text, write_value};
pub use log_event::LogEvent;
pub use raw::{DecodeError, NotABatch, RawBatch};
pub(crate) use spare::take as body_memory;
pub use wire::{Batch, Decision, DecisionMetadata, Snapshot, SnapshotEvent, Visitor, VisitorAttribute};
