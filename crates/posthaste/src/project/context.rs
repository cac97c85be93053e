//! What the events of one project revision have in common: the fields of a request outside its visitors.
//!
//! A context is made once for a [`ProjectConfig`](crate::ProjectConfig) and shared by its events: a million events
//! of one revision hold one context. Events may share a request only where their contexts are equal in every
//! field; the names of attributes are no part of that, since each event is written with its own.

use compact_str::{CompactString, format_compact};
use rustc_hash::FxHashMap;

use super::{Attribute, Region};

/// The name under which posthaste reports itself (`client_name`), unless told otherwise.
pub const CLIENT_NAME: &str = "posthaste";
/// The version that posthaste reports of itself (`client_version`), unless told otherwise.
pub const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The head of a request: whose events these are, and who reports them.
#[doc(alias = "event.Context")]
#[derive(Debug, Clone)]
pub struct Context {
    /// The account that the events belong to.
    pub account_id: CompactString,
    /// The project that the events belong to.
    pub project_id: CompactString,
    /// The datafile's revision.
    pub revision: CompactString,
    /// Who reports: [`CLIENT_NAME`] unless [`with_client`](crate::ProjectConfig::with_client) says otherwise.
    pub client_name: CompactString,
    /// The reporter's version.
    pub client_version: CompactString,
    /// Whether the API shall forget the last part of the visitor's address.
    pub anonymize_ip: bool,
    /// The value of the `$opt_bot_filtering` attribute that every event ends with.
    pub bot_filtering: bool,
    /// Decides the Event API that the events go to.
    pub region: Region,
    /// Whether `region` is written into the request too, as the Go SDK does today and did not at v1.0.0-beta7.
    pub send_region: bool,
    pub(crate) names: AttributeNames,
}

impl Context {
    /// A context of this account, project and revision, everything else at its default: region US, no bot
    /// filtering, addresses kept whole, no attribute names.
    pub fn new(account_id: &str, project_id: &str, revision: &str) -> Self {
        Self {
            account_id: account_id.into(),
            project_id: project_id.into(),
            revision: revision.into(),
            client_name: CLIENT_NAME.into(),
            client_version: CLIENT_VERSION.into(),
            anonymize_ip: false,
            bot_filtering: false,
            region: Region::Us,
            send_region: false,
            names: AttributeNames::default(),
        }
    }

    /// Whether events of these two contexts may share a request. The seed compares project and revision only, and
    /// so sends some events under another's account, client or region.
    pub fn can_batch(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self == other
    }
}

impl Context {
    /// Bytes of text in it.
    pub(crate) fn text_bytes(&self) -> usize {
        self.account_id.len()
            + self.project_id.len()
            + self.revision.len()
            + self.client_name.len()
            + self.client_version.len()
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.account_id == other.account_id
            && self.project_id == other.project_id
            && self.revision == other.revision
            && self.client_name == other.client_name
            && self.client_version == other.client_version
            && self.anonymize_ip == other.anonymize_ip
            && self.bot_filtering == other.bot_filtering
            && self.region == other.region
            && self.send_region == other.send_region
    }
}

impl Eq for Context {}

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
    /// `,"key":…,"type":"custom","entity_id":…}`: what follows the value on the wire.
    pub(crate) tail: CompactString,
}

impl AttributeName {
    pub(crate) fn new(entity_id: &str, key: &str) -> Self {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let tail =
            format_compact!(r#","key":{},"type":"custom","entity_id":{}}}"#, quoted(key), quoted(entity_id));
        Self { entity_id: entity_id.into(), key: key.into(), tail }
    }
}

impl AttributeNames {
    /// The names of these attributes.
    ///
    /// An index has 16 bits, the highest of which stands for "written out in the event": names beyond are left to
    /// that slower form. An attribute without an id is not sent, so it has no name here.
    pub(crate) fn new<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Self {
        let mut names = Self::default();
        for attribute in attributes {
            let Ok(index) = u16::try_from(names.names.len()) else { break };
            if attribute.id().is_empty() || index == u16::MAX {
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
        /// `,"key":"","type":"custom","entity_id":""}` with `{"value":` and a comma.
        const PUNCTUATION: usize = 60;
        self.tail_bytes_max + PUNCTUATION
    }

    pub(crate) fn get(&self, index: u16) -> Option<&AttributeName> {
        self.names.get(usize::from(index))
    }
}
