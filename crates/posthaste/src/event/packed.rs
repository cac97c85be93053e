//! How an event lies in memory: one allocation, of a head and of the bytes that are this event's own.
//!
//! ```text
//! count  head  length  bytes
//! head  = uuid, context, time, place of the ids in the context, flags, two lengths, a number   (40 bytes)
//! bytes = visitor attributes uuid? ids? tags? value? revenue? lengths?
//! ```
//!
//! What a datafile says of its experiments and events stands in the tables of the [`Context`]: an event that was made of
//! that datafile says where. The ids of any other (`OWN_IDS`) are among its bytes; so is a uuid that is no lower-case
//! hyphenated one (`UUID_TEXT`). Two lengths that have no room in the head are behind the rest (`LONG`). The layout
//! never leaves the process.

use std::sync::Arc;

use triomphe::ThinArc;

use super::{
    attributes::Attributes,
    bytes::{put_text, take_text},
    kind::ImpressionEvent,
    scratch,
    uuid::EventUuid,
};
use crate::{
    batch::{DecisionMetadata, TAGS_LEVELS_MAX, is_deeper_than},
    project::{Context, EventIds, ReportedDecision, is_nameless},
};

/// One event. Clones share it.
#[derive(Clone)]
pub(super) struct Packed(ThinArc<Head, u8>);

/// What every event has.
#[derive(Debug, Clone)]
pub(super) struct Head {
    uuid: [u8; 16],
    context: Arc<Context>,
    timestamp_ms: i64,
    /// Where the ids are in the context's tables.
    index: u32,
    flags: u8,
    /// Of the attributes; the highest number stands for more.
    attributes: u8,
    visitor_bytes: u8,
    attribute_bytes: u8,
}

/// What is so about an event, each a bit of its head.
pub(super) mod flag {
    /// A conversion; otherwise an impression.
    pub(crate) const CONVERSION: u8 = 1;
    /// The ids are among the bytes.
    pub(crate) const OWN_IDS: u8 = 1 << 1;
    /// The lengths are behind the bytes.
    pub(crate) const LONG: u8 = 1 << 2;
    /// The uuid is among the bytes.
    pub(crate) const UUID_TEXT: u8 = 1 << 3;
    pub(crate) const REVENUE: u8 = 1 << 4;
    pub(crate) const VALUE: u8 = 1 << 5;
    /// The tags are nested deeper than readers take.
    pub(crate) const TOO_DEEP: u8 = 1 << 6;
    /// The event's id is empty, or blank.
    pub(crate) const NAMELESS: u8 = 1 << 7;
}

/// Bytes of a number behind the rest.
const NUMBER: usize = size_of::<u64>();

/// The bytes, taken apart.
#[derive(Clone, Copy)]
struct Parts<'a> {
    visitor: &'a [u8],
    attributes: &'a [u8],
    /// From the uuid on, without the lengths.
    rest: &'a [u8],
}

/// What only conversions have, taken apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Details<'a> {
    /// JSON text of an object; empty where there are no tags.
    pub(super) tags: &'a [u8],
    pub(super) revenue: Option<i64>,
    pub(super) value: Option<f64>,
}

impl Packed {
    pub(super) fn timestamp_ms(&self) -> i64 {
        self.0.header.header.timestamp_ms
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.0.header.header.context
    }

