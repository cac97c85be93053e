//! What is found at the start, and what an owner makes of it.
//!
//! `survey` looks, for owners and observers alike, and changes nothing. `open` takes the lock, puts in order what has to
//! be, and hands over to the writer.

mod open;
pub(crate) mod survey;
mod tail;

use open::random_id;
pub(crate) use open::{Opened, open, open_in, state};
