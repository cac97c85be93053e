//! A file or a folder for each command.

pub(crate) mod collect;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod expect;
pub(crate) mod ledger;
pub(crate) mod man;
pub(crate) mod relay;
pub(crate) mod send;
pub(crate) mod spool;
pub(crate) mod tail;
pub(crate) mod torture;
pub(crate) mod validate;
