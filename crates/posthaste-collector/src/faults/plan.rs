//! A rule, checked and made ready: what it looks for, and what is done in the server's own types.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
};
use memchr::memmem::Finder;

use super::{DELAY_MAX, End, FaultsError, RULES_MAX, Rule};
use crate::origin::SessionName;

pub(super) const STATUSES: &str = "a status from 100 to 599";
/// Bytes that a rule's name may have: it stands with every event that the rule touches.
const NAME_BYTES_MAX: usize = 100;
/// What half of is sent where a script does not say.
const HALF_BODY: &str = "half of this text is missing\n";

/// A rule that can be carried out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) rule: Rule,
    pub(super) name: Arc<str>,
    /// What is done, in words.
    pub(super) did: Arc<str>,
    pub(super) answer: Answer,
    finder: Option<Finder<'static>>,
}

/// What is done to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// What the collector answers anyway.
    Own,
    Given(Given),
    /// The head of a 1xx answer, which the server's library would not send.
    Interim(Bytes),
    Reset,
    Hang,
}

/// An answer by the script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Given {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) then: Then,
}

/// What becomes of the connection that an answer goes out on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It goes on.
    Stay,
    /// It is reset after the answer.
    Reset,
    /// It closes after half of the body.
    CutOff,
}

/// Two plans of the same rule are the same.
impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule && self.name == other.name
    }
}

impl Plan {
    pub(super) fn is_for(&self, path: &str, session: Option<&str>, body: &[u8]) -> bool {
        if self.rule.session.is_some() && self.rule.session.as_deref() != session {
            return false;
        }
        let wanted = self.rule.path.as_deref();
        let is_path = wanted.is_none_or(|wanted| match wanted.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == wanted,
        });
        is_path && self.finder.as_ref().is_none_or(|finder| finder.find(body).is_some())
    }

    /// Whether it is for the request of this number, which counts from 1.
    pub(super) fn is_for_number(&self, number: u64) -> bool {
        let Rule { from, to, every, .. } = self.rule;
        let from = from.unwrap_or(1);
        let Some(before) = number.checked_sub(from) else { return false };
        number <= to.unwrap_or(u64::MAX) && before % every.unwrap_or(1) == every.unwrap_or(1) - 1
    }

    /// Whether the events of a request are taken.
    pub(super) fn takes(&self, is_end_point: bool) -> bool {
        let by_answer = match &self.answer {
            Answer::Own | Answer::Reset | Answer::Hang => true,
            Answer::Given(given) => given.status.is_success(),
            Answer::Interim(_) => false,
        };
        self.rule.take.unwrap_or(is_end_point && by_answer)
    }

    pub(super) fn delay(&self) -> Duration {
        self.rule.delay.unwrap_or_default()
    }
}

/// All rules of a script, checked together.
pub(super) fn all(rules: Vec<Rule>) -> Result<Arc<[Plan]>, FaultsError> {
    if rules.len() > RULES_MAX {
        return Err(FaultsError::bad_value("rules".to_owned(), rules.len(), "1,000 rules at most"));
    }
    let mut plans: Vec<Plan> = Vec::with_capacity(rules.len());
    for (at, rule) in rules.into_iter().enumerate() {
        let plan = plan(at, rule)?;
        if plans.iter().any(|other| other.name == plan.name) {
            let path = format!("rules[{at}].name");
            return Err(FaultsError::bad_value(path, plan.name, "a name that no other rule has"));
        }
        plans.push(plan);
    }
    Ok(plans.into())
}

fn plan(at: usize, rule: Rule) -> Result<Plan, FaultsError> {
    let check = Check { at };
    check.numbers(&rule)?;
    check.others(&rule)?;
    let answer = check.answer(&rule)?;
    let name = rule.name.clone().unwrap_or_else(|| format!("rule {}", at + 1));
    let finder = rule.body_contains.as_deref().map(|bytes| Finder::new(bytes).into_owned());
    Ok(Plan { name: name.into(), did: did(&rule, &answer).into(), answer, finder, rule })
}

/// Holds one rule against what can be done.
struct Check {
    at: usize,
}

impl Check {
    fn path(&self, key: &str) -> String {
        format!("rules[{}].{key}", self.at)
    }

    fn contradiction<T>(
        &self,
        key: &str,
        problem: &'static str,
        fix: &'static str,
    ) -> Result<T, FaultsError> {
        Err(FaultsError::Contradiction { path: self.path(key), problem, fix })
    }

    fn numbers(&self, rule: &Rule) -> Result<(), FaultsError> {
        let counts = [("from", rule.from), ("to", rule.to), ("every", rule.every), ("times", rule.times)];
        for (key, count) in counts {
            if count == Some(0) {
                return Err(FaultsError::bad_value(self.path(key), 0, "1 or more: the first request is 1"));
            }
        }
        if rule.to.is_some_and(|to| to < rule.from.unwrap_or(1)) {
            return self.contradiction("to", "it is less than from", "give a number of from at least");
        }
        Ok(())
    }

