//! The one machine: takes the oldest items of a queue, makes requests of them, sends, and forgets what has come to an
//! end. The processor runs it over user events, the queueing dispatcher over requests.
//!
//! ```text
//! callers ─ admission ─▶ queue ─ supply ─▶ lanes, one an end point ─▶ in flight ─▶ settle ─▶ delivered
//!     │                              leases ▲      (upstream, schedule)               │ └──▶ burial ─▶ dead
//!     └─ mailbox ─▶ machine                 └───────────── retry, halves ─────────────┘
//! ```
//!
//! One task owns all of it, [the machine](machine); callers reach it through [`Shared`](shared::Shared): the way in,
//! the books, the mailbox, the dead letters. Commands never queue behind data. What is leased stays in the queue until
//! it is settled, so whatever ends this task early leaves everything unfinished where it was.

mod admission;
mod alarm;
mod books;
mod burial;
mod direct;
mod ends;
mod expiry;
mod flow;
mod groups;
mod guard;
mod handle;
mod held;
mod item;
mod job;
mod lanes;
mod leases;
mod letter_pages;
mod letter_room;
mod letters;
mod line;
mod machine;
mod mailbox;
mod options;
mod pace;
mod pending;
mod room;
mod schedule;
mod settle;
mod shared;
mod supply;
mod telemetry;
mod upstream;
mod waiters;

pub use handle::Driver;
pub(crate) use handle::{Delivery, Makings};
pub use letter_room::WhenDeadLettersFull;
pub use options::{DEFAULT_BATCH_SIZE, DEFAULT_EVENT_FLUSH_INTERVAL, OptionsError, WhenFull};
pub(crate) use options::{Options, delivery_setters};
pub use pending::Pending;
