//! What `posthaste validate` was given, as the file itself shows.

use posthaste::judge::Text;
use serde::{Deserialize, de::IgnoredAny};

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
    let read = Text::read(start);
    let text = read.as_ref().map_or(start, |text| text.as_str().as_bytes()).trim_ascii();
    if !is_whole {
        return Kind::Events;
    }
    if text.is_empty() {
        return Kind::Nothing;
    }
    match serde_json::from_slice::<Marks>(text) {
        Ok(marks) => marks.kind(),
        Err(error) if error.is_data() => kind_of_value(text),
        Err(_) => kind_of_broken(text),
    }
}

/// What a JSON object of one kind has and the others have not.
#[derive(Deserialize)]
struct Marks {
    visitors: Option<IgnoredAny>,
    version: Option<IgnoredAny>,
    experiments: Option<IgnoredAny>,
    #[serde(rename = "type")]
    event_type: Option<IgnoredAny>,
    event: Option<IgnoredAny>,
}

impl Marks {
    fn kind(&self) -> Kind {
        if self.visitors.is_some() {
            Kind::Batch
        } else if self.version.is_some() || self.experiments.is_some() {
            Kind::Datafile
        } else if self.event_type.is_some() || self.event.is_some() {
            Kind::Events
        } else {
            Kind::Datafile
        }
    }
}

/// One JSON value that is no such object: a datafile says best what is wrong with it, unless lines follow.
fn kind_of_value(text: &[u8]) -> Kind {
    if serde_json::from_slice::<IgnoredAny>(text).is_ok() { Kind::Datafile } else { kind_of_broken(text) }
}

/// Not one JSON value: lines of them, or a broken one, which is told by the names in it.
fn kind_of_broken(text: &[u8]) -> Kind {
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or(text);
    let has = |name: &[u8]| text.windows(name.len()).any(|part| part == name);
    if text.len() > first.len() && serde_json::from_slice::<IgnoredAny>(first).is_ok() {
        Kind::Events
    } else if has(b"\"visitors\"") {
        Kind::Batch
    } else if has(b"\"experiments\"") || has(b"\"accountId\"") {
        Kind::Datafile
    } else {
        Kind::Events
    }
}
