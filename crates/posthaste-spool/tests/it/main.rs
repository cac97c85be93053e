//! The spool's promises, tested on a disk in memory that can crash, and on the real one.

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
