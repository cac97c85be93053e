//! A queue in a stream of real NATS servers, which are killed and started again. What is in a stream is counted by whoever
//! looks into it without posthaste. The servers are those of `scripts/nats`: without them, these tests fail.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::unnecessary_wraps,
    reason = "a test that panics has failed, a double answers as what it stands for, and tests wait in real time for servers"
)]

mod credentials;
mod dead_letters;
mod faults;
mod killed;
mod leases;
mod oracle;
mod pipelines;
mod servers;
mod streams;
mod support;
