//! One event: the unit that is accepted, queued, delivered or dead-lettered.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::{Map, Value};

use super::{attributes::Attributes, tags::TOO_DEEP, uuid::EventUuid};
use crate::{
    batch::{DecisionMetadata, TAGS_LEVELS_MAX, VisitorAttribute, is_deeper_than},
    project::{Context, EventIds, ReportedDecision, is_nameless},
};

/// The event key of every impression.
pub const IMPRESSION_KEY: &str = "campaign_activated";

/// An impression or a conversion of one visitor.
///
/// Cheap to clone: clones share one value. Some 200 bytes in memory, the visitor's own strings included, since what
/// events of one project have in common is shared by all of them.
///
/// The seed's struct has two nullable pointers, which can be both set or both nil; this one is either or.
///
/// ```
/// use posthaste::{ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
/// assert_eq!((event.visitor_id(), event.key(), event.entity_id()), ("visitor-1", "campaign_activated", "60011"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.UserEvent")]
#[derive(Debug, Clone, PartialEq)]
pub struct UserEvent(Arc<EventData>);

#[derive(Debug, Clone, PartialEq)]
struct EventData {
    timestamp_ms: i64,
    uuid: EventUuid,
    context: Arc<Context>,
    visitor_id: CompactString,
    kind: EventKind,
    attributes: Attributes,
}

/// What happened. There is no third kind, so a `match` needs no other arm.
///
/// ```
/// use posthaste::{EventKind, NO_TAGS, ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.conversion("purchase", &UserContext::new("visitor-1"), NO_TAGS)?;
/// match event.kind() {
///     EventKind::Impression(_) => unreachable!("a purchase is none"),
///     EventKind::Conversion(conversion) => assert_eq!(conversion.key(), "purchase"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A visitor saw a variation.
    Impression(ImpressionEvent),
    /// A visitor did something that the project counts.
    Conversion(ConversionEvent),
}

/// A visitor saw a variation.
///
/// ```
/// use posthaste::{ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
/// let seen = event.impression().unwrap();
/// assert_eq!((seen.campaign_id(), seen.experiment_id(), seen.variation_id()), ("60011", "40011", Some("70111")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.ImpressionEvent")]
#[derive(Debug, Clone, PartialEq)]
pub struct ImpressionEvent {
    decision: Arc<ReportedDecision>,
}

/// A visitor did something that the project counts.
///
/// ```
/// use posthaste::{ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.conversion("purchase", &UserContext::new("visitor-1"), [("value", 1.5)])?;
/// let done = event.conversion().unwrap();
/// assert_eq!((done.entity_id(), done.value(), done.revenue()), ("30012", Some(1.5), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "event.ConversionEvent")]
#[derive(Debug, Clone, PartialEq)]
pub struct ConversionEvent {
    event: Arc<EventIds>,
    details: Option<Box<ConversionDetails>>,
}

/// What only conversions with tags have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConversionDetails {
    /// JSON text of the tags, an object that is not empty.
    pub(crate) tags: Box<str>,
    pub(crate) revenue: Option<i64>,
    pub(crate) value: Option<f64>,
}

impl UserEvent {
    pub(crate) fn new(
        context: Arc<Context>,
        timestamp_ms: i64,
        uuid: EventUuid,
        visitor_id: &str,
        attributes: Attributes,
        kind: EventKind,
    ) -> Self {
        let visitor_id = visitor_id.into();
        Self(Arc::new(EventData { timestamp_ms, uuid, context, visitor_id, kind, attributes }))
    }

    /// When it happened: milliseconds since 1970, UTC. Set once; never the time of sending.
    #[doc(alias = "Timestamp")]
    pub fn timestamp_ms(&self) -> i64 {
        self.0.timestamp_ms
    }

    /// The event's id, by which the Event API recognises repeats.
    pub fn uuid(&self) -> &EventUuid {
        &self.0.uuid
    }

    /// Whose event it is, and who reports it. Shared between events.
    #[doc(alias = "EventContext")]
    pub fn context(&self) -> &Arc<Context> {
        &self.0.context
    }

    /// The visitor.
    pub fn visitor_id(&self) -> &str {
        &self.0.visitor_id
    }

    /// What happened.
    pub fn kind(&self) -> &EventKind {
        &self.0.kind
    }

    /// The impression, where it is one.
    pub fn impression(&self) -> Option<&ImpressionEvent> {
        match self.kind() {
            EventKind::Impression(impression) => Some(impression),
            EventKind::Conversion(_) => None,
        }
    }

    /// The conversion, where it is one.
    pub fn conversion(&self) -> Option<&ConversionEvent> {
        match self.kind() {
            EventKind::Impression(_) => None,
            EventKind::Conversion(conversion) => Some(conversion),
        }
    }

    /// `entity_id` on the wire: the campaign of an impression, the event of a conversion.
    pub fn entity_id(&self) -> &str {
        match self.kind() {
            EventKind::Impression(impression) => impression.entity_id(),
            EventKind::Conversion(conversion) => conversion.entity_id(),
        }
    }

