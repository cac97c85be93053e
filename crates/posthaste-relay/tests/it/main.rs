//! The relay over real sockets: what it answers, what it keeps, and what arrives.

mod admin;
mod hostile;
mod intake;
mod limits;
mod support;
