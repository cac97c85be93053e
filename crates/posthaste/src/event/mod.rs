//! What happened: impressions and conversions.
//!
//! An event gets its uuid and its timestamp once, here, and keeps them through every retry, restart and replay: the
//! Event API drops repeats of the same (`entity_id`, `uuid`, `timestamp`), so sending one twice does no harm. It is made
//! with plain arithmetic and one or two allocations; no lock, no I/O.

mod attributes;
mod factory;
mod from_wire;
mod normalize;
mod user_event;
mod uuid;

pub(crate) use attributes::{Attributes, write_value};
pub use factory::{
    create_conversion_user_event, create_event_context, create_impression_user_event, dropped_attributes,
};
pub use from_wire::NotAUserEvent;
pub use normalize::DroppedAttributes;
pub use user_event::{ConversionEvent, EventKind, IMPRESSION_KEY, ImpressionEvent, UserEvent};
pub use uuid::EventUuid;
