//! The lines of the tail, as server-sent events: a name, and JSON on one line.

use serde::Serialize;

/// Bytes that a line shows of what others have written.
const SHOWN_BYTES_MAX: usize = 256;

/// As much of it as a line shows.
pub(crate) fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)).unwrap_or_default()
}

/// A request of a client, and what it was answered.
#[derive(Debug, Serialize)]
pub(crate) struct CameIn<'a> {
    /// Milliseconds since 1970, UTC: of the answer.
    pub(crate) time_ms: i64,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    pub(crate) events: usize,
    pub(crate) client_name: Option<&'a str>,
    pub(crate) client_version: Option<&'a str>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_event_and_short_whatever_others_write() {
        let (name, account) = ("é".repeat(10_000), "1\n\ndata: 2".repeat(1_000));
        let came = CameIn {
            time_ms: 1,
            tenant: None,
            account: Some(shown(&account)),
            events: 1,
            client_name: Some(shown(&name)),
            client_version: Some("1\n2"),
            bytes: 1,
            status: 204,
            reason: "taken",
        };
        let line = came.to_line();
        assert!(line.len() < 1_200, "{}", line.len());
        assert_eq!((line.matches('\n').count(), line.ends_with("\n\n")), (3, true), "{line}");
        assert!(line.contains(r#""client_version":"1\n2""#), "{line}");
    }
}
