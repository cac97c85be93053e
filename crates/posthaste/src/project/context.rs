//! What the events of one project revision have in common: the fields of a request outside its visitors.
//!
//! A context is made once for a [`ProjectConfig`](crate::ProjectConfig) and shared by its events: a million events
//! of one revision hold one context. Events may share a request only where their contexts are equal in every
//! field; the names of attributes are no part of that, since each event is written with its own.

use compact_str::CompactString;

use super::{names::AttributeNames, region::Region};

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
#[derive(Debug, Clone)]
pub struct Context {
    account_id: CompactString,
    project_id: CompactString,
    revision: CompactString,
    client_name: CompactString,
    client_version: CompactString,
    anonymize_ip: bool,
    bot_filtering: bool,
    region: Region,
    region_sent: bool,
    names: AttributeNames,
}

impl Context {
    /// A context of this account, project and revision, everything else at its default: posthaste reports, region US,
    /// which is not sent, no bot filtering, addresses kept whole, no attribute names.
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
            region_sent: false,
            names: AttributeNames::default(),
        }
    }

    /// The same context, reported under this client's name and version.
    #[must_use]
    pub fn with_client(mut self, name: &str, version: &str) -> Self {
        self.client_name = name.into();
        self.client_version = version.into();
        self
    }

    /// The same context, the API forgetting the last part of visitors' addresses or not.
    #[must_use]
    pub fn with_anonymize_ip(mut self, anonymize_ip: bool) -> Self {
        self.anonymize_ip = anonymize_ip;
        self
    }

    /// The same context, with another value of the `$opt_bot_filtering` attribute that every event ends with.
    #[must_use]
    pub fn with_bot_filtering(mut self, bot_filtering: bool) -> Self {
        self.bot_filtering = bot_filtering;
        self
    }

    /// The same context in another region.
    #[must_use]
    pub fn with_region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// The same context, its region written into requests or not.
    #[must_use]
    pub fn with_region_sent(mut self, region_sent: bool) -> Self {
        self.region_sent = region_sent;
        self
    }

    /// The same context, its attributes having these names.
    pub(super) fn with_names(mut self, names: AttributeNames) -> Self {
        self.names = names;
        self
    }

    /// The account that the events belong to.
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    /// The project that the events belong to.
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The datafile's revision.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Who reports: [`CLIENT_NAME`] unless [`with_client`](Self::with_client) says otherwise.
    pub fn client_name(&self) -> &str {
        &self.client_name
    }

    /// The reporter's version.
    pub fn client_version(&self) -> &str {
        &self.client_version
    }

    /// Whether the API shall forget the last part of the visitor's address.
    pub fn anonymize_ip(&self) -> bool {
        self.anonymize_ip
    }

    /// The value of the `$opt_bot_filtering` attribute that every event ends with.
    pub fn bot_filtering(&self) -> bool {
        self.bot_filtering
    }

    /// Decides the Event API that the events go to.
    pub fn region(&self) -> Region {
        self.region
    }

    /// Whether `region` is written into the request too, as the Go SDK does today and did not at v1.0.0-beta7.
    pub fn region_sent(&self) -> bool {
        self.region_sent
    }

    pub(crate) fn names(&self) -> &AttributeNames {
        &self.names
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
            && self.region_sent == other.region_sent
    }
}

impl Eq for Context {}
