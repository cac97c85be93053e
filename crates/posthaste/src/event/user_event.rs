//! One event: the unit that is accepted, queued, delivered or dead-lettered.

use std::{fmt, sync::Arc};

use super::{
    bytes::as_text,
    kind::{ConversionEvent, EventKind, ImpressionEvent},
    packed::Packed,
    uuid::EventUuid,
};
use crate::{
    batch::{DecisionMetadata, VisitorAttribute},
    project::Context,
};

/// An impression or a conversion of one visitor.
///
/// Cheap to clone: clones share one value. A pointer to one allocation, of some 60 bytes beside the visitor's own
/// strings: what events of one project have in common is shared by all of them.
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
#[derive(Clone)]
pub struct UserEvent(pub(super) Packed);

impl UserEvent {
    /// When it happened: milliseconds since 1970, UTC. Set once; never the time of sending.
    #[doc(alias = "Timestamp")]
    pub fn timestamp_ms(&self) -> i64 {
        self.0.timestamp_ms()
    }

    /// The event's id, by which the Event API recognises repeats.
    pub fn uuid(&self) -> EventUuid {
        self.0.uuid()
    }

    /// Whose event it is, and who reports it. Shared between events.
    #[doc(alias = "EventContext")]
    pub fn context(&self) -> &Arc<Context> {
        self.0.context()
    }

    /// The visitor.
    pub fn visitor_id(&self) -> &str {
        as_text(self.0.visitor())
    }

    /// What happened.
    pub fn kind(&self) -> EventKind<'_> {
        EventKind::of(&self.0)
    }

    /// The impression, where it is one.
    pub fn impression(&self) -> Option<ImpressionEvent<'_>> {
        match self.kind() {
            EventKind::Impression(impression) => Some(impression),
            EventKind::Conversion(_) => None,
        }
    }

    /// The conversion, where it is one.
    pub fn conversion(&self) -> Option<ConversionEvent<'_>> {
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

    /// `key` on the wire: [`IMPRESSION_KEY`](super::IMPRESSION_KEY), or the event's key.
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
        let mut attributes = self.0.attributes().to_wire(self.context());
        attributes.push(VisitorAttribute::bot_filtering(self.context().bot_filtering()));
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
    pub fn with_timestamp_ms(self, timestamp_ms: i64) -> Self {
        Self(self.0.at(timestamp_ms))
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
    pub fn with_uuid(self, uuid: impl Into<EventUuid>) -> Self {
        Self(self.0.under(&uuid.into()))
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
    /// assert_eq!(event.impression().unwrap().metadata().as_deref(), Some(&metadata));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the event has it from then on")]
    pub fn with_decision_metadata(self, metadata: DecisionMetadata) -> Self {
        let Some(impression) = self.impression() else { return self };
        Self(self.0.with_own_ids(|draft| draft.impression(impression, Some(&metadata))))
    }

    /// The text of one attribute; none where it has another value, or is not there.
    pub(crate) fn text_of_attribute(&self, key: &str) -> Option<String> {
        self.0.attributes().text_of(key, self.context())
    }

    /// How many bytes of memory it takes, what it shares with others left out.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.0.heap_bytes()
    }
}

impl PartialEq for UserEvent {
    /// Whether both say the same, wherever their ids and names are kept.
    fn eq(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.0.attributes(), other.0.attributes());
        self.0.is_same(&other.0)
            || self.timestamp_ms() == other.timestamp_ms()
                && self.0.visitor() == other.0.visitor()
                && self.uuid() == other.uuid()
                && self.context().can_batch(other.context())
                && self.kind() == other.kind()
                && mine.says_the_same(self.context(), theirs, other.context())
    }
}

impl fmt::Debug for UserEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserEvent")
            .field("timestamp_ms", &self.timestamp_ms())
            .field("uuid", &self.uuid())
            .field("context", self.context())
            .field("visitor_id", &self.visitor_id())
            .field("kind", &self.kind())
            .field("attributes", &self.attributes())
            .finish()
    }
}
