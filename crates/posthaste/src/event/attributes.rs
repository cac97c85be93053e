//! An event's attributes, packed: a name by its index in the context, a value as the JSON text that will be sent, less
//! what goes without saying.
//!
//! ```text
//! entry = name names? kind text
//! name  = 0: written out, as names | 1 + index in the context's names
//! names = length entity_id length key
//! kind  = 0: false | 1: true | 2 + 2 × length: JSON text | 3 + 2 × length: a string of this text, nothing to be escaped
//! ```
//!
//! Four attributes take some twenty bytes, a request is written from them by copying, and making them touches no shared
//! counter. The layout never leaves the process.

use serde_json::Value;

use super::bytes::{as_text, number_bytes, put_number, put_text, take_bytes, take_number, take_text};
use crate::{
    batch::{VisitorAttribute, needs_no_escape, write_text, write_value},
    project::{AttributeNames, Context},
};

const FALSE: usize = 0;
const TRUE: usize = 1;
/// The first kind that says a length.
const TEXTS: usize = 2;

/// The attributes of one event, except `$opt_bot_filtering`, which its context has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(&'a [u8]);

/// One attribute as packed.
struct Entry<'a> {
    name: AttributeRef<'a>,
    value: Packed<'a>,
}

/// A value as packed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Packed<'a> {
    Json(&'a [u8]),
    /// The text of a string, without its quotes.
    Plain(&'a [u8]),
}

/// How to name an attribute: by its place in the context, or in full.
#[derive(Debug, Clone, Copy)]
pub(super) enum AttributeRef<'a> {
    /// Its place in the context's names.
    Index(u16),
    /// Names that the context does not have: a reserved attribute, or one of an event read back from elsewhere.
    Names {
        /// `entity_id` on the wire.
        entity_id: &'a str,
        /// `key` on the wire.
        key: &'a str,
    },
}

/// Packs an attribute behind others. Its value has been checked.
pub(super) fn put(out: &mut Vec<u8>, name: AttributeRef<'_>, value: &Value) {
    match name {
        AttributeRef::Index(index) => put_number(out, usize::from(index) + 1),
        AttributeRef::Names { entity_id, key } => {
            put_number(out, 0);
            put_text(out, entity_id);
            put_text(out, key);
        }
    }
    match value {
        Value::Bool(false) => put_number(out, FALSE),
        Value::Bool(true) => put_number(out, TRUE),
        Value::String(text) if needs_no_escape(text.as_bytes()) => {
            put_number(out, TEXTS + 2 * text.len() + 1);
            out.extend_from_slice(text.as_bytes());
        }
        other => put_json(out, other),
    }
}

/// Its length is known only once it is written: it gets as much room before it as it needs.
fn put_json(out: &mut Vec<u8>, value: &Value) {
    let start = out.len();
    write_value(out, value);
    let length = out.len() - start;
    put_number(out, TEXTS + 2 * length);
    let number = number_bytes(TEXTS + 2 * length);
    if let Some(text) = out.get_mut(start..) {
        text.rotate_right(number);
    }
}

impl<'a> Attributes<'a> {
    pub(super) fn new(packed: &'a [u8]) -> Self {
        Self(packed)
    }

    /// Writes the values, each followed by its names and by what begins the next attribute.
    pub(super) fn write_json(self, names: &AttributeNames, out: &mut Vec<u8>) {
        for entry in self.entries() {
            entry.value.write(out);
            match entry.name {
                AttributeRef::Index(index) => {
                    out.extend_from_slice(names.get(index).map_or(&[][..], |name| name.tail.as_bytes()));
                }
                AttributeRef::Names { entity_id, key } => {
                    out.extend_from_slice(br#","key":"#);
                    write_text(out, key);
                    out.extend_from_slice(br#","type":"custom","entity_id":"#);
                    write_text(out, entity_id);
                    out.extend_from_slice(br#"},{"value":"#);
                }
            }
        }
    }

    /// The attributes in the form of the wire types.
    pub(super) fn to_wire(self, context: &Context) -> Vec<VisitorAttribute> {
        self.entries()
            .map(|entry| {
                let (entity_id, key) = entry.name.in_full(context.names());
                VisitorAttribute::custom(entity_id, key, entry.value.to_value())
            })
            .collect()
    }

    /// The text of the attribute of this key; none where it has another value, or is not there.
    pub(super) fn text_of(self, key: &str, context: &Context) -> Option<String> {
        let entry = self.entries().find(|entry| entry.name.in_full(context.names()).1 == key)?;
        match entry.value.to_value() {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether these say the same under their context as others do under theirs.
    pub(super) fn says_the_same(self, context: &Context, others: Self, others_context: &Context) -> bool {
        fn in_full<'a>(
            attributes: Attributes<'a>,
            context: &'a Context,
        ) -> impl Iterator<Item = ((&'a str, &'a str), Packed<'a>)> {
            attributes.entries().map(|entry| (entry.name.in_full(context.names()), entry.value))
        }
        let same_names = context.shares_tables(others_context);
        (same_names && self.0 == others.0) || in_full(self, context).eq(in_full(others, others_context))
    }

    fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || take_entry(&mut rest))
    }
}

impl<'a> AttributeRef<'a> {
    /// `entity_id` and `key` on the wire.
    fn in_full(self, names: &'a AttributeNames) -> (&'a str, &'a str) {
        match self {
            Self::Index(index) => names.get(index).map_or(("", ""), |name| (&*name.entity_id, &*name.key)),
            Self::Names { entity_id, key } => (entity_id, key),
        }
    }
}

impl Packed<'_> {
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Json(text) => out.extend_from_slice(text),
            Self::Plain(text) => {
                out.push(b'"');
                out.extend_from_slice(text);
                out.push(b'"');
            }
        }
    }

    fn to_value(self) -> Value {
        match self {
            Self::Json(text) => serde_json::from_slice(text).unwrap_or(Value::Null),
            Self::Plain(text) => as_text(text).into(),
        }
    }
}

fn take_entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let name = match take_number(rest)?.checked_sub(1) {
        Some(index) => AttributeRef::Index(u16::try_from(index).ok()?),
        None => AttributeRef::Names { entity_id: take_text(rest), key: take_text(rest) },
    };
    let value = match take_number(rest)? {
        FALSE => Packed::Json(b"false"),
        TRUE => Packed::Json(b"true"),
        kind if (kind - TEXTS).is_multiple_of(2) => Packed::Json(take_bytes(rest, (kind - TEXTS) / 2)?),
        kind => Packed::Plain(take_bytes(rest, (kind - TEXTS) / 2)?),
    };
    Some(Entry { name, value })
}