    /// `key` on the wire: [`IMPRESSION_KEY`], or the event's key.
    pub fn key(&self) -> &str {
        match self.kind() {
            EventKind::Impression(impression) => impression.key(),
            EventKind::Conversion(conversion) => conversion.key(),
        }
    }

    /// The attributes as they will be sent, sorted by key, `$opt_bot_filtering` last.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let user = UserContext::new("visitor-1").attribute("plan", "pro");
    /// let event = config.impression("checkout_button", "control", &user)?;
    /// let keys: Vec<String> = event.attributes().into_iter().map(|attribute| attribute.key).collect();
    /// assert_eq!(keys, ["plan", "$opt_bot_filtering"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attributes(&self) -> Vec<VisitorAttribute> {
        let mut attributes = self.0.attributes.to_wire(&self.0.context);
        attributes.push(VisitorAttribute::bot_filtering(self.0.context.bot_filtering()));
        attributes
    }

    /// The same event, having happened at another time (milliseconds since 1970, UTC): for events that are reported
    /// after the fact.
    ///
    /// ```
    /// use posthaste::{ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
    /// let event = event.with_timestamp_ms(1_795_500_003_394).with_uuid("c280ad37-29a6-42e7-b126-0ebc7d56ab56");
    /// assert_eq!(event.timestamp_ms(), 1_795_500_003_394);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        Arc::make_mut(&mut self.0).timestamp_ms = timestamp_ms;
        self
    }

    /// The same event under an id that it already has elsewhere.
    ///
    /// ```
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// # let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// # let event = config.impression("checkout_button", "control", &posthaste::UserContext::new("visitor-1"))?;
    /// // Made elsewhere: under its own id, the API counts it once, however often it is reported.
    /// let event = event.with_uuid("c280ad37-29a6-42e7-b126-0ebc7d56ab56");
    /// assert_eq!(event.uuid().to_string(), "c280ad37-29a6-42e7-b126-0ebc7d56ab56");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_uuid(mut self, uuid: impl Into<EventUuid>) -> Self {
        Arc::make_mut(&mut self.0).uuid = uuid.into();
        self
    }

    /// The same impression, saying how the decision came about, as today's SDKs do. A conversion stays as it is: it
    /// carries no decision.
    ///
    /// ```
    /// use posthaste::{DecisionMetadata, ProjectConfig, UserContext};
    ///
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = ProjectConfig::from_datafile(datafile)?;
    /// let event = config.impression("checkout_button", "control", &UserContext::new("visitor-1"))?;
    /// let metadata = DecisionMetadata::new("", "checkout_button", "experiment", "control", true);
    /// let event = event.with_decision_metadata(metadata.clone());
    /// assert_eq!(event.impression().unwrap().metadata(), Some(&metadata));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_decision_metadata(mut self, metadata: DecisionMetadata) -> Self {
        if let EventKind::Impression(impression) = &mut Arc::make_mut(&mut self.0).kind {
            Arc::make_mut(&mut impression.decision).metadata = Some(metadata);
        }
        self
    }

    /// The text of one attribute; none where it has another value, or is not there.
    pub(crate) fn text_of_attribute(&self, key: &str) -> Option<String> {
        self.0.attributes.text_of(key, &self.0.context)
    }

    pub(crate) fn packed_attributes(&self) -> &Attributes {
        &self.0.attributes
    }

    /// About how many bytes of memory it takes, what it shares with others left out.
    pub(crate) fn memory_bytes(&self) -> usize {
        let tags =
            self.conversion().and_then(ConversionEvent::details).map_or(0, |details| details.tags.len());
        size_of::<EventData>() + self.visitor_id().len() + tags + self.0.attributes.heap_bytes()
    }

    /// Whether a request of this event alone would have more bytes than this: then, how many. A processor refuses such an
    /// event.
    ///
    /// ```
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// let event = config.conversion("purchase", &posthaste::UserContext::new("ann"), [("note", "x".repeat(500))])?;
    /// assert_eq!(event.too_large_for(3_500_000), None);
    /// assert!(event.too_large_for(500).is_some_and(|bytes| bytes > 500));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn too_large_for(&self, request_bytes: usize) -> Option<usize> {
        // The exact size is worked out only where the estimate leaves it open.
        if self.wire_bytes_max() <= request_bytes {
            return None;
        }
        let bytes = super::encode_events(std::iter::once(self)).0.len();
        (bytes > request_bytes).then_some(bytes)
    }

    /// Why the Event API would throw the event away, and perhaps what shares a request with it: `None`, it would not. A
    /// processor refuses such an event.
    ///
    /// ```
    /// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
    /// let config = posthaste::ProjectConfig::from_datafile(datafile)?;
    /// let event = config.conversion("purchase", &posthaste::UserContext::new("ann"), posthaste::NO_TAGS)?;
    /// assert_eq!(event.why_invalid(), None);
    /// let why = event.with_timestamp_ms(0).why_invalid();
    /// assert_eq!(why, Some("timestamp: not milliseconds since 1970; send the time of the event, UTC"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn why_invalid(&self) -> Option<&'static str> {
        if self.uuid().is_empty() {
            Some("uuid: empty, and the API requires one; leave it out to get a new one")
        } else if self.timestamp_ms() <= 0 {
            Some("timestamp: not milliseconds since 1970; send the time of the event, UTC")
        } else if self.conversion().is_some_and(ConversionEvent::is_too_deep) {
            Some(TOO_DEEP)
        } else {
            // The datafile was taken all the same: the rest of it may be in order.
            let has_no_id = self.conversion().is_some_and(|conversion| is_nameless(conversion.entity_id()));
            has_no_id
                .then_some("event: its id in the datafile (events[].id) is empty; copy the datafile again")
        }
    }

    /// About how many bytes the event takes in a request where nothing must be escaped.
    pub(crate) fn wire_bytes_typical(&self) -> usize {
        let tags =
            self.conversion().and_then(ConversionEvent::details).map_or(0, |details| details.tags.len());
        let metadata = self.impression().and_then(ImpressionEvent::metadata);
        360 + metadata.map_or(0, |metadata| metadata.text_bytes() + 90)
            + tags
            + self.visitor_id().len()
            + 8 * self.0.attributes.heap_bytes()
    }

    /// At most how many bytes the event takes in a request, whatever must be escaped in it. Cheap.
    pub(crate) fn wire_bytes_max(&self) -> usize {
        /// Field names, punctuation, numbers, `$opt_bot_filtering`, the head of a request less its strings.
        const FIXED: usize = 800;
        /// A byte becomes at most six: `\u0000`.
        const ESCAPED: usize = 6;
        let own = self.visitor_id().len() + self.entity_id().len() * 2 + self.key().len();
        let details = match self.kind() {
            EventKind::Impression(ImpressionEvent { decision }) => {
                decision.experiment_id.len()
                    + decision.variation_id.as_ref().map_or(0, CompactString::len)
                    + decision.metadata.as_ref().map_or(0, |metadata| metadata.text_bytes() + 200)
            }
            EventKind::Conversion(conversion) => {
                conversion.details.as_ref().map_or(0, |details| details.tags.len())
            }
        };
        let names = self.0.attributes.names_bytes_max(&self.0.context);
        let head = self.0.context.text_bytes();
        FIXED
            + (own + details + head + self.0.attributes.heap_bytes() + self.0.uuid.heap_bytes()) * ESCAPED
            + names
    }
}

