//! Requests, and what sends them.

use std::sync::Arc;

use posthaste::{HttpEventDispatcher, LogEvent, OptionsError, RawBatch, Region};

use super::{args::DeliveryArgs, books::NotTaken};
use crate::lines::Fault;

/// What sends requests.
pub(super) fn http(args: &DeliveryArgs) -> Result<HttpEventDispatcher, OptionsError> {
    Ok(HttpEventDispatcher::builder()
        .strict(args.strict)
        .gzip(args.gzip)
        .request_timeout(args.request_timeout)
        .build()?)
}

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
