//! A relay for Optimizely experiment events: any SDK posts to it, and nothing is lost from then on.
//!
//! # The journey of a request
//!
//! 1. **Accepted as a connection** (`server/`), where there are not too many, and for a bounded time.
//! 2. **Read** (`intake/`): its head says who it is from; its body is read within bounds of bytes and time, and unpacked.
//! 3. **Repaired** (`intake/repair.rs`): what SDKs are known to break is mended and counted.
//! 4. **Sorted** (`tenants/`): its account or project says whose queue it goes to.
//! 5. **Stored**: the tenant's queue takes it ([`posthaste::QueueEventDispatcher`] over a spool), and its receipt resolves
//!    once it is on disk. Where relays share a stream (`stream/`), a bridge takes it on from there into the stream, and
//!    whichever of them delivers has it next; without a bridge it is the stream that has it before the answer.
//! 6. **Answered** (`answer.rs`): 204 with an empty body, exactly that.
//! 7. **Forwarded**: visitors of requests with equal envelopes are merged into full batches, and sent until the answer is
//!    final. That is the library's delivery; there is no second pipeline here.
//!
//! | answer | what it means |
//! |---|---|
//! | 204 | the events are stored, or kept as a dead letter because nobody can use them |
//! | 400 | strict mode: a JSON list of what is wrong with the body |
//! | 401, 403 | no token that is known; an account that is not on the list |
//! | 404, 405 | nothing is here; only POST |
//! | 408, 413, 415, 431 | too slow, too large, packed in a way that is not known, too much of a head |
//! | 503 with `Retry-After` | full, busy, or the disk or the stream does not answer: try again, under the same uuids |
//!
//! At every moment, for each tenant, accepted = delivered + dead-lettered + queued.

mod access;
mod admin;
mod answer;
pub mod config;
mod counters;
mod intake;
mod refusals;
mod relay;
mod server;
mod stream;
mod tail;
mod tenants;
mod vitals;

pub use access::AccessError;
pub use config::{
    AccessConfig, Config, DeadLetterLimits, Forward, Limits, Nats, Outage, Repeats, Role, Store,
    TenantConfig, WhenFull,
};
pub use relay::{Relay, Report, StartError, Stop, TenantReport};
pub use stream::ToStream;
pub use tenants::{About, FolderError, TenantError, TenantFolder, TenantTrouble, tenants_in};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
