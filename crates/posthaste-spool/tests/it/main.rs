//! The spool's promises, tested on a disk in memory that can crash, and on the real one.

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
