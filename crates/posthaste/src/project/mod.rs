//! What is measured: a project as its datafile describes it, and the visitors it is measured on.
//!
//! Events refer to experiments, events and attributes by ids that only the datafile has, so a key that is wrong must be
//! found here, where it is still known who wrote it: look-ups by key say what is wrong with a key, and never guess
//! which of several experiments was meant.
//!
//! Everything here is read-only once made, does no I/O, and never panics whatever a datafile holds.

mod config;
mod context;
mod datafile;
mod decision;
mod dropped;
mod entities;
mod experiment;
mod flags;
mod index;
mod key_error;
mod listed;
mod misspelt;
mod nameless;
mod names;
mod near;
mod packing;
mod region;
mod rule;
mod stripes;
mod tables;
mod tree;
mod user;

pub use config::ProjectConfig;
pub use context::{CLIENT_NAME, CLIENT_VERSION, Context};
pub use datafile::DatafileError;
pub(crate) use decision::{ReportedDecision, is_variation_id};
pub(crate) use dropped::Drops;
pub use dropped::{DroppedAttributes, UnusableTags};
pub(crate) use entities::EventIds;
pub use entities::{Attribute, Event};
pub use experiment::{Experiment, Variation};
pub use key_error::ExperimentKeyError;
pub use listed::Listed;
pub(crate) use listed::Quoted;
pub(crate) use nameless::is_nameless;
pub(crate) use names::AttributeNames;
pub use near::NearMisses;
pub(crate) use packing::{Packing, PackingCounts};
pub use region::Region;
pub use user::UserContext;
