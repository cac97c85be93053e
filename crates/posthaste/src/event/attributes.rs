//! An event's attributes, packed: a name by its index in the context, a value as the JSON text that will be sent.
//!
//! ```text
//! entry  = index:u16 names? length:u32 value      (little-endian)
//! names  = length:u32 entity_id length:u32 key    (only where index is 0xFFFF)
//! ```
//!
//! Four attributes take some fifty bytes instead of several hundred, a request is written from them by copying, and
//! making them touches no shared counter. The layout never leaves the process.

use std::cell::RefCell;

use serde_json::Value;

use crate::{
    batch::{VisitorAttribute, write_value},
    project::{AttributeName, Context},
};

/// Stands for a name that is written out, since the context has none.
const WRITTEN_OUT: u16 = u16::MAX;

/// How much of a thread's buffer stays allocated between events.
const BUFFER_KEPT: usize = 4_096;

/// The attributes of one event, except `$opt_bot_filtering`, which its context has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attributes(Box<[u8]>);

/// One attribute as packed.
struct Entry<'a> {
    name: AttributeRef<'a>,
    /// JSON text.
    value: &'a str,
}

impl Attributes {
    /// Packs attributes whose values have been checked.
    pub(crate) fn pack<'a>(attributes: impl Iterator<Item = (AttributeRef<'a>, &'a Value)>) -> Self {
        // Gathered in a buffer that stays, then copied into exactly as much memory as it takes.
        thread_local!(static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        BUFFER.with_borrow_mut(|packed| {
            packed.clear();
            packed.shrink_to(BUFFER_KEPT);
            attributes.for_each(|(name, value)| put_entry(packed, name, value));
            Self(packed.as_slice().into())
        })
    }

    /// Writes the attributes as the elements of a JSON list, each followed by a comma.
    pub(crate) fn write_json(&self, context: &Context, out: &mut Vec<u8>) {
        for entry in self.entries() {
            out.extend_from_slice(br#"{"value":"#);
            out.extend_from_slice(entry.value.as_bytes());
            match entry.name {
                AttributeRef::Index(index) => {
                    if let Some(name) = context.names().get(index) {
                        out.extend_from_slice(name.tail.as_bytes());
                    }
                }
                AttributeRef::Names { entity_id, key } => {
                    out.extend_from_slice(AttributeName::new(entity_id, key).tail.as_bytes());
                }
            }
            out.push(b',');
        }
    }

    /// The attributes in the form of the wire types.
    pub(crate) fn to_wire(&self, context: &Context) -> Vec<VisitorAttribute> {
        self.entries()
            .map(|entry| {
                let (entity_id, key) = entry.name.in_full(context);
                VisitorAttribute::custom(
                    entity_id,
                    key,
                    serde_json::from_str(entry.value).unwrap_or(Value::Null),
                )
            })
            .collect()
    }

    /// The text of the attribute of this key; none where it has another value, or is not there.
    pub(crate) fn text_of(&self, key: &str, context: &Context) -> Option<String> {
        let entry = self.entries().find(|entry| entry.name.in_full(context).1 == key)?;
        serde_json::from_str(entry.value).ok()
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.len()
    }

    /// At most how many bytes the names of the context add to a request.
    pub(crate) fn names_bytes_max(&self, context: &Context) -> usize {
        /// An index, a length, and a value of one digit.
        const ENTRY_MIN: usize = 7;
        self.0.len() / ENTRY_MIN * context.names().tail_bytes_max()
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || take_entry(&mut rest))
    }
}

/// How to name an attribute: by its place in the context, or in full.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AttributeRef<'a> {
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

impl<'a> AttributeRef<'a> {
    /// `entity_id` and `key` on the wire.
    fn in_full(self, context: &'a Context) -> (&'a str, &'a str) {
        match self {
            Self::Index(index) => {
                context.names().get(index).map_or(("", ""), |name| (&*name.entity_id, &*name.key))
            }
            Self::Names { entity_id, key } => (entity_id, key),
        }
    }
}

fn put_entry(packed: &mut Vec<u8>, name: AttributeRef<'_>, value: &Value) {
    match name {
        AttributeRef::Index(index) => packed.extend_from_slice(&index.to_le_bytes()),
        AttributeRef::Names { entity_id, key } => {
            packed.extend_from_slice(&WRITTEN_OUT.to_le_bytes());
            put_text(packed, entity_id);
            put_text(packed, key);
        }
    }
    put_json(packed, value);
}

fn put_text(packed: &mut Vec<u8>, text: &str) {
    put_length(packed, text.len());
    packed.extend_from_slice(text.as_bytes());
}

fn put_json(packed: &mut Vec<u8>, value: &Value) {
    let start = packed.len();
    packed.extend_from_slice(&[0; 4]);
    write_value(packed, value);
    let length = packed.len() - start - 4;
    if let Some(place) = packed.get_mut(start..start + 4) {
        place.copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
}

/// A text of 4 GiB does not occur: a user event that large is refused long before.
fn put_length(packed: &mut Vec<u8>, length: usize) {
    packed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn take_entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (index, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    let name = match u16::from_le_bytes(*index) {
        WRITTEN_OUT => AttributeRef::Names { entity_id: take_text(rest)?, key: take_text(rest)? },
        index => AttributeRef::Index(index),
    };
    Some(Entry { name, value: take_text(rest)? })
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (text, tail) = tail.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = tail;
    std::str::from_utf8(text).ok()
}
