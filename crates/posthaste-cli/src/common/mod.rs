//! What commands share.
//!
//! ```text
//! values          the forms of arguments: times, numbers, addresses
//! datafile        reading one
//! spool_options   how large a spool may be, and opening one
//! endpoint        whether one is a URL that requests can go to
//! descriptors     whether there are enough of them
//! exit            how a command can end
//! terminal        how much is said, and in what colours
//! output          results for people and for machines, and what is said beside them
//! bar, narrow     the bar at a terminal
//! signals         being asked to stop
//! threads         whether there can be more of them
//! nats            a stream of NATS servers, as arguments say it
//! logging         what the library has to say
//! arrived         what a collector counted
//! remote          asking a collector that runs elsewhere
//! ```

pub(crate) mod arrived;
pub(crate) mod bar;
pub(crate) mod datafile;
pub(crate) mod descriptors;
pub(crate) mod endpoint;
pub(crate) mod exit;
pub(crate) mod logging;
mod narrow;
pub(crate) mod nats;
pub(crate) mod output;
pub(crate) mod remote;
pub(crate) mod signals;
pub(crate) mod spool_options;
pub(crate) mod terminal;
pub(crate) mod threads;
pub(crate) mod values;
