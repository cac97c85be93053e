//! The relay over real sockets: what it answers, what it keeps, and what arrives.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what it expects; where it is not so, it is to fail"
)]

mod admin;
mod disk;
mod endings;
mod hostile;
mod intake;
mod kept;
mod limits;
mod mutated;
mod support;
