//! Histories told to the oracle: sound ones, and each kind of broken one.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what it expects; where it is not so, it is to fail"
)]

mod log;
mod storms;
mod verdicts;
