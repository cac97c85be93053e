//! Assertions for tests: whether the events that a pattern describes have come, now or within a time.
//!
//! ```text
//! pattern as JSON or query ─▶ parse ─▶ Expectation ─▶ tally over what is kept, then over what is newer
//!                                                       ├▶ holds ────────────────────────────▶ 200
//!                                                       └▶ the wait is over ─▶ nearest misses ─▶ 422
//! ```
//!
//! Invariants: an event is looked at once by each who waits, however long that takes; the newest are looked at a second
//! time only for an answer that says what is missing. A pattern never ignores what it does not know. How much is waited, by how
//! many, and for how much is bounded by the numbers below. An answer has [`LINES_MAX`] lines at most.

#[cfg(test)]
mod tests;

use std::time::Duration;

mod answer;
mod error;
mod matching;
mod nearest;
mod parse;
mod pattern;
mod query;
mod routes;
mod seen;
mod tally;
mod text;
mod wait;

pub use answer::{Difference, Expected, Miss, Outcome};
pub use error::ExpectationError;
pub use pattern::Expectation;
pub(crate) use routes::routes;
pub(crate) use wait::Waiters;

/// How long an expectation waits at most.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// Patterns of one expectation.
pub const PATTERNS_MAX: usize = 100;
/// Fields of one pattern, each tag and attribute counted.
pub const PATTERN_FIELDS_MAX: usize = 100;
/// Bytes of an expectation as JSON.
pub const EXPECTATION_BYTES_MAX: usize = 64 * 1_024;
/// How many wait at a time; whoever comes beyond is answered at once.
pub const WAITERS_MAX: usize = 1_024;
/// Lines of an answer as text.
pub const LINES_MAX: usize = 25;
/// A number of events that is bounded from above has to stay so for this long, or to the end of the wait: an event that
/// is sent twice mostly comes twice at about the same time.
pub const SETTLE: Duration = Duration::from_millis(100);

/// Nobody who waits looks oftener than this, however many events come.
const LOOK_PAUSE: Duration = Duration::from_millis(2);
/// Events that are looked at before others have their turn.
const LOOKED_AT_ONCE: usize = 10_000;
/// Comparisons of a field in search of misses, the newest events first: a fraction of a second.
const COMPARISONS_MAX: usize = 2_000_000;
/// What telling a field's difference costs, in comparisons.
const TELLING: usize = 10;
/// Misses that are told of one pattern.
const MISSES_MAX: usize = 3;
/// Ids of matching events that an answer lists.
const IDS_MAX: usize = 10;
/// Letters of a value, a pattern or a name that an answer shows.
const SHOWN_MAX: usize = 160;
