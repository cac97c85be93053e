//! Paths by what they are for.

pub(crate) mod data;
