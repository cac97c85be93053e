//! The library from outside: what official SDKs made, what the seed got wrong, what faults do.

mod datafiles;
mod seed_calls;
mod support;
