//! Where requests go: to the Event API, or into a stream whose relays deliver them.

use std::sync::Arc;

use posthaste::{Dispatcher, HttpEventDispatcher, OptionsError, queue::JetStreamQueue};
use posthaste_relay::ToStream;

use super::args::DeliveryArgs;

/// Where requests go.
#[derive(Debug, Clone, Default)]
pub(crate) enum To {
    /// To their end points.
    #[default]
    EndPoints,
    /// Into a tenant's part of a stream: they are delivered, as far as this run goes, once the stream has them.
    Stream(JetStreamQueue),
}

impl To {
    /// What sends requests there.
    pub(super) fn dispatcher(&self, args: &DeliveryArgs) -> Result<Arc<dyn Dispatcher>, OptionsError> {
        Ok(match self {
            Self::Stream(queue) => Arc::new(ToStream::new(queue.clone())),
            Self::EndPoints => Arc::new(
                HttpEventDispatcher::builder()
                    .strict(args.strict)
                    .gzip(args.gzip)
                    .request_timeout(args.request_timeout)
                    .build()?,
            ),
        })
    }
}
