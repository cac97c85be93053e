//! The lines of the tail, as server-sent events: a name, and JSON on one line.

use bytes::Bytes;
use posthaste::RawBatch;
use serde::Serialize;

/// A request of a client, and what it was answered.
#[derive(Debug, Serialize)]
pub(crate) struct CameIn<'a> {
    /// Milliseconds since 1970, UTC: of the answer.
    pub(crate) time_ms: i64,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    pub(crate) events: usize,
    pub(crate) client_name: Option<String>,
    pub(crate) client_version: Option<String>,
    /// Of the body, as it came.
    pub(crate) bytes: usize,
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

/// A request to an upstream.
#[derive(Debug, Serialize)]
pub(crate) struct WentOut<'a> {
    pub(crate) time_ms: i64,
    /// The answer to it has the same.
    pub(crate) request: u64,
    pub(crate) tenant: &'a str,
    /// Only where somebody listens to one account: it is read from the body then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<&'a str>,
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// What an upstream said.
#[derive(Debug, Serialize)]
pub(crate) struct Answered<'a> {
    pub(crate) time_ms: i64,
    pub(crate) request: u64,
    pub(crate) tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<&'a str>,
    pub(crate) events: usize,
    /// `null`: there was no answer, and the text says why.
    pub(crate) status: Option<u16>,
    pub(crate) milliseconds: u64,
    pub(crate) text: &'a str,
}

impl CameIn<'_> {
    /// The same, with what the body says of the client.
    #[must_use]
    pub(crate) fn by_client_of(self, body: Option<&Bytes>) -> Self {
        let batch = body.and_then(|body| RawBatch::parse(body).ok());
        let field = |name| serde_json::from_str(batch.as_ref()?.field(name)?.get()).ok();
        Self { client_name: field("client_name"), client_version: field("client_version"), ..self }
    }

    pub(crate) fn to_line(&self) -> String {
        line("in", self)
    }
}

impl WentOut<'_> {
    pub(crate) fn to_line(&self) -> String {
        line("out", self)
    }
}

impl Answered<'_> {
    pub(crate) fn to_line(&self) -> String {
        line("answer", self)
    }
}

/// JSON has its line breaks escaped, so one line it is.
fn line(name: &str, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).expect("JSON with text keys cannot fail");
    format!("event: {name}\ndata: {data}\n\n")
}
