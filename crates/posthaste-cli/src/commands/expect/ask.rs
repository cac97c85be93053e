//! One question to a collector, and its answer.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, header::ACCEPT};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use posthaste::dispatch::EndPoint;

use crate::common::{exit::Failure, output::plain};

/// Beyond the wait.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 4 << 20;

pub(super) struct Question<'a> {
    pub(super) url: &'a str,
    pub(super) body: String,
    pub(super) wait: Duration,
    pub(super) session: Option<&'a str>,
    pub(super) as_json: bool,
}

pub(super) struct Answer {
    pub(super) holds: bool,
    pub(super) text: String,
}

/// A collector's URL; that at which it takes events is as good.
pub(super) fn url(text: &str) -> Result<String, String> {
    let example = "give a collector's URL, such as http://127.0.0.1:8080";
    let end_point = EndPoint::check(text).map_err(|error| format!("{}; {example}", error.problem()))?;
    let url = end_point.as_str().trim_end_matches('/');
    if !url.starts_with("http://") || url.contains('?') {
        return Err(format!("it is no http:// URL without a query; {example}"));
    }
    Ok(url.strip_suffix("/v1/events").unwrap_or(url).trim_end_matches('/').to_owned())
}

pub(super) fn ask(question: &Question<'_>) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let within = question.wait + PATIENCE;
    let asked = runtime.block_on(async { tokio::time::timeout(within, send(question)).await });
    let (status, text) = asked
        .unwrap_or_else(|_| Err(format!("no answer within {within:?}")))
        .map_err(|why| unusable(question, &why))?;
    match status {
        StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY => {
            Ok(Answer { holds: status == StatusCode::OK, text })
        }
        status => Err(unusable(question, &format!("it answered {status}: {}", plain(&text)))),
    }
}

async fn send(question: &Question<'_>) -> Result<(StatusCode, String), String> {
    let mut uri = format!("{}/expect?wait={}ms", question.url, question.wait.as_millis());
    if let Some(session) = question.session {
        uri.push_str("&session=");
        // What is no name of a session is refused by the collector, as it is written.
        session.bytes().for_each(|byte| {
            let _ = write!(uri, "%{byte:02x}");
        });
    }
    let accept = if question.as_json { "application/json" } else { "text/plain" };
    let body = Full::new(Bytes::from(question.body.clone()));
    let request = Request::post(uri).header(ACCEPT, accept).body(body).map_err(|error| error.to_string())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.map_err(|error| innermost(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| format!("half an answer: {error}"))?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn unusable(question: &Question<'_>, why: &str) -> Failure {
    Failure::Collector { url: question.url.to_owned(), why: why.to_owned() }
}

/// The outermost error says little more than that there was one.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn a_collector_is_known_by_each_of_its_urls() {
        for (text, expected) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:8080/v1/events", "http://127.0.0.1:8080"),
            ("http://collector:8080/base/t/one/v1/events/", "http://collector:8080/base/t/one"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(expected));
        }
        for text in ["", "8080", "https://a.example", "http://a/?b", "http://me:secret@a/"] {
            let error = url(text).unwrap_err();
            assert!(error.contains("such as http://127.0.0.1:8080") && !error.contains("secret"), "{error}");
        }
    }
}
