//! The spool's promises, tested on a disk in memory that can crash, and on the real one.

mod basics;
mod crash_points;
mod damage;
mod faults;
mod model;
mod support;
mod threads;
