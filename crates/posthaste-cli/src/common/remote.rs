//! Asking a collector that runs elsewhere: its address, and one request.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header::ACCEPT};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use posthaste::dispatch::EndPoint;

/// Bytes of an answer that is read whole.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Bytes of an answer that is text for people.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Bytes of a refusal that are shown.
const REFUSAL_BYTES_MAX: usize = 4 << 10;
/// How long a collector may take to begin an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a collector is. The URL at which it takes events is as good as its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CollectorUrl {
    /// Without a slash at its end.
    base: String,
    /// The test session that the URL names.
    session: Option<String>,
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Remote {
    url: CollectorUrl,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// Trying again may help.
    #[error("no answer from {url}: {why}")]
    Silent { url: String, why: String },
    /// Trying again does not help.
    #[error("{url} answered {status}: {line}")]
    Refused { url: String, status: StatusCode, line: String },
}

/// An answer that was read whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl CollectorUrl {
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }
}

impl FromStr for CollectorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "give a collector's URL, such as http://127.0.0.1:8080";
        let end_point = EndPoint::check(text).map_err(|error| format!("{}; {example}", error.problem()))?;
        let url = end_point.as_str();
        if !url.starts_with("http://") || url.contains('?') {
            return Err(format!("it is no http:// URL without a query; {example}"));
        }
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix("/v1/events").unwrap_or(url).trim_end_matches('/');
        let (base, session) = match url.rsplit_once("/t/") {
            Some((base, session)) if !session.contains('/') => (base, Some(session.to_owned())),
            _ => (url, None),
        };
        Ok(Self { base: base.to_owned(), session })
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl Remote {
    /// Must be called within a runtime, in which it is used.
    pub(crate) fn new(url: CollectorUrl) -> Self {
        Self { url, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) fn url(&self) -> &CollectorUrl {
        &self.url
    }

    /// The beginning of a good answer, within ten seconds.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> Result<Response<Incoming>, RemoteError> {
        let asking = self.ask(Method::GET, path, accept, Bytes::new());
        let answer = match tokio::time::timeout(TIMEOUT, asking).await {
            Ok(answer) => answer.map_err(|why| self.silent(why))?,
            Err(_) => return Err(self.silent(format!("nothing within {} s", TIMEOUT.as_secs()))),
        };
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status if status.is_server_error() => Err(self.silent(format!("it answered {status}"))),
            status => Err(self.refused(status, answer.into_body()).await),
        }
    }

    /// Whatever is answered, as text, or why there is no answer. The caller bounds its time.
    pub(crate) async fn post(
        &self,
        path: &str,
        accept: &str,
        body: String,
    ) -> Result<(StatusCode, String), String> {
        let answer = self.ask(Method::POST, path, accept, body.into()).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), TEXT_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("half an answer: {error}"))?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, String> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header(ACCEPT, accept).body(Full::new(body));
        let request = request.map_err(|error| error.to_string())?;
        self.client.request(request).await.map_err(|error| said(&error))
    }

    /// A good answer, whole.
    pub(crate) async fn get_whole(&self, path: &str) -> Result<Whole, RemoteError> {
        let (head, body) = self.get(path, "application/json").await?.into_parts();
        let read = tokio::time::timeout(TIMEOUT, Limited::new(body, ANSWER_BYTES_MAX).collect()).await;
        let read = read.map_err(|_| self.silent("half an answer"))?;
        let body = read.map_err(|error| self.silent(error))?.to_bytes();
        Ok(Whole { headers: head.headers, body })
    }

    pub(crate) fn silent(&self, why: impl fmt::Display) -> RemoteError {
        RemoteError::Silent { url: self.url.to_string(), why: why.to_string() }
    }

    async fn refused(&self, status: StatusCode, body: Incoming) -> RemoteError {
        let read = tokio::time::timeout(TIMEOUT, Limited::new(body, REFUSAL_BYTES_MAX).collect()).await;
        let text =
            read.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let line = super::output::plain(&String::from_utf8_lossy(&text));
        RemoteError::Refused { url: self.url.to_string(), status, line }
    }
}

/// An error with what led to it: the outermost alone says little more than that there was one.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// A value as it stands in a query.
pub(crate) fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_known_by_each_of_its_urls() {
        for (text, base, session) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", None),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", None),
            ("http://127.0.0.1:8080/v1/events", "http://127.0.0.1:8080", None),
            ("http://[::1]:8080/tools/collector/v1/events/", "http://[::1]:8080/tools/collector", None),
            ("http://collector:8080/t/one/v1/events", "http://collector:8080", Some("one")),
            ("http://collector:8080/t/one", "http://collector:8080", Some("one")),
            ("http://collector:8080/base/t/one/v1/events/", "http://collector:8080/base", Some("one")),
        ] {
            let url: CollectorUrl = text.parse().unwrap();
            assert_eq!((&*url.base, url.session()), (base, session), "{text}");
        }
        for text in ["", "8080", "127.0.0.1:8080", "https://a.example", "http://a/?b", "http://me:secret@a/"]
        {
            let error = text.parse::<CollectorUrl>().unwrap_err();
            assert!(error.contains("such as http://127.0.0.1:8080") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn values_keep_their_place_in_a_query() {
        assert_eq!(encoded("ann* & bob/ä"), "ann*%20%26%20bob%2F%C3%A4");
    }
}
