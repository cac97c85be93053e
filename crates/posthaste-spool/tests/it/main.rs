//! Tests of the spool through its public face.

mod basics;
mod support;
