//! The way of a bridge into the stream: whatever sends requests to an upstream sends them here, and has its answer once the
//! stream has acknowledged.
//!
//! Invariant: 2xx is answered only once the stream has the request. One that goes again has the id that it had, after a
//! crash too, where it says when it was taken.

use posthaste::{
    Dispatcher, LogEvent, Queue as _, Refusal,
    dispatch::{DispatchError, DispatchFuture, Response},
    queue::JetStreamQueue,
};

use super::message_id::message_id;

/// The stream has it.
const STORED: u16 = 202;
/// It has more bytes than the servers take: it goes in halves.
const TOO_LARGE: u16 = 413;

/// Sends requests into a tenant's part of a stream.
#[derive(Debug)]
pub struct ToStream(JetStreamQueue);

impl ToStream {
    /// The way into this queue, whose books it is in; nobody else is to lease from it here.
    pub fn new(queue: JetStreamQueue) -> Self {
        Self(queue)
    }
}

impl Dispatcher for ToStream {
    fn dispatch_event(&self, request: LogEvent) -> DispatchFuture {
        let published = match message_id(&request) {
            Some(id) => self.0.publish(request, &id),
            None => self.0.add(request),
        };
        let published = published.map_err(|refused| refused.reason);
        Box::pin(async move {
            let stored = match published {
                // It is tried again, for as long as this waits, until the stream has it.
                Ok(receipt) => receipt.await,
                Err(reason) => Err(reason),
            };
            match stored {
                Ok(()) => Ok(Response::status(STORED)),
                Err(reason @ Refusal::TooLarge { .. }) => {
                    Ok(Response::status(TOO_LARGE).with_text(&reason.to_string()))
                }
                Err(reason) => Err(DispatchError::NotQueued(reason)),
            }
        })
    }
}
