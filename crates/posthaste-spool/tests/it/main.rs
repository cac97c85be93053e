//! Tests of the spool through its public face.

#![expect(clippy::indexing_slicing, reason = "a test that is out of bounds fails, as it should")]
#![expect(clippy::print_stdout, reason = "seeds are printed, and children talk to their parent")]

mod basics;
mod child;
mod crash_points;
mod damage;
mod fixtures;
mod house;
mod kill;
mod model;
mod oracle;
mod raw;
mod room;
mod support;
mod threads;
mod trouble;
