//! Where to send to: whether it is a URL that requests can go to.
//!
//! Clap says what is wrong with other arguments, and quotes them. A URL may hold a password, which is not to be quoted.

use std::ffi::OsStr;

use posthaste::dispatch::EndPoint;

use super::exit::Failure;

/// Where it is given.
const FLAG: &str = "--endpoint";
/// Where else it may come from.
pub(crate) const VARIABLE: &str = "POSTHASTE_ENDPOINT";

/// Refuses an end point before anything is read or sent.
pub(crate) fn check(endpoint: Option<&str>) -> Result<(), Failure> {
    match endpoint.map(EndPoint::check) {
        Some(Err(error)) => {
            let from = if is_flag_given(std::env::args_os()) { FLAG } else { VARIABLE };
            Err(Failure::Usage(format!("{from}: {error}")))
        }
        _ => Ok(()),
    }
}

/// Or it came from the environment.
fn is_flag_given<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> bool {
    args.into_iter().any(|arg| {
        let rest = arg.as_ref().as_encoded_bytes().strip_prefix(FLAG.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
    })
}
