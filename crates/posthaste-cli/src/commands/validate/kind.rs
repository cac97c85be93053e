//! What `posthaste validate` was given, as the file itself shows.

use std::borrow::Cow;

use posthaste::judge::Text;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::lines::{is_blank, unmarked};

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Datafile,
    Batch,
    Events,
}

/// Of an input that begins so, and that this is all of.
pub(super) fn kind(start: &[u8], is_whole: bool) -> Kind {
    if !is_whole {
        return Kind::Events;
    }
    let read = Text::read(start);
    let text = read.as_ref().map_or(start, |text| text.as_str().as_bytes()).trim_ascii();
    if text.is_empty() {
        return Kind::Nothing;
    }
    match serde_json::from_slice::<Marks>(text) {
        Ok(marks) => marks.kind(),
        Err(error) if error.is_data() => kind_of_value(text),
        Err(_) => kind_of_broken(text),
    }
}

/// What a JSON object of one kind has and the others have not: whether the key is there, once or twice, whatever it has.
#[derive(Debug, Default)]
struct Marks {
    is_batch: bool,
    is_datafile: bool,
    is_event: bool,
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Marks;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Marks, A::Error> {
        let mut marks = Marks::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "visitors" | "account_id" => marks.is_batch = true,
                "version" | "experiments" | "accountId" => marks.is_datafile = true,
                "type" | "event" | "user_id" => marks.is_event = true,
                _ => {}
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(marks)
    }
}

impl Marks {
    fn kind(&self) -> Kind {
        if self.is_batch {
            Kind::Batch
        } else if self.is_datafile || !self.is_event {
            Kind::Datafile
        } else {
            Kind::Events
        }
    }
}

/// One JSON value that is no such object: a datafile says best what is wrong with it, unless lines follow, or it is a list
/// of what should be lines.
fn kind_of_value(text: &[u8]) -> Kind {
    let is_line = |marks: &Marks| marks.is_batch || marks.is_event;
    if serde_json::from_slice::<Vec<Marks>>(text).is_ok_and(|items| items.iter().any(is_line)) {
        return Kind::Events;
    }
    if serde_json::from_slice::<IgnoredAny>(text).is_ok() { Kind::Datafile } else { kind_of_broken(text) }
}

/// Not one JSON value: lines of them, some of which may be broken, or a broken one, which is told by the names in it.
fn kind_of_broken(text: &[u8]) -> Kind {
    /// Lines that are looked at.
    const LOOKED_AT: usize = 100;
    let has = |name: &[u8]| text.windows(name.len()).any(|part| part == name);
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !is_blank(line));
    let mut lines = lines.map(unmarked);
    let first = lines.next().unwrap_or(text);
    let is_value = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
    let is_line = |line: &[u8]| {
        serde_json::from_slice::<Marks>(line).is_ok_and(|marks| marks.is_batch || marks.is_event)
    };
    if (text.len() > first.len() && is_value(first)) || lines.take(LOOKED_AT).any(is_line) {
        Kind::Events
    } else if has(b"\"visitors\"") {
        Kind::Batch
    } else if has(b"\"experiments\"") || has(b"\"accountId\"") {
        Kind::Datafile
    } else {
        Kind::Events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_shows_what_it_is() {
        let line = r#"{"type":"conversion","user_id":"u","event":"e"}"#;
        let batch = r#"{"account_id":"1","visitors":[]}"#;
        for (text, expected) in [
            (String::new(), Kind::Nothing),
            ("{}".to_owned(), Kind::Datafile),
            (r#"{"version":"4","version":"4"}"#.to_owned(), Kind::Datafile),
            (line.to_owned(), Kind::Events),
            (format!("{line}\n{line}"), Kind::Events),
            (format!("[{line},{batch}]"), Kind::Events),
            (format!("[\n{line}\n]"), Kind::Events),
            (format!("\n\u{feff}{batch}\n"), Kind::Events),
            ("[[],[]]".to_owned(), Kind::Datafile),
            (batch.to_owned(), Kind::Batch),
            (r#"{"account_id":"1"}"#.to_owned(), Kind::Batch),
            (r#"{"visitors":null}"#.to_owned(), Kind::Batch),
            (r#"{"visitors":[],"visitors":[]}"#.to_owned(), Kind::Batch),
            (format!("{batch}\n{batch}"), Kind::Events),
            (format!("# a comment\n{batch}\n{batch}"), Kind::Events),
            (format!("NaN\n{line}"), Kind::Events),
            (r#"{"account_id":"1","visitors":[NaN]}"#.to_owned(), Kind::Batch),
            ("{\n\"account_id\":\"1\",\n\"visitors\":[NaN,\n{}\n]}".to_owned(), Kind::Batch),
            (r#"{"accountId":"1","experiments":["#.to_owned(), Kind::Datafile),
        ] {
            assert_eq!(kind(text.as_bytes(), true), expected, "{text}");
            assert_eq!(kind(format!("\u{feff}{text}").as_bytes(), true), expected, "{text}");
        }
    }
}
