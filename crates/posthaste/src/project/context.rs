//! What the events of one project revision have in common: the fields of a request outside its visitors.
//!
//! A context is made once for a [`ProjectConfig`](crate::ProjectConfig) and shared by its events: a million events
//! of one revision hold one context, or one of as many as there are cores, so that threads do not wait for each other's
//! count of references ([`stripes`](super::stripes)). Events may share a request only where their contexts are equal in
//! every field; the tables that events refer to are no part of that, since each event is written with its own.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use compact_str::CompactString;

use super::{
    decision::ReportedDecision,
    entities::EventIds,
    names::AttributeNames,
    region::Region,
    tables::{DatafileId, Tables},
};

/// The name under which posthaste reports itself (`client_name`), unless told otherwise.
pub const CLIENT_NAME: &str = "posthaste";
/// The version that posthaste reports of itself (`client_version`), unless told otherwise.
pub const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The head of a request: whose events these are, and who reports them (PROTOCOL 1.4, "Batch").
///
/// ```
/// use posthaste::{Context, Region};
///
/// let context = Context::new("10000001", "10000002", "42").with_client("my-service", "1.4").with_region(Region::Eu);
/// assert_eq!((context.client_name(), context.region()), ("my-service", Region::Eu));
/// assert!(!context.can_batch(&Context::new("10000001", "10000002", "42")));
/// ```
#[doc(alias = "event.Context")]
// Aligned so that the count of an `Arc` of it shares no cache line, nor a pair of them, with anything that is read.
#[derive(Clone, PartialEq, Eq)]
#[repr(align(128))]
pub struct Context(Arc<Common>);

/// What clones of a context share.
#[derive(Clone)]
struct Common {
    account_id: CompactString,
    project_id: CompactString,
    revision: CompactString,
    client_name: CompactString,
    client_version: CompactString,
    anonymize_ip: bool,
    bot_filtering: bool,
    region: Region,
    region_sent: bool,
    tables: Arc<Tables>,
    /// What a request has before its visitors and behind them, once somebody has written it.
    in_words: OnceLock<[Box<[u8]>; 2]>,
}

impl Context {
    /// A context of this account, project and revision, everything else at its default: posthaste reports, region US,
    /// which is not sent, no bot filtering, addresses kept whole, no attribute names.
    pub fn new(account_id: &str, project_id: &str, revision: &str) -> Self {
        Self(Arc::new(Common {
            account_id: account_id.into(),
            project_id: project_id.into(),
            revision: revision.into(),
            client_name: CLIENT_NAME.into(),
            client_version: CLIENT_VERSION.into(),
            anonymize_ip: false,
            bot_filtering: false,
            region: Region::Us,
            region_sent: false,
            tables: Arc::default(),
            in_words: OnceLock::new(),
        }))
    }

    /// The same context, reported under this client's name and version.
    #[must_use]
    pub fn with_client(mut self, name: &str, version: &str) -> Self {
        self.common().client_name = name.into();
        self.common().client_version = version.into();
        self
    }

    /// The same context, the API forgetting the last part of visitors' addresses or not.
    #[must_use]
    pub fn with_anonymize_ip(mut self, anonymize_ip: bool) -> Self {
        self.common().anonymize_ip = anonymize_ip;
        self
    }

    /// The same context, with another value of the `$opt_bot_filtering` attribute that every event ends with.
    #[must_use]
    pub fn with_bot_filtering(mut self, bot_filtering: bool) -> Self {
        self.common().bot_filtering = bot_filtering;
        self
    }

    /// The same context in another region.
    #[must_use]
    pub fn with_region(mut self, region: Region) -> Self {
        self.common().region = region;
        self
    }

    /// The same context, its region written into requests or not.
    #[must_use]
    pub fn with_region_sent(mut self, region_sent: bool) -> Self {
        self.common().region_sent = region_sent;
        self
    }

    /// The same context with these tables.
    pub(super) fn with_tables(mut self, tables: Tables) -> Self {
        self.common().tables = Arc::new(tables);
        self
    }

