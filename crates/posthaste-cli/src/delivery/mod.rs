//! A run: lines are read, handed to a pipeline, delivered, and accounted for. `send` and `spool drain` are runs.
//!
//! ```text
//! run       from the first line to the books
//! job       what it works with
//! intake    reads lines, on a thread of its own
//! control   when it ends: at the end of the input, at a signal, at --max-time
//! progress  how it is getting on: a bar, or lines
//!   standing  how far it is, how fast, for how long
//!   waits     why nothing moves
//! metrics   the same, for Prometheus
//! report    its books
//! stage     what it needs of the system
//! ```

mod control;
mod intake;
mod job;
mod metrics;
mod progress;
mod report;
mod run;
mod stage;
mod standing;
mod waits;

pub(crate) use self::{
    job::{Job, Length},
    run::run,
    stage::Stage,
};