impl ImpressionEvent {
    pub(crate) fn new(decision: Arc<ReportedDecision>) -> Self {
        Self { decision }
    }

    /// [`IMPRESSION_KEY`].
    pub fn key(&self) -> &'static str {
        IMPRESSION_KEY
    }

    /// The campaign, as for every impression.
    pub fn entity_id(&self) -> &str {
        self.campaign_id()
    }

    /// The campaign: the experiment's layer.
    pub fn campaign_id(&self) -> &str {
        &self.decision.campaign_id
    }

    /// The experiment.
    pub fn experiment_id(&self) -> &str {
        &self.decision.experiment_id
    }

    /// The variation; `None` where none was decided.
    pub fn variation_id(&self) -> Option<&str> {
        self.decision.variation_id.as_deref()
    }

    /// How the decision came about, where that is to be sent.
    pub fn metadata(&self) -> Option<&DecisionMetadata> {
        self.decision.metadata.as_ref()
    }
}

impl ConversionEvent {
    pub(crate) fn new(event: Arc<EventIds>, details: Option<Box<ConversionDetails>>) -> Self {
        Self { event, details }
    }

    /// The event's key.
    pub fn key(&self) -> &str {
        &self.event.key
    }

    /// The event's id.
    pub fn entity_id(&self) -> &str {
        &self.event.id
    }

    /// The tags, as they were when the event was made.
    pub fn tags(&self) -> Map<String, Value> {
        let Some(details) = &self.details else { return Map::new() };
        serde_json::from_str(&details.tags).unwrap_or_default()
    }

    /// Whether the tags are nested deeper than readers of the request take.
    fn is_too_deep(&self) -> bool {
        self.details.as_ref().is_some_and(|details| is_deeper_than(TAGS_LEVELS_MAX, details.tags.as_bytes()))
    }

    /// Whether `revenue` or `value` may be among the tags.
    pub(crate) fn may_state_a_number(&self) -> bool {
        let has = |text: &str| ["\"revenue\"", "\"value\""].into_iter().any(|name| text.contains(name));
        self.details.as_ref().is_some_and(|details| has(&details.tags))
    }

    /// The revenue that the tags state, in the currency's smallest unit.
    pub fn revenue(&self) -> Option<i64> {
        self.details.as_ref()?.revenue
    }

    /// The value that the tags state.
    pub fn value(&self) -> Option<f64> {
        self.details.as_ref()?.value
    }

    pub(crate) fn details(&self) -> Option<&ConversionDetails> {
        self.details.as_deref()
    }
}
