//! What is measured: a project as its datafile describes it, and the visitors it is measured on.
//!
//! Everything here is read-only once made, does no I/O, and never panics whatever a datafile holds.

mod config;
mod context;
mod datafile;
mod entities;
mod region;
mod user;

pub use config::ProjectConfig;
pub(crate) use context::AttributeName;
pub use context::{CLIENT_NAME, CLIENT_VERSION, Context};
pub use datafile::DatafileError;
pub use entities::{Attribute, Event, Experiment, Variation};
pub(crate) use entities::{DecisionIds, EventIds};
pub use region::Region;
pub use user::UserContext;
