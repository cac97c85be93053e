//! The spool's promises, tested on a disk in memory that can crash, and on the real one.
//!
//! More of the same, from the environment: `POSTHASTE_SPOOL_SEEDS` (500 seeds of the model), `POSTHASTE_SPOOL_SEED`
//! (that one alone), `POSTHASTE_SPOOL_KILLS` (200 killed processes), `POSTHASTE_SPOOL_BITS` (1 bit of each byte).
//! Some tests mount a small disk and give up rights: they have to run as root, and fail where they cannot.

#![expect(clippy::indexing_slicing, reason = "a test that is out of bounds fails, as it should")]
#![expect(clippy::print_stdout, reason = "children talk to their parent")]

mod basics;
mod child;
mod crash_points;
mod damage;
mod faults;
mod fixtures;
mod kill;
mod model;
mod real_disk;
mod support;
mod threads;
