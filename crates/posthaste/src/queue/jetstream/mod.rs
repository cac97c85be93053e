//! A queue in a stream of NATS servers (JetStream): any number of processes accept, any number deliver.
//!
//! ```text
//! add ─▶ window ─ publish, again and again under one id ─▶ stream ─ pull ─▶ buffer ─ lease ─▶ leased ─ settle ─▶ confirmed
//!        (here)                                          (servers)         (here)                │
//!                                                            ▲                                   │
//!                                                            └──── release, lost, ack wait ──────┘
//! ```
//!
//! An event is safe once the stream has acknowledged it; what that is worth is what the stream [promises](StreamReport).
//! Settling waits until the stream has confirmed it. A lease that is not renewed for the [ack
//! wait](JetStreamOptions::ack_wait) ends, and whoever asks next gets its message: so nothing stays with the dead.
//!
//! # What is counted
//!
//! A process cannot know what becomes of events that others deliver. So its ledger is about what it has had in its hands:
//!
//! - taken: from callers (`add`), and from the stream (`lease`);
//! - held: what is on its way into the stream, and what is leased;
//! - handed over: what the stream has acknowledged, and leases that were given back or lost. It is the stream's now;
//! - ended: delivered, dead-lettered, given up.
//!
//! At every moment `taken = held + handed over + ended`. A process that only accepts hands everything over; one that only
//! delivers takes what it leases; one that does both takes an event twice, once from its caller and once from the stream.
//! [`Traffic`] has the parts of these sums, so that the processes of a stream can be added up.
//!
//! # Bounds
//!
//! The window ([`publish_window`](JetStreamOptions::publish_window), in requests and bytes): beyond it `add` refuses. The
//! buffer ([`prefetch`](JetStreamOptions::prefetch), in messages and bytes): beyond it nothing is fetched. Leases: as many
//! as delivery takes, and together with those of other senders
//! [`leases_max`](JetStreamOptions::leases_max). What fails is tried again for as long as it takes, in its place.

mod address;
mod books;
mod check;
mod connection;
mod credentials;
mod error;
mod holders;
mod ids;
mod inspection;
mod ledger;
mod letters;
mod message;
mod monitor;
mod notes;
mod options;
mod publish;
mod pull;
mod queue;
mod report;
mod secret;
mod setup;
mod state;
mod stream;
mod subject;
mod tenant;
mod traffic;

pub use self::{
    address::{StreamAddress, StreamAddressError},
    credentials::Credentials,
    error::JetStreamError,
    ids::message_id,
    inspection::{DeliveryFacts, Follower, ForeignConsumer, Inspection, Kept, StreamFacts, TenantFacts},
    ledger::{
        Bounds, EventSums, Keeper, Ledger, Leeway, MessageSums, Process, ProcessCounts, ProcessNote,
        Standing, Verdict,
    },
    options::JetStreamOptions,
    queue::JetStreamQueue,
    report::{Fault, Finding, Holds, Promise, ServerSync, StreamReport, Syncs},
    stream::{Handled, JetStream, JetStreamLetters},
    tenant::Role,
    traffic::{Messages, Traffic},
};