    fn others(&self, rule: &Rule) -> Result<(), FaultsError> {
        if let Some(share) = rule.share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(FaultsError::bad_value(self.path("share"), share, "a probability from 0 to 1"));
        }
        if let Some(path) = rule.path.as_deref().filter(|path| !path.starts_with(['/', '*'])) {
            return Err(FaultsError::bad_value(self.path("path"), path, "a path that begins with /"));
        }
        if let Some(name) = rule.session.as_deref().filter(|name| SessionName::new(name).is_none()) {
            return Err(FaultsError::bad_value(self.path("session"), name, SessionName::EXPECTED));
        }
        if let Some(name) = rule.name.as_deref().filter(|name| name.is_empty() || name.len() > NAME_BYTES_MAX)
        {
            return Err(FaultsError::bad_value(self.path("name"), name, "a name of 1 to 100 bytes"));
        }
        if rule.body_contains.as_deref() == Some(&[]) {
            return self.contradiction("body_contains", "every body has it", "leave it out, or say more");
        }
        if let Some(delay) = rule.delay.filter(|delay| *delay > DELAY_MAX) {
            let expected = "an hour at most, which is 3600000";
            return Err(FaultsError::bad_value(self.path("delay_ms"), delay.as_millis(), expected));
        }
        Ok(())
    }

    fn answer(&self, rule: &Rule) -> Result<Answer, FaultsError> {
        let has_answer = rule.status.is_some() || !rule.headers.is_empty() || rule.body.is_some();
        match rule.end {
            Some(End::Reset | End::Hang) if has_answer => {
                self.contradiction("end", "no answer, and one", "leave out status, headers and body")
            }
            Some(End::Reset) => Ok(Answer::Reset),
            Some(End::Hang) => Ok(Answer::Hang),
            Some(End::Half) => self.half(rule),
            Some(End::AnswerThenReset) => self.given(rule, 204, Then::Reset),
            None if rule.status.is_some() => self.given(rule, 0, Then::Stay),
            None if has_answer => self.contradiction("status", "missing", "say which status goes with it"),
            None if rule.delay.is_some() => Ok(Answer::Own),
            None if rule.take.is_some() => Ok(Answer::Own),
            None => self.contradiction("status", "nothing is done", "give status, delay_ms, end or take"),
        }
    }

    fn half(&self, rule: &Rule) -> Result<Answer, FaultsError> {
        let body = rule.body.clone().unwrap_or_else(|| HALF_BODY.to_owned());
        if body.len() < 2 {
            return self.contradiction("body", "it has no half", "give a text of 2 bytes at least");
        }
        self.given(&Rule { body: Some(body), ..rule.clone() }, 200, Then::CutOff)
    }

    /// `untold` is the status where the rule has none.
    fn given(&self, rule: &Rule, untold: u16, then: Then) -> Result<Answer, FaultsError> {
        let status = self.status(rule.status.unwrap_or(untold))?;
        let headers = self.headers(rule)?;
        let has_none =
            status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if has_none && rule.body.is_some() {
            return self.contradiction("status", "an answer with it has no body", "give another status");
        }
        if status.is_informational() && then == Then::Reset {
            return self.contradiction(
                "end",
                "1xx is no whole answer",
                "leave out end: the connection closes",
            );
        }
        if status.is_informational() {
            return Ok(Answer::Interim(head(status, &headers)));
        }
        let body = Bytes::from(rule.body.clone().unwrap_or_default());
        Ok(Answer::Given(Given { status, headers, body, then }))
    }

    fn status(&self, status: u16) -> Result<StatusCode, FaultsError> {
        let known = StatusCode::from_u16(status).ok().filter(|_| status < 600);
        known.ok_or_else(|| FaultsError::bad_value(self.path("status"), status, STATUSES))
    }

    fn headers(&self, rule: &Rule) -> Result<HeaderMap, FaultsError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &rule.headers {
            let path = || self.path(&format!("headers.{name}"));
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
                return Err(FaultsError::bad_value(self.path("headers"), name, "a header's name"));
            };
            let Ok(value) = HeaderValue::from_str(value) else {
                return Err(FaultsError::bad_value(path(), value, "letters, digits and signs of one line"));
            };
            if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
                let fix = r#"leave it out; "end": "half" sends less than it says"#;
                let problem = "the server counts the body itself";
                return Err(FaultsError::Contradiction { path: path(), problem, fix });
            }
            headers.append(name, value);
        }
        Ok(headers)
    }
}

/// The bytes of an answer's head in HTTP/1.1.
fn head(status: StatusCode, headers: &HeaderMap) -> Bytes {
    let mut head = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("-"));
    head.extend(headers.iter().map(|(name, value)| {
        // The value came from a text of visible letters.
        format!("{name}: {}\r\n", value.to_str().unwrap_or_default())
    }));
    head.push_str("\r\n");
    Bytes::from(head)
}

/// What is done, in words: `after 500 ms: 204, then reset`.
fn did(rule: &Rule, answer: &Answer) -> String {
    let what = match answer {
        Answer::Own => "its own answer".to_owned(),
        Answer::Reset => "reset".to_owned(),
        Answer::Hang => "no answer".to_owned(),
        Answer::Interim(_) => format!("{}, then closed", rule.status.unwrap_or_default()),
        Answer::Given(Given { status, then, .. }) => {
            let then = match then {
                Then::Stay => "",
                Then::Reset => ", then reset",
                Then::CutOff => ", half of it",
            };
            format!("{}{then}", status.as_u16())
        }
    };
    match rule.delay {
        Some(delay) => format!("after {} ms: {what}", delay.as_millis()),
        None => what,
    }
}
