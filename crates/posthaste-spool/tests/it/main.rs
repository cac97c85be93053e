//! The spool's promises, tested on a disk in memory that can crash, and on the real one.

mod basics;
mod model;
mod support;
