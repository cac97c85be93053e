//! Where requests go: to the Event API, or into a stream whose relays deliver them.

use std::sync::Arc;

use posthaste::{
    Dispatcher, HttpEventDispatcher, LogEvent, OptionsError, QueueEventDispatcher,
    queue::{DeliveryQueue, JetStreamQueue},
};
use posthaste_relay::ToStream;

use super::{args::DeliveryArgs, dead::DeadLetterOffice};

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
    /// A pipeline of a queue's requests to there, as the options have it.
    pub(super) fn pipeline(
        &self,
        args: &DeliveryArgs,
        queue: impl DeliveryQueue<LogEvent> + 'static,
        office: &Arc<DeadLetterOffice>,
    ) -> Result<QueueEventDispatcher, OptionsError> {
        let letters = Arc::clone(office);
        let mut builder = QueueEventDispatcher::builder(self.dispatcher(args)?)
            .queue(queue)
            .batch_size(args.batch_size)
            .flush_interval(args.flush_interval)
            .in_flight(args.in_flight())
            .max_batch_bytes(args.max_batch_bytes)
            .on_dead_letter(move |letter| letters.take_batch(letter));
        if let Some(endpoint) = args.endpoint.as_deref() {
            builder = builder.event_end_point(endpoint);
        }
        builder.build()
    }

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
