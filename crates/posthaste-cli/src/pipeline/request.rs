//! Requests.

use std::sync::Arc;

use posthaste::{LogEvent, RawBatch, Region};

use super::books::NotTaken;
use crate::lines::Fault;

/// As the batch says, or else this one.
pub(super) fn region_of(batch: &RawBatch<'_>, default: Region) -> Region {
    let named = batch.field("region").and_then(|region| serde_json::from_str::<String>(region.get()).ok());
    named.and_then(|name| Region::parse(&name)).unwrap_or(default)
}

/// A batch line's body as a request, as it is.
pub(super) fn request(endpoint: Arc<str>, body: &str) -> Result<LogEvent, NotTaken> {
    LogEvent::from_body(endpoint, bytes::Bytes::copy_from_slice(body.as_bytes()))
        .map_err(|error| NotTaken::Fault(Fault::NotABatch(error)))
}
