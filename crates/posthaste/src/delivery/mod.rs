//! The one machine: takes the oldest items of a queue, makes requests of them, sends, and forgets what has come to an
//! end. The processor runs it over user events, the queueing dispatcher over requests.
//!
//! ```text
//!             lease             full, forced            slot free             answer
//! Queue ────────────▶ open groups ──────▶ ready jobs ──────────▶ in flight ───────────▶ settled
//!                     (one a context)         ▲                      │                  (delivered or dead)
//!                                             └── retry, halves ─────┘
//! ```
//!
//! One task owns all of it; callers reach it through [`Shared`]: counters, a list of commands, a wake-up. Commands never
//! queue behind data. What is leased stays in the queue until it is settled, so whatever ends this task early leaves
//! everything unfinished where it was.

mod breaker;
mod burial;
mod groups;
mod handle;
mod item;
mod job;
mod limiter;
mod machine;
mod options;
mod report;
mod rest;
mod settle;
mod shared;
mod telemetry;

pub(crate) use handle::Delivery;
pub use handle::Driver;
pub use options::{DEFAULT_BATCH_SIZE, DEFAULT_EVENT_FLUSH_INTERVAL, OptionsError, WhenFull};
pub(crate) use options::{Options, delivery_setters};
pub use report::{CloseReport, FlushReport, Pending};