    #[inline]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.0.header.header.flags & flag != 0
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.0.heap_ptr(), other.0.heap_ptr())
    }

    /// As it was copied from a text.
    pub(super) fn visitor(&self) -> &[u8] {
        self.parts().visitor
    }

    #[inline]
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes::new(self.parts().attributes)
    }

    /// At least as many attributes as there are.
    pub(super) fn attributes_max(&self) -> usize {
        match self.0.header.header.attributes {
            // A name and a kind.
            u8::MAX => self.0.slice.len() / 2,
            count => usize::from(count),
        }
    }

    pub(super) fn uuid(&self) -> EventUuid {
        if self.has(flag::UUID_TEXT) {
            return take_text(&mut self.parts().rest).into();
        }
        EventUuid::of_bytes(self.0.header.header.uuid)
    }

    /// The uuid, where it is a canonical one.
    #[inline]
    pub(super) fn uuid_bytes(&self) -> Option<[u8; 16]> {
        (!self.has(flag::UUID_TEXT)).then_some(self.0.header.header.uuid)
    }

    /// What the datafile says of the impression; `None` where its ids are its own.
    pub(super) fn decision(&self) -> Option<&ReportedDecision> {
        let is_there = !self.has(flag::OWN_IDS | flag::CONVERSION);
        is_there.then(|| self.context().decision(self.0.header.header.index)).flatten()
    }

    /// The same of a conversion.
    pub(super) fn event_ids(&self) -> Option<&EventIds> {
        let is_there = !self.has(flag::OWN_IDS) && self.has(flag::CONVERSION);
        is_there.then(|| self.context().event_ids(self.0.header.header.index)).flatten()
    }

    /// The bytes from where the ids begin, should there be any.
    pub(super) fn own_ids(&self) -> &[u8] {
        let rest = &mut self.parts().rest;
        if self.has(flag::UUID_TEXT) {
            take_text(rest);
        }
        rest
    }

    /// What is behind the ids of a conversion.
    pub(super) fn details<'a>(&self, mut behind_ids: &'a [u8]) -> Details<'a> {
        let mut number = |flag: u8| {
            let (rest, number) = self.has(flag).then(|| behind_ids.split_last_chunk::<NUMBER>()).flatten()?;
            behind_ids = rest;
            Some(*number)
        };
        let revenue = number(flag::REVENUE).map(i64::from_le_bytes);
        let value = number(flag::VALUE).map(f64::from_le_bytes);
        Details { tags: behind_ids, revenue, value }
    }

    /// Bytes of its own strings and what else is beside the head.
    pub(super) fn len(&self) -> usize {
        self.0.slice.len()
    }

    /// The allocation: a count, the head, a length, the bytes, in whole words.
    pub(super) fn heap_bytes(&self) -> usize {
        let bytes = 2 * size_of::<usize>() + size_of::<Head>() + self.len();
        bytes.next_multiple_of(align_of::<Head>())
    }

    #[inline]
    fn parts(&self) -> Parts<'_> {
        let Head { flags, visitor_bytes, attribute_bytes, .. } = self.0.header.header;
        let (bytes, lengths) = if flags & flag::LONG == 0 {
            (&self.0.slice, [usize::from(visitor_bytes), usize::from(attribute_bytes)])
        } else {
            self.long_parts()
        };
        debug_assert!(bytes.len() >= lengths[0] + lengths[1], "the lengths are those of the bytes");
        let (visitor, rest) = bytes.split_at_checked(lengths[0]).unwrap_or_default();
        let (attributes, rest) = rest.split_at_checked(lengths[1]).unwrap_or_default();
        Parts { visitor, attributes, rest }
    }

    #[cold]
    fn long_parts(&self) -> (&[u8], [usize; 2]) {
        let mut bytes = &self.0.slice;
        let lengths = [(); 2].map(|()| {
            let (rest, length) = bytes.split_last_chunk::<NUMBER>().unwrap_or((bytes, &[0; NUMBER]));
            bytes = rest;
            usize::try_from(u64::from_le_bytes(*length)).unwrap_or_default()
        });
        (bytes, lengths)
    }

    /// The same at another time.
    pub(super) fn at(&self, timestamp_ms: i64) -> Self {
        let head = Head { timestamp_ms, ..self.0.header.header.clone() };
        Self(ThinArc::from_header_and_slice(head, &self.0.slice))
    }

    /// The same under another id.
    pub(super) fn under(&self, uuid: &EventUuid) -> Self {
        let mut draft = self.redraft(uuid);
        draft.flags |= self.0.header.header.flags & !(flag::UUID_TEXT | flag::LONG);
        draft.bytes.extend_from_slice(self.own_ids());
        draft.finish(Arc::clone(self.context()), self.timestamp_ms())
    }

    /// The same impression with ids of its own, which `put` adds.
    pub(super) fn with_own_ids(&self, put: impl FnOnce(&mut Draft)) -> Self {
        let mut draft = self.redraft(&self.uuid());
        put(&mut draft);
        draft.finish(Arc::clone(self.context()), self.timestamp_ms())
    }

    /// A draft with the visitor, the attributes and this uuid.
    fn redraft(&self, uuid: &EventUuid) -> Draft {
        let (parts, head) = (self.parts(), &self.0.header.header);
        let mut draft = Draft::of(parts.visitor);
        draft.attributes(|out| {
            out.extend_from_slice(parts.attributes);
            usize::from(head.attributes)
        });
        draft.index = head.index;
        draft.uuid(uuid);
        draft
    }
}

