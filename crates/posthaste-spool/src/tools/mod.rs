//! Looking at a spool from outside, and mending it.

mod check;
mod inspect;
mod repair;

pub use check::{Check, Problem, ProblemKind};
pub use inspect::{Inspection, Records, Status, inspect, inspect_with};
pub use repair::{Repair, repair, repair_with};
