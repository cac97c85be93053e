//! The Event API for a developer's machine and for CI: it takes what Optimizely takes, and says what is wrong where
//! Optimizely is silent.
//!
//! The real API answers 204 to nearly everything and throws away what it cannot use. A collector answers the same, so
//! that any SDK can be pointed at it, but judges every event on its own, by the rules of [`posthaste::judge`], and
//! keeps the judgement:
//!
//! ```text
//! POST /v1/events ─▶ gunzip ─▶ judge each event ───────────┬▶ good, or odd ─▶ store ─▶ GET /good  GET /all
//!                                                          ├▶ bad, with what, where and how to fix it ─▶ GET /bad
//!                                                          └▶ a repeat: counted with the one that it repeats
//! ```
//!
//! [`API`] is the table of all requests that it answers; a running one shows it (`GET /`, `GET /openapi.json`).
//!
//! Events may come from any page and any host. Everything else answers only who asks by an address, as `localhost`, or
//! by a name of [`CollectorOptions::hosts`], and no page but its own: it is safe beside a browser.
//!
//! Everything is bounded: a body by [`CollectorOptions::body_bytes_max`], before and after decompression, and by
//! [`EVENTS_PER_BODY_MAX`]; what is kept by [`CollectorOptions::memory_bytes_max`], [`CollectorOptions::events_max`]
//! and [`CollectorOptions::age_max`], beyond which the oldest is forgotten and counted; sessions by [`SESSIONS_MAX`],
//! listeners by [`LISTENERS_MAX`], lists by [`PAGE_MAX`]. Nothing is written to disk, and nothing is sent anywhere,
//! unless [`CollectorOptions::forward`] says so.
//!
//! Faults on a script are for whoever tests a client: rules say which `POST` gets which status, headers, delay, reset,
//! silence or half an answer. The collector's own paths are never touched, so a test can always look. The ledger counts
//! what was done, and events say what was done to their request (`fault`). A body that is too large gets its 413 first.
//!
//! ```
//! use posthaste_collector::{Collector, CollectorOptions, Faults, Rule};
//!
//! let faults = Faults::new([
//!     Rule::status(503).header("retry-after", "1").requests(1..=3),
//!     Rule::reset().body_contains("\"ann\"").times(1).named("ann's"),
//! ])?;
//! let collector = Collector::new(CollectorOptions { faults, ..CollectorOptions::default() });
//! assert_eq!(collector.faults().rules[1].applied, 0);
//! # Ok::<(), posthaste_collector::FaultsError>(())
//! ```
//!
//! Not judged: whether an event is within its experiment's running time, which a datafile does not say.
//!
//! Feature `forward`: [`Forward::new`], over HTTP.

// In the order in which a body meets them, and then those who ask.
mod options;

mod connection;

mod api;
mod base;
mod cors;
mod guard;
mod http;
mod openapi;
mod routes;

mod intake;
mod origin;

mod gunzip;

mod faults;

mod taken;

mod store;

mod ledger;

mod carry_out;
mod forward;

mod page;

mod collector;

mod filter;
mod told;

mod record;

mod reading;

mod detail;

mod summary;

mod follow;
mod stream;

mod transfer;

mod expect;

mod running;

pub use api::{API, Content, Operation, Parameter, Place, Reply, list, markdown};
pub use base::{Base, BaseError};
pub use collector::{Collector, Received};
pub use expect::{
    Difference, EXPECTATION_BYTES_MAX, Expectation, ExpectationError, Expected, LINES_MAX, Miss, Outcome,
    PATTERN_FIELDS_MAX, PATTERNS_MAX, SETTLE, WAIT_MAX, WAITERS_MAX,
};
pub use faults::{DELAY_MAX, End, Fault, Faults, FaultsError, FaultsInForce, RULES_MAX, Rule, RuleInForce};
pub use filter::{Filter, Order};
pub use follow::{Arrival, Arrivals, Follower};
pub use forward::{AT_ONCE_MAX, FORWARD_TIMEOUT, Forward};
pub use http::SCRIPT_BYTES_MAX;
pub use ledger::{CollectorLedger, FAULT_NAMES_MAX, OTHER_FAULTS};
pub use options::CollectorOptions;
pub use posthaste::judge::{EVENTS_PER_BODY_MAX, Problem};
pub use record::{BadEvent, GoodEvent, RECORD_TEXT_BYTES_MAX, Record, Verdict};
pub use routes::data::{PAGE_BYTES_MAX, PAGE_MAX};
pub use running::{EXPECT_WAIT, Running};
pub use store::{OTHER_SESSIONS, SESSIONS_MAX};
pub use stream::{LISTENERS_MAX, ROWS_BYTES_MAX, ROWS_MAX};
