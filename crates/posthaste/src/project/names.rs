//! The names under which a project's attributes are written.

use compact_str::{CompactString, format_compact};
use rustc_hash::FxHashMap;

use super::{entities::Attribute, nameless::is_nameless};

/// The attributes of a project, each with the part of the request body that does not depend on the visitor.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttributeNames {
    names: Vec<AttributeName>,
    by_key: FxHashMap<CompactString, u16>,
    tail_bytes_max: usize,
}

/// One attribute: its names, and how they are written.
#[derive(Debug, Clone)]
pub(crate) struct AttributeName {
    pub(crate) entity_id: CompactString,
    pub(crate) key: CompactString,
    /// `,"key":…,"type":"custom","entity_id":…},{"value":`: what follows the value on the wire, to the next one's.
    pub(crate) tail: CompactString,
}

impl AttributeName {
    pub(crate) fn new(entity_id: &str, key: &str) -> Self {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let tail = format_compact!(
            r#","key":{},"type":"custom","entity_id":{}}},{{"value":"#,
            quoted(key),
            quoted(entity_id)
        );
        Self { entity_id: entity_id.into(), key: key.into(), tail }
    }
}

impl AttributeNames {
    /// The names of these attributes.
    ///
    /// An index has 16 bits, the highest of which stands for "written out in the event": names beyond are left to
    /// that slower form. An attribute without an id or a key is not sent, so it has no name here.
    pub(crate) fn new<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Self {
        let mut names = Self::default();
        for attribute in attributes {
            let Ok(index) = u16::try_from(names.names.len()) else { break };
            if is_nameless(attribute.id()) || is_nameless(attribute.key()) || index == u16::MAX {
                continue;
            }
            let name = AttributeName::new(attribute.id(), attribute.key());
            names.tail_bytes_max = names.tail_bytes_max.max(name.tail.len());
            names.names.push(name);
            names.by_key.insert(attribute.key().into(), index);
        }
        names
    }

    pub(crate) fn index_of(&self, key: &str) -> Option<u16> {
        self.by_key.get(key).copied()
    }

    /// Bytes of the longest tail, or of one that is written out, less its names.
    pub(crate) fn tail_bytes_max(&self) -> usize {
        /// `,"key":"","type":"custom","entity_id":""},{"value":` and the value's quotes.
        const PUNCTUATION: usize = 60;
        self.tail_bytes_max.max(PUNCTUATION)
    }

    pub(crate) fn get(&self, index: u16) -> Option<&AttributeName> {
        self.names.get(usize::from(index))
    }
}
