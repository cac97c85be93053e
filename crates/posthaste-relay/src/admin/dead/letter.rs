//! A dead letter as JSON shows it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthaste::{DeadLetter, LogEvent};
use serde::Serialize;

/// One letter. Its body is text where it is UTF-8, else base64.
#[derive(Debug, Serialize)]
pub(super) struct Letter {
    /// Unlike any other; what a page may begin behind.
    id: String,
    tenant: String,
    reason: &'static str,
    /// When it came here: milliseconds since 1970, UTC.
    time_ms: i64,
    /// Of the upstream's last answer, where there was one.
    status: Option<u16>,
    /// What the upstream said, or what is wrong.
    text: String,
    events: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Letter {
    pub(super) fn new(id: String, tenant: &str, letter: DeadLetter<LogEvent>) -> Self {
        let DeadLetter { item, reason, status, text, time_ms, .. } = letter;
        let as_text = std::str::from_utf8(item.body());
        Self {
            id,
            tenant: tenant.to_owned(),
            reason: reason.name(),
            time_ms,
            status,
            text,
            events: item.events(),
            body: as_text.ok().map(str::to_owned),
            body_base64: as_text.err().map(|_| STANDARD.encode(item.body())),
        }
    }
}
