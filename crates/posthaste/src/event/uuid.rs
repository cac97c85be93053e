//! An event's id: made once, never rewritten.

use std::fmt;

use uuid::Uuid;

/// The id that the Event API recognises repeats by.
///
/// Ids made here are random (version 4), lower-case. Ids that come from elsewhere are kept letter for letter, whatever
/// they look like: some SDKs write upper case, and whether the API would see the same id in both is not documented.
///
/// ```
/// use posthaste::EventUuid;
///
/// assert_ne!(EventUuid::random(), EventUuid::random());
/// assert_eq!(EventUuid::from("ORDER-17").to_string(), "ORDER-17");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventUuid(Form);

/// A lower-case hyphenated uuid takes 16 bytes instead of 36; everything else is kept as text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    Canonical(Uuid),
    Other(Box<str>),
}

impl EventUuid {
    /// A new random id.
    pub fn random() -> Self {
        Self::of_bytes(Self::random_bytes())
    }

    /// The bytes of a new random id.
    #[expect(clippy::disallowed_methods, reason = "this is the one source of ids")]
    pub(super) fn random_bytes() -> [u8; 16] {
        Uuid::new_v4().into_bytes()
    }

    /// An id of these bytes: a lower-case hyphenated uuid.
    pub(super) fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(Form::Canonical(Uuid::from_bytes(bytes)))
    }

    /// Its bytes, or its text where that is no lower-case hyphenated uuid.
    pub(super) fn as_bytes(&self) -> Result<[u8; 16], &str> {
        match &self.0 {
            Form::Canonical(uuid) => Ok(uuid.into_bytes()),
            Form::Other(text) => Err(text),
        }
    }

    /// Writes the id of these bytes as text.
    pub(super) fn write(bytes: [u8; 16], out: &mut Vec<u8>) {
        let text = &mut [0; 36];
        out.extend_from_slice(Uuid::from_bytes(bytes).hyphenated().encode_lower(text).as_bytes());
    }

    /// Whether there is no id at all. The Event API requires one.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Form::Other(text) if text.is_empty())
    }

    /// The id's text, written into `buffer` where it is not kept as text.
    pub(crate) fn as_str<'a>(&'a self, buffer: &'a mut [u8; 36]) -> &'a str {
        match &self.0 {
            Form::Canonical(uuid) => uuid.hyphenated().encode_lower(buffer),
            Form::Other(text) => text,
        }
    }
}

impl From<&str> for EventUuid {
    fn from(text: &str) -> Self {
        let mut buffer = [0; 36];
        match Uuid::try_parse(text) {
            Ok(uuid) if uuid.hyphenated().encode_lower(&mut buffer) == text => Self(Form::Canonical(uuid)),
            _ => Self(Form::Other(text.into())),
        }
    }
}

impl From<String> for EventUuid {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Display for EventUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str(&mut [0; 36]))
    }
}

impl fmt::Debug for EventUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_letters_whatever_they_are() {
        for text in [
            "c280ad37-29a6-42e7-b126-0ebc7d56ab56",
            "C280AD37-29A6-42E7-B126-0EBC7D56AB56",
            "c280ad3729a642e7b1260ebc7d56ab56",
            "{c280ad37-29a6-42e7-b126-0ebc7d56ab56}",
            "order-17",
            "é",
            "",
        ] {
            assert_eq!(EventUuid::from(text).to_string(), text);
        }
    }

    #[test]
    fn random_ids_are_version_4_and_differ() {
        let (a, b) = (EventUuid::random(), EventUuid::random());
        assert_ne!(a, b);
        assert_eq!(Uuid::try_parse(&a.to_string()).unwrap().get_version_num(), 4);
    }

    #[test]
    fn an_id_takes_24_bytes() {
        assert_eq!(size_of::<EventUuid>(), 24);
    }
}
