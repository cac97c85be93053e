//! The forms of arguments: what a text stands for, or what to write instead.

use std::{
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use clap::builder::{OsStringValueParser, TypedValueParser};

/// A span of time, such as `500ms`, `30s` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let example = "give a time such as 500ms, 30s or 2m";
    let span: jiff::SignedDuration = text.parse().map_err(|_| example.to_owned())?;
    Duration::try_from(span).map_err(|_| format!("a time cannot be negative; {example}"))
}

/// A length of time that is one: of nothing nothing can come.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time < Duration::from_millis(1) => {
            Err("give 1ms at least, such as 500ms, 30s or 2m".to_owned())
        }
        time => Ok(time),
    }
}

/// A number of things, one at least.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("give 1 at least".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("give a number, such as 10".to_owned()),
    }
}

/// A datafile's path, which may come from the environment, where variables are often set and empty.
pub(crate) fn datafile() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|path| {
        let empty = "it is empty; give a file, or unset POSTHASTE_DATAFILE";
        if path.is_empty() { Err(empty) } else { Ok(PathBuf::from(path)) }
    })
}

/// An address to listen on: `HOST:PORT`, or a port alone, which means this machine only.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let first = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    first.ok_or_else(|| "give HOST:PORT or a port, such as 127.0.0.1:8080 or 8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1h 5s", 3_605_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "-1s", "soon", "1 fortnight"] {
            assert!(duration(text).is_err() && some_time(text).is_err(), "{text}");
        }
        assert!(some_time("0s").is_err() && some_time("1ns").is_err() && some_time("1ms").is_ok());
        assert!(at_least_one("0").is_err() && at_least_one("x").is_err() && at_least_one("7") == Ok(7));
    }

    #[test]
    fn an_address_is_a_port_or_a_host_with_one() {
        assert_eq!(address("8080"), Ok(SocketAddr::from(([127, 0, 0, 1], 8080))));
        assert_eq!(address("0.0.0.0:0"), Ok(SocketAddr::from(([0, 0, 0, 0], 0))));
        assert!(address("nowhere").is_err());
        assert!(address("70000").is_err());
    }
}
