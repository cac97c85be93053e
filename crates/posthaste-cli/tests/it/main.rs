//! The real binary, as people and scripts use it.

mod support;

mod collect;
mod demo;
mod help;
mod reject;
mod send;
mod stop;
mod transport;
mod validate;
