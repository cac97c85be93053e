//! What happened: impressions and conversions.
//!
//! An event gets its uuid and its timestamp once, here, and keeps them through every retry, restart and replay: the
//! Event API drops repeats of the same (`entity_id`, `uuid`, `timestamp`), so sending one twice does no harm. It is
//! made with plain arithmetic and one allocation; no lock, no I/O, and nothing is written that other threads write too.
//!
//! An event never changes once it is made: what it needs of its [`project`](crate::project) it shares, what it needs of
//! the caller's it copies. It becomes wire types ([`batch`](crate::batch)), and comes back from them, here and nowhere
//! else.
//!
//! The short way is by key, and says what is wrong with a key: [`ProjectConfig::impression`] and
//! [`ProjectConfig::conversion`]. [`create_impression_user_event`] and [`create_conversion_user_event`] take what has
//! been looked up already, and cannot fail.
//!
//! [`ProjectConfig::impression`]: crate::ProjectConfig::impression
//! [`ProjectConfig::conversion`]: crate::ProjectConfig::conversion

mod attributes;
mod by_key;
mod bytes;
mod checks;
mod encode;
mod factory;
mod from_wire;
mod kind;
mod normalize;
mod packed;
mod scratch;
mod tags;
mod to_wire;
mod user_event;
mod uuid;

pub use by_key::{ConversionError, ImpressionError};
pub(crate) use encode::encode_events;
pub(crate) use factory::RESERVED_PREFIX;
pub use factory::{create_conversion_user_event, create_event_context, create_impression_user_event};
pub use from_wire::NotAUserEvent;
pub use kind::{ConversionEvent, EventKind, IMPRESSION_KEY, ImpressionEvent};
pub(crate) use normalize::is_whole_revenue;
pub(crate) use tags::TOO_DEEP;
pub use tags::{NO_TAGS, TagValue};
pub use user_event::UserEvent;
pub use uuid::EventUuid;

pub use crate::project::{DroppedAttributes, UnusableTags};
