//! The Event API for a developer's machine and for CI: it takes what Optimizely takes, and says what is wrong where
//! Optimizely is silent.
//!
//! The real API answers 204 to nearly everything and throws away what it cannot use. A collector answers the same, so
//! that any SDK can be pointed at it, but judges every event on its own, by the rules of [`posthaste::judge`], and keeps
//! the judgement:
//!
//! ```text
//! POST /v1/events ─▶ gunzip ─▶ judge each event ───────────┬▶ good, or odd ─▶ store ─▶ GET /good  GET /all
//!                                                          ├▶ bad, with what, where and how to fix it ─▶ GET /bad
//!                                                          └▶ a repeat: counted with the one that it repeats
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/events`, `/t/NAME/v1/events` | 204, empty, whatever the body holds. 413 for a body that is too large, 415 for a compression other than gzip. With `X-Optimizely-Strict: true` or `1`, or [`CollectorOptions::strict`], a bad body gets 400 and a JSON list of [`Problem`]s, and nothing of it counts as good. `NAME`, or the header `X-Posthaste-Session`, is the test's session |
//! | `GET /ledger` | [`CollectorLedger`], of a session with `?session=NAME` |
//! | `GET /good`, `/bad`, `/all` | JSON list of [`GoodEvent`]s, [`BadEvent`]s or both; `?visitor=&experiment=&variation=&key=&flag=&uuid=&problem=&session=&verdict=&q=&order=&until=&after=&limit=&offset=` ([`Filter`]); at most [`PAGE_MAX`] at once, fewer where these have more than [`PAGE_BYTES_MAX`] bytes. `X-Total-Count` says how many there are, `X-Forgotten` how many had to make room, `X-Newest` the newest id |
//! | `GET /event/ID` | one event in detail: the [`Record`], a request body that carries it alone, each problem's place in it, the request that it came in, a command that sends it again; 404 where it is forgotten or never was |
//! | `GET /summary` | what the kept events come to: by experiment and variation, by SDK, by kind of problem, by session; up to a second old |
//! | `GET /stream` | server-sent events: `rows` (at most [`ROWS_MAX`] of [`ROWS_BYTES_MAX`] bytes, the rest counted as `skipped`), ten times a second at most, and `reset`; takes the same filters, and goes on from `Last-Event-ID` or `?after=ID`, from the oldest without either |
//! | `GET /export`, `POST /import` | events as JSON lines, a request body each, which `posthaste send` reads |
//! | `POST /reset` | 204; everything is forgotten, every count is zero; a script of faults begins anew. With `?session=NAME` that session alone |
//! | `POST /expect`, `GET /expect`, `/t/NAME/expect` | waits until what an [`Expectation`] describes has come: 200 where it holds, 422 with what is missing where it does not, 400 where it cannot be used; `?wait=8s` ([`WAIT_MAX`] at most) |
//! | `PUT /faults` | 204; the body is a script of faults ([`Faults`], [`Rule`]), in force from the next request on; no text at all ends them. 400 and a JSON list of what is wrong, and the one before stays |
//! | `GET /faults` | [`FaultsInForce`]: the script, and how often each rule was applied |
//! | `GET /healthz` | 200 |
//! | `GET /`, `GET /latest` with filters | a page for people: what arrives, live; `/latest` opens the newest event that matches |
//! | another method, another path | 405, 404 |
//!
//! Everything is bounded: a body by [`CollectorOptions::body_bytes_max`], before and after decompression, and by
//! [`EVENTS_PER_BODY_MAX`]; what is kept by [`CollectorOptions::memory_bytes_max`], [`CollectorOptions::events_max`] and
//! [`CollectorOptions::age_max`], beyond which the oldest is forgotten and counted; sessions by [`SESSIONS_MAX`], listeners
//! by [`LISTENERS_MAX`]. Nothing is written to disk, nothing is sent anywhere.
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
//! Not judged: whether an event is within its experiment's running time, which a datafile does not say; attributes that the
//! project does not have. Not answered: a browser's preflight.

// In the order in which a body meets them, and then those who ask.
mod options;

mod connection;

mod http;
mod routes;

mod intake;
mod origin;

mod gunzip;

mod faults;

mod taken;

mod store;

mod ledger;

mod carry_out;

mod page;

mod collector;

mod filter;
mod told;

mod record;

mod reading;

mod detail;

mod summary;

mod stream;

mod transfer;

mod expect;

mod running;

pub use collector::{Collector, Received};
pub use expect::{
    Difference, EXPECTATION_BYTES_MAX, Expectation, ExpectationError, Expected, LINES_MAX, Miss, Outcome,
    PATTERN_FIELDS_MAX, PATTERNS_MAX, SETTLE, WAIT_MAX, WAITERS_MAX,
};
pub use faults::{DELAY_MAX, End, Fault, Faults, FaultsError, FaultsInForce, RULES_MAX, Rule, RuleInForce};
pub use filter::{Filter, Order};
pub use http::SCRIPT_BYTES_MAX;
pub use ledger::{CollectorLedger, FAULT_NAMES_MAX, OTHER_FAULTS};
pub use options::CollectorOptions;
pub use posthaste::judge::{EVENTS_PER_BODY_MAX, Problem};
pub use record::{BadEvent, GoodEvent, RECORD_TEXT_BYTES_MAX, Record, Verdict};
pub use routes::data::{PAGE_BYTES_MAX, PAGE_MAX};
pub use running::{EXPECT_WAIT, Running};
pub use store::{OTHER_SESSIONS, SESSIONS_MAX};
pub use stream::{LISTENERS_MAX, ROWS_BYTES_MAX, ROWS_MAX};