/// An event that is being put together, its parts in the order in which they lie.
#[derive(Debug)]
pub(super) struct Draft {
    bytes: Vec<u8>,
    uuid: [u8; 16],
    index: u32,
    flags: u8,
    attributes: u8,
    visitor_bytes: usize,
    attribute_bytes: usize,
}

impl Draft {
    /// An event of this visitor.
    #[inline]
    pub(super) fn of(visitor: &[u8]) -> Self {
        let mut bytes = scratch::take();
        bytes.extend_from_slice(visitor);
        let (uuid, visitor_bytes) = ([0; 16], visitor.len());
        Self { bytes, uuid, index: 0, flags: 0, attributes: 0, visitor_bytes, attribute_bytes: 0 }
    }

    /// With the attributes that `put` adds; it says how many.
    pub(super) fn attributes(&mut self, put: impl FnOnce(&mut Vec<u8>) -> usize) {
        let count = put(&mut self.bytes);
        self.attributes = u8::try_from(count).unwrap_or(u8::MAX);
        self.attribute_bytes = self.bytes.len() - self.visitor_bytes;
    }

    /// Under an id that it has already.
    pub(super) fn uuid(&mut self, uuid: &EventUuid) {
        match uuid.as_bytes() {
            Ok(uuid) => self.uuid = uuid,
            Err(text) => {
                self.flags |= flag::UUID_TEXT;
                put_text(&mut self.bytes, text);
            }
        }
    }

    /// Under a new random id.
    #[inline]
    pub(super) fn random_uuid(&mut self) {
        self.uuid = EventUuid::random_bytes();
    }

    /// Its ids are there in the context's tables.
    #[inline]
    pub(super) fn index(&mut self, index: u32) {
        self.index = index;
    }

    #[inline]
    pub(super) fn flag(&mut self, flag: u8) {
        self.flags |= flag;
    }

    /// An impression whose ids are these.
    pub(super) fn impression(&mut self, ids: ImpressionEvent<'_>, metadata: Option<&DecisionMetadata>) {
        self.flags |= flag::OWN_IDS;
        ids.put(&mut self.bytes, metadata);
    }

    /// A conversion whose ids are these.
    pub(super) fn conversion(&mut self, id: &str, key: &str) {
        self.flags |= flag::OWN_IDS | flag::CONVERSION;
        if is_nameless(id) {
            self.flags |= flag::NAMELESS;
        }
        put_text(&mut self.bytes, id);
        put_text(&mut self.bytes, key);
    }

    /// A conversion's tags are what `put` adds as a JSON object, if anything. It says which revenue and value they state.
    pub(super) fn tags(&mut self, put: impl FnOnce(&mut Vec<u8>) -> (Option<i64>, Option<f64>)) {
        let start = self.bytes.len();
        let (revenue, value) = put(&mut self.bytes);
        if is_deeper_than(TAGS_LEVELS_MAX, self.bytes.get(start..).unwrap_or_default()) {
            self.flags |= flag::TOO_DEEP;
        }
        if let Some(value) = value {
            self.flags |= flag::VALUE;
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
        if let Some(revenue) = revenue {
            self.flags |= flag::REVENUE;
            self.bytes.extend_from_slice(&revenue.to_le_bytes());
        }
    }

    /// The event: one allocation.
    pub(super) fn finish(mut self, context: Arc<Context>, timestamp_ms: i64) -> Packed {
        let short = u8::try_from(self.visitor_bytes).ok().zip(u8::try_from(self.attribute_bytes).ok());
        if short.is_none() {
            self.flags |= flag::LONG;
            for length in [self.attribute_bytes, self.visitor_bytes] {
                self.bytes.extend_from_slice(&(length as u64).to_le_bytes());
            }
        }
        let (visitor_bytes, attribute_bytes) = short.unwrap_or_default();
        let Self { uuid, index, flags, attributes, .. } = self;
        let head =
            Head { uuid, context, timestamp_ms, index, flags, attributes, visitor_bytes, attribute_bytes };
        let packed = Packed(ThinArc::from_header_and_slice(head, &self.bytes));
        scratch::put_back(self.bytes);
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_pointer_and_a_head_of_40_bytes() {
        assert_eq!((size_of::<Option<Packed>>(), size_of::<Head>()), (8, 40));
    }
}
