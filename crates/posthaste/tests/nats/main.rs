//! A queue in a stream of real NATS servers, which are killed and started again. What is in a stream is counted by whoever
//! looks into it without posthaste. The servers are those of `scripts/nats`: without them, these tests fail.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that panics has failed, and waits in real time for servers that do"
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
