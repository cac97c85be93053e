//! Where to send to: whether it is a URL that requests can go to.
//!
//! Clap says what is wrong with other arguments, and quotes them. A URL may hold a password, which is not to be quoted.

use posthaste::dispatch::EndPoint;

use super::exit::Failure;

/// Refuses an end point before anything is read or sent.
pub(crate) fn check(endpoint: Option<&str>) -> Result<(), Failure> {
    match endpoint.map(EndPoint::check) {
        Some(Err(error)) => Err(Failure::Usage(format!("--endpoint: {error}"))),
        _ => Ok(()),
    }
}
