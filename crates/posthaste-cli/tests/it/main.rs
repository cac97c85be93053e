//! The real binary, as people and scripts use it.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what it expects; where it is not so, it is to fail"
)]

mod begun;
#[path = "../../../posthaste/tests/nats/servers.rs"]
#[expect(clippy::disallowed_methods, reason = "servers that are real are waited for in real time")]
mod nats_servers;
mod relay_process;
mod relays;
mod support;
mod terminal;

mod agents;
mod agreement;
mod cases;
mod cluster;
mod collect;
mod collect_run;
mod damaged;
mod datafiles;
mod demo;
mod doctor;
mod expect;
mod expect_sdks;
mod follow;
mod help;
mod inputs;
mod ledger;
mod limits;
mod losses;
mod packages;
mod page;
mod progress;
mod reject;
mod relay_backlog;
mod relay_config;
mod relay_drain;
mod relay_memory;
mod relay_restarts;
mod relay_room;
mod relay_sdks;
mod relay_streams;
mod resume;
mod room;
mod send;
mod snapshots;
mod spool;
mod stop;
mod streams;
mod tail;
mod torture;
mod torture_queue;
mod transport;
mod validate;
