//! One question to a collector, and its answer.

use std::time::Duration;

use hyper::StatusCode;

use crate::common::{
    exit::Failure,
    output::plain,
    remote::{CollectorUrl, Remote, encoded},
};

/// Beyond the wait.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Question<'a> {
    pub(super) url: &'a CollectorUrl,
    pub(super) body: String,
    pub(super) wait: Duration,
    pub(super) session: Option<&'a str>,
    pub(super) as_json: bool,
}

pub(super) struct Answer {
    pub(super) holds: bool,
    pub(super) text: String,
}

pub(super) fn ask(question: Question<'_>) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (within, place) = (question.wait + PATIENCE, place(question.url));
    let unusable = |why| Failure::Collector { url: format!("{}{place}", question.url), why };
    let path = path(&question, &place);
    let accept = if question.as_json { "application/json" } else { "text/plain" };
    let asked = runtime.block_on(async {
        let remote = Remote::new(question.url.clone());
        tokio::time::timeout(within, remote.post(&path, accept, question.body)).await
    });
    let (status, text) =
        asked.unwrap_or_else(|_| Err(format!("no answer within {within:?}"))).map_err(unusable)?;
    match status {
        StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY => {
            Ok(Answer { holds: status == StatusCode::OK, text })
        }
        status => Err(unusable(format!("it answered {status}: {}", plain(&text)))),
    }
}

/// Where a collector has what belongs to the session that its URL names.
fn place(url: &CollectorUrl) -> String {
    url.session().map(|session| format!("/t/{session}")).unwrap_or_default()
}

fn path(question: &Question<'_>, place: &str) -> String {
    let path = format!("{place}/expect?wait={}ms", question.wait.as_millis());
    // What is no name of a session is refused by the collector, as it is written.
    match question.session {
        Some(session) => format!("{path}&session={}", encoded(session)),
        None => path,
    }
}
