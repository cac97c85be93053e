//! The library from outside: what official SDKs made, what the seed got wrong, what faults do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unnecessary_wraps,
    clippy::print_stderr,
    reason = "a test that panics has failed, a double answers in the form of what it stands for, a seed must be seen"
)]

mod additions;
mod age;
mod answers;
mod bad_queues;
mod books;
mod by_key;
mod closing;
mod crowds;
mod datafiles;
mod deadlines;
mod delivery;
mod displacing;
mod draining;
mod far_queue;
mod folders;
mod halving;
mod house;
mod http;
mod kept_connections;
mod letter_bounds;
mod metrics;
mod no_thread;
mod notifications;
mod options;
mod packing;
mod parity;
mod persistence;
mod problems;
mod processing;
mod proxies;
mod pulse;
mod queues;
mod remote_queue;
mod replay;
mod scrapes;
mod seed_calls;
mod server;
mod several_end_points;
mod simulation;
mod spool;
mod spool_queue;
mod support;
mod todays;
mod unusable;
mod window;
