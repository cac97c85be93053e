//! The library from outside: what official SDKs made, what the seed got wrong, what faults do.

mod closing;
mod datafiles;
mod delivery;
mod http;
mod notifications;
mod processing;
mod queues;
mod seed_calls;
mod server;
mod simulation;
mod support;
