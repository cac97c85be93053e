//! The requests that everybody has, how they are offered, and how that is measured.

use std::{
    fmt::Write as _,
    future::{Future, ready},
    io::{Error, Result},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use posthaste::LogEvent;

use crate::process::{Stopwatch, real};

/// Requests under way at once, whoever sends them: what the library's queue has by default.
pub(crate) const WINDOW: usize = 1_024;

/// Events of a visitor.
const EVENTS_OF_VISITOR: usize = 10;

/// Who has done what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// A bare client publishes bodies, without headers.
    BarePublish,
    /// The same with the headers that the library writes, the message's id among them.
    BarePublishWithHeaders,
    /// The library's queue, until receipts resolve.
    QueueAdd,
    /// A spool, until receipts resolve.
    SpoolAdd,
    /// A bare client fetches and acknowledges, and waits for nothing.
    BareAck,
    /// The same, and each acknowledgement is confirmed.
    BareAckConfirmed,
    /// The library's queue: leased, and settled, which is confirmed too.
    QueueSettle,
    /// A dispatcher accepts, and delivers from the stream to a server that answers 204.
    Pipeline,
}

/// Requests that were done, and what that took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) requests: f64,
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Sample {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests / self.wall
    }

    pub(crate) fn cpu_of_request(&self) -> f64 {
        self.cpu / self.requests
    }
}

/// Measures work that says how many requests it has done.
pub(crate) async fn measured(work: impl Future<Output = Result<u64>>) -> Result<Sample> {
    let watch = Stopwatch::start();
    let requests = work.await?;
    let (wall, cpu) = (watch.wall().as_secs_f64(), watch.cpu().as_secs_f64());
    Ok(Sample { requests: real(requests), wall, cpu })
}

/// Offers requests for a while, a window of them at once, and waits until all are safe. Says how many.
pub(crate) async fn offer<F: Future<Output = Result<()>>>(
    seconds: f64,
    mut add: impl FnMut() -> F,
) -> Result<u64> {
    let watch = Stopwatch::start();
    stream::repeat_with(&mut add)
        .take_while(|_| ready(watch.wall().as_secs_f64() < seconds))
        .buffer_unordered(WINDOW)
        .try_fold(0, async |count, ()| Ok(count + 1))
        .await
}

/// A request with so many events, ten for each visitor: 1.5 kB for ten events.
pub(crate) fn request(end_point: &str, events: usize) -> Result<LogEvent> {
    let mut body = r#"{"account_id":"10000001","project_id":"10000002","revision":"42","client_name":"rust-sdk","client_version":"0.1.0","anonymize_ip":true,"enrich_decisions":true,"visitors":["#.to_owned();
    for visitor in 0..events.div_ceil(EVENTS_OF_VISITOR) {
        let separator = if visitor == 0 { "" } else { "," };
        let first = visitor * EVENTS_OF_VISITOR;
        let events: Vec<String> = (first..events.min(first + EVENTS_OF_VISITOR)).map(event).collect();
        let written = write!(
            body,
            r#"{separator}{{"visitor_id":"visitor-{visitor:04}","attributes":[{{"entity_id":"20010","key":"plan","type":"custom","value":"pro"}}],"snapshots":[{{"decisions":[],"events":[{}]}}]}}"#,
            events.join(",")
        );
        written.map_err(Error::other)?;
    }
    body.push_str("]}");
    LogEvent::from_body(end_point, body).map_err(Error::other)
}

fn event(number: usize) -> String {
    format!(
        r#"{{"entity_id":"60011","key":"checkout","timestamp":1795559589561,"uuid":"5b0a4c9e-0000-4000-8000-{number:012}"}}"#
    )
}
