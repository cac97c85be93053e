//! The way into the stream: a window of publishes under way, each tried again under the same id until the stream has it.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{
    connection::{differs, now},
    message,
    tenant::Tenant,
};

/// The first pause before a publish is tried again, where the stream has refused it.
const RETRY: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What the stream says to a publish.
#[derive(Deserialize)]
struct Answer {
    stream: Option<String>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// The stream has it.
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) is_repeat: bool,
}

/// Why it has not, as far as anybody knows.
pub(super) struct NotStored {
    pub(super) why: String,
    /// For want of room.
    pub(super) is_full: bool,
    /// The stream has said so.
    pub(super) is_refusal: bool,
    /// Nothing of this try will be stored.
    pub(super) is_certain: bool,
}

impl NotStored {
    fn unknown(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_full: false, is_refusal: false, is_certain: false }
    }

    /// There was no answer of the stream.
    fn unanswered(why: String) -> Self {
        let is_certain = why.contains("no responders") || why.contains("no connection");
        Self { is_certain, ..Self::unknown(why) }
    }
}

impl ApiError {
    /// The servers' codes for a stream or account that has no room.
    fn is_full(&self) -> bool {
        matches!(self.err_code, 10_002 | 10_023 | 10_028 | 10_047)
            || ["maximum bytes", "maximum messages"].iter().any(|limit| self.description.contains(limit))
    }
}

/// Reads what the stream says.
pub(super) fn read(stream: &str, answer: &[u8]) -> Result<Stored, NotStored> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| NotStored::unknown(format!("the answer cannot be read: {error}")))?;
    match answer {
        Answer { error: Some(error), .. } => Err(NotStored {
            is_full: error.is_full(),
            why: format!("the stream refuses it: {}", error.description),
            is_refusal: true,
            is_certain: true,
        }),
        Answer { stream: Some(other), .. } if other != stream => Err(NotStored {
            why: format!("another stream, {other}, has the subject"),
            is_full: false,
            is_refusal: true,
            is_certain: true,
        }),
        Answer { seq, duplicate, .. } => Ok(Stored { sequence: seq, is_repeat: duplicate }),
    }
}

/// Publishes for as long as there is somebody to publish for.
pub(super) async fn run(tenant: Arc<Tenant>, mut keys: mpsc::Receiver<u64>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = under_way.next(), if !under_way.is_empty() => {}
            key = keys.recv() => match key {
                Some(key) => under_way.push(publish(&tenant, key)),
                None => break,
            }
        }
    }
}

/// One request, until the stream has it or it is given up.
async fn publish(tenant: &Tenant, key: u64) {
    let (mut first_try, mut is_uncertain, mut pause) = (None, false, RETRY);
    loop {
        let core = tenant.core();
        let mut link = core.usable().await;
        let prepared = tenant.state().publishing(key).map(|publishing| {
            let headers = message::headers(&publishing.request, &publishing.id);
            (headers.unwrap_or_default(), publishing.request.body().clone())
        });
        let Some((headers, body)) = prepared else { return };
        let window = core.options().duplicate_window;
        let started = *first_try.get_or_insert_with(now);
        if is_uncertain && now().saturating_sub(started) > window {
            // Once: the stream may have forgotten the id. An event twice, with one uuid, is better than none.
            is_uncertain = false;
            let times = core.count_maybe_repeated();
            tracing::warn!(
                times,
                "a publish is tried again after the stream's duplicate window; it may be stored twice"
            );
        }
        let at = *link.borrow();
        let within = core.options().publish_timeout;
        let not_stored = tokio::select! {
            biased;
            answer = core.ask(tenant.subject(), Some(headers), body, within) => {
                match answer.map_err(NotStored::unanswered).and_then(|answer| read(core.stream(), &answer.payload)) {
                    Ok(stored) => return tenant.published(key, &stored),
                    Err(not_stored) => not_stored,
                }
            }
            () = differs(&mut link, at) => NotStored::unknown("the connection was lost"),
        };
        is_uncertain |= !not_stored.is_certain;
        let NotStored { why, is_full, is_refusal, .. } = not_stored;
        let is_news = tenant.state().publish_failed(why.clone(), is_full);
        if is_refusal && is_news {
            tracing::warn!(why, subject = tenant.subject(), "the stream takes no events; trying again");
        } else {
            tracing::debug!(why, "a publish is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = differs(&mut link, at) => {}
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answer: &str) -> String {
        match read("events", answer.as_bytes()) {
            Ok(Stored { sequence, is_repeat }) => format!("stored as {sequence}, repeat {is_repeat}"),
            Err(NotStored { why, is_full, is_certain, .. }) => {
                format!("{why}; full {is_full}, certain {is_certain}")
            }
        }
    }

    #[test]
    fn only_an_acknowledgement_of_this_stream_is_one() {
        for (answer, expected) in [
            (r#"{"stream":"events","seq":7}"#, "stored as 7, repeat false"),
            (r#"{"stream":"events","seq":7,"duplicate":true}"#, "stored as 7, repeat true"),
            (
                r#"{"stream":"other","seq":7}"#,
                "another stream, other, has the subject; full false, certain true",
            ),
            (
                r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"events","seq":0}"#,
                "the stream refuses it: maximum bytes exceeded; full true, certain true",
            ),
            (
                r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#,
                "the stream refuses it: message size exceeds maximum allowed; full false, certain true",
            ),
            (
                r#"{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}"#,
                "the stream refuses it: JetStream system temporarily unavailable; full false, certain true",
            ),
        ] {
            assert_eq!(said(answer), expected);
        }
        assert!(said("").ends_with("full false, certain false"));
    }
}
