//! The kinds of what is said of a stream. A password in its address is never shown.

use posthaste::queue::jetstream::StreamAddress;

use super::{
    kinds::{Kind, Wanted},
    nats::Role,
    value::Value,
};

/// The address of a stream.
pub(super) struct Stream;

impl Kind for Stream {
    type Of = String;

    /// Whether it is one is looked at later: what is wrong with it is said without its password.
    fn read(value: &Value) -> Result<String, Wanted> {
        let given = value.as_text().map(str::trim).filter(|text| !text.is_empty());
        given.map(str::to_owned).ok_or_else(|| "give a stream such as \"nats://HOST:4222/STREAM\"".to_owned())
    }

    fn write(of: &String) -> Value {
        Value::text(shown(of))
    }
}

/// As it may be shown.
fn shown(address: &str) -> String {
    if let Ok(address) = address.parse::<StreamAddress>() {
        return address.to_string();
    }
    match address.rsplit_once('@') {
        Some((_, servers)) => format!("***@{servers}"),
        None => address.to_owned(),
    }
}

/// A part in a stream.
pub(super) struct Part;

impl Kind for Part {
    type Of = Role;

    fn read(value: &Value) -> Result<Role, Wanted> {
        let roles = [Role::Accept, Role::Deliver, Role::Both];
        let named = roles.into_iter().find(|role| Some(role.name()) == value.as_text());
        named.ok_or_else(|| "give \"accept\", \"deliver\" or \"both\"".to_owned())
    }

    fn write(of: &Role) -> Value {
        Value::text(of.name())
    }
}

/// Addresses of servers' monitoring.
pub(super) struct Monitors;

impl Kind for Monitors {
    type Of = Vec<String>;

    fn read(value: &Value) -> Result<Vec<String>, Wanted> {
        let is_url = |url: &String| {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            rest.is_some_and(|rest| {
                !rest.is_empty() && !rest.contains('@') && rest.bytes().all(|b| b.is_ascii_graphic())
            })
        };
        let urls = value.as_list().filter(|urls| urls.iter().all(is_url));
        urls.ok_or_else(|| "give a list of URLs such as [\"http://HOST:8222\"]".to_owned())
    }

    fn write(of: &Vec<String>) -> Value {
        Value::List(of.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_even_where_the_address_is_none() {
        for (given, seen) in [
            ("nats://a:4222,b/events", "nats://a:4222,b:4222/events"),
            ("nats://me:secret@a/events", "nats://a:4222/events"),
            ("nats://secret@a/events", "nats://a:4222/events"),
            ("nats://me:secret@a", "***@a"),
            ("nuts://me:sec@secret@a/x", "***@a/x"),
            ("events", "events"),
        ] {
            assert_eq!(shown(given), seen);
        }
    }
}
