//! Whose events a body holds, read from it without taking its visitors apart.

use std::borrow::Cow;

use posthaste::{
    DecodeError, RawBatch,
    judge::{Judgement, Problem, ProblemKind},
};
use serde_json::value::RawValue;

use super::judging;

/// The ids that decide where a body goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    account: String,
    project: Option<String>,
    client: Client,
}

/// Which SDK it says it is from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Client {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
}

/// Whether anybody wants to know the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Ids,
    IdsAndClient,
}

impl Envelope {
    /// Reads them. An error: nobody can use this body, and here is why.
    pub(super) fn read(body: &[u8], detail: Detail) -> Result<Self, Vec<Problem>> {
        let batch = RawBatch::parse(body).map_err(|error| why_unusable(body, &error))?;
        Self::of(&batch, body, detail)
    }

    /// The same of a body that has been taken apart.
    pub(super) fn of(batch: &RawBatch<'_>, body: &[u8], detail: Detail) -> Result<Self, Vec<Problem>> {
        if !may_hold_events(batch)
            && let Some(Judgement { good: 0, problems, .. }) = judging::judge(body)
        {
            return Err(or(problems, ProblemKind::NoEvents, "it holds no events", "send events"));
        }
        let Some(account) = batch.field("account_id").and_then(id) else {
            return Err(or(
                problems_of(body),
                ProblemKind::AccountIdMissing,
                "it has no account_id",
                "send the account's id, once",
            ));
        };
        let client = match detail {
            Detail::Ids => Client::default(),
            Detail::IdsAndClient => Client::of(batch),
        };
        Ok(Self { account, project: batch.field("project_id").and_then(id), client })
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }
}

impl Client {
    fn of(batch: &RawBatch<'_>) -> Self {
        Self {
            name: batch.field("client_name").and_then(id),
            version: batch.field("client_version").and_then(id),
        }
    }
}

/// Whether there is anything in it that looks like an event: each has a time.
fn may_hold_events(batch: &RawBatch<'_>) -> bool {
    batch.visitors().iter().any(|visitor| visitor.get().contains(r#""timestamp""#))
}

/// What judging says of a body that the relay cannot use; nothing where it says nothing, or is not asked.
fn problems_of(body: &[u8]) -> Vec<Problem> {
    judging::judge(body).map(|judgement| judgement.problems).unwrap_or_default()
}

/// The problems, or this one where there are none: there is always a reason.
fn or(problems: Vec<Problem>, kind: ProblemKind, problem: impl Into<String>, fix: &str) -> Vec<Problem> {
    if problems.is_empty() { vec![Problem::of_body(kind, problem, fix)] } else { problems }
}

/// What judging says, or what only its reader finds wrong.
pub(super) fn why_unusable(body: &[u8], error: &DecodeError) -> Vec<Problem> {
    or(
        problems_of(body),
        ProblemKind::NotABatch,
        error.to_string(),
        "send one object with one list of visitors",
    )
}

/// The text of an id; none where it is empty, or neither a string nor a number.
fn id(value: &RawValue) -> Option<String> {
    let text = value.get();
    let id = match serde_json::from_str::<Cow<'_, str>>(text) {
        Ok(id) => id.trim().to_owned(),
        Err(_) => serde_json::from_str::<serde_json::Number>(text).ok()?.to_string(),
    };
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<(String, Option<String>)> {
        Envelope::read(body.as_bytes(), Detail::Ids).ok().map(|envelope| (envelope.account, envelope.project))
    }

    #[test]
    fn ids_are_read_from_strings_and_numbers() {
        let ids = |account: &str, project: &str| {
            read(&format!(
                r#"{{"account_id":{account},"project_id":{project},"visitors":[{{"timestamp":1}}]}}"#
            ))
        };
        let found =
            |account: &str, project: Option<&str>| Some((account.to_owned(), project.map(str::to_owned)));
        assert_eq!(ids(r#""12""#, r#""34""#), found("12", Some("34")));
        assert_eq!(ids("12", "34"), found("12", Some("34")));
        assert_eq!(ids(r#""\u0031""#, "null"), found("1", None));
        for nobody in [r#""""#, r#"" ""#, "null", "[]", "{}", "true"] {
            assert_eq!(ids(nobody, "null"), None, "{nobody}");
        }
    }

    #[test]
    fn what_nobody_can_use_is_told_why() {
        for body in [
            "",
            "[]",
            "{}",
            "nonsense",
            r#"{"account_id":"1"}"#,
            r#"{"account_id":"1","visitors":[]}"#,
            r#"{"account_id":"1","visitors":[{"snapshots":[{"events":[]}]}]}"#,
            r#"{"visitors":[{"timestamp":1}]}"#,
            r#"{"account_id":"1","visitors":[{}],"visitors":[{}]}"#,
            r#"{"account_id":"1","visitors":3}"#,
        ] {
            let problems = Envelope::read(body.as_bytes(), Detail::Ids).unwrap_err();
            assert!(!problems.is_empty(), "{body}");
        }
    }
}