    /// What it has by itself, to be changed.
    fn common(&mut self) -> &mut Common {
        let common = Arc::make_mut(&mut self.0);
        common.in_words = OnceLock::new();
        common
    }

    /// The account that the events belong to.
    pub fn account_id(&self) -> &str {
        &self.0.account_id
    }

    /// The project that the events belong to.
    pub fn project_id(&self) -> &str {
        &self.0.project_id
    }

    /// The datafile's revision.
    pub fn revision(&self) -> &str {
        &self.0.revision
    }

    /// Who reports: [`CLIENT_NAME`] unless [`with_client`](Self::with_client) says otherwise.
    pub fn client_name(&self) -> &str {
        &self.0.client_name
    }

    /// The reporter's version.
    pub fn client_version(&self) -> &str {
        &self.0.client_version
    }

    /// Whether the API shall forget the last part of the visitor's address.
    pub fn anonymize_ip(&self) -> bool {
        self.0.anonymize_ip
    }

    /// The value of the `$opt_bot_filtering` attribute that every event ends with.
    pub fn bot_filtering(&self) -> bool {
        self.0.bot_filtering
    }

    /// Decides the Event API that the events go to.
    pub fn region(&self) -> Region {
        self.0.region
    }

    /// Whether `region` is written into the request too, as the Go SDK does today and did not at v1.0.0-beta7.
    pub fn region_sent(&self) -> bool {
        self.0.region_sent
    }

    #[inline]
    pub(crate) fn names(&self) -> &AttributeNames {
        &self.0.tables.names
    }

    /// Whether events of these two contexts may share a request. The seed compares project and revision only, and
    /// so sends some events under another's account, client or region.
    ///
    /// ```
    /// use posthaste::Context;
    ///
    /// let context = Context::new("10000001", "10000002", "42");
    /// assert!(context.can_batch(&context.clone()));
    /// assert!(!context.can_batch(&context.clone().with_anonymize_ip(true)));
    /// ```
    pub fn can_batch(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }
}

impl Context {
    pub(super) fn tables(&self) -> &Tables {
        &self.0.tables
    }

    /// Whether a number means the same in both.
    pub(crate) fn shares_tables(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.tables, &other.0.tables)
    }

    /// Which datafile it is of.
    #[inline]
    pub(crate) fn datafile(&self) -> DatafileId {
        self.0.tables.datafile()
    }

    /// The decision of this number.
    #[inline]
    pub(crate) fn decision(&self, index: u32) -> Option<&ReportedDecision> {
        self.0.tables.decision(index)
    }

    /// The event of this number.
    #[inline]
    pub(crate) fn event_ids(&self, index: u32) -> Option<&EventIds> {
        self.0.tables.event_ids(index)
    }

    /// What a request has before its visitors and behind them: written by `write` the first time.
    pub(crate) fn in_words(&self, write: impl FnOnce(&Self) -> [Box<[u8]>; 2]) -> &[Box<[u8]>; 2] {
        self.0.in_words.get_or_init(|| write(self))
    }

    /// Bytes of text in it.
    pub(crate) fn text_bytes(&self) -> usize {
        self.0.account_id.len()
            + self.0.project_id.len()
            + self.0.revision.len()
            + self.0.client_name.len()
            + self.0.client_version.len()
    }
}

impl PartialEq for Common {
    fn eq(&self, other: &Self) -> bool {
        self.account_id == other.account_id
            && self.project_id == other.project_id
            && self.revision == other.revision
            && self.client_name == other.client_name
            && self.client_version == other.client_version
            && self.anonymize_ip == other.anonymize_ip
            && self.bot_filtering == other.bot_filtering
            && self.region == other.region
            && self.region_sent == other.region_sent
    }
}

impl Eq for Common {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("account_id", &self.account_id())
            .field("project_id", &self.project_id())
            .field("revision", &self.revision())
            .field("client_name", &self.client_name())
            .field("client_version", &self.client_version())
            .field("anonymize_ip", &self.anonymize_ip())
            .field("bot_filtering", &self.bot_filtering())
            .field("region", &self.region())
            .field("region_sent", &self.region_sent())
            .finish_non_exhaustive()
    }
}
