//! What commands share.
//!
//! ```text
//! values          the forms of arguments: times, numbers, addresses, URLs
//! datafile        reading one
//! spool_options   how large a spool may be, and opening one
//! exit            how a command can end
//! output          the terminal: results for people and for machines
//! signals         being asked to stop
//! logging         what the library has to say
//! arrived         what a collector counted
//! ```

pub(crate) mod arrived;
pub(crate) mod datafile;
pub(crate) mod exit;
pub(crate) mod logging;
pub(crate) mod output;
pub(crate) mod signals;
pub(crate) mod spool_options;
pub(crate) mod values;
