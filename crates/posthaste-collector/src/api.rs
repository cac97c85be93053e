//! Every request that a collector answers, in one table: for whoever asks (`GET /`), for programs
//! (`GET /openapi.json`), for the help of `posthaste collect`, and for docs/COLLECTOR.md. Tests hold the router against
//! it.

use std::fmt::Write as _;

use serde::Serialize;

/// One method at one path.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Operation {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path; `{name}` stands for a part of it.
    pub path: &'static str,
    /// What it is for, on one line.
    pub what: &'static str,
    /// What it takes beside a body: groups, since many take the same filters.
    #[serde(serialize_with = "flat")]
    pub parameters: &'static [&'static [Parameter]],
    /// What its body is; nothing where it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Content>,
    /// What may come back.
    pub answers: &'static [Reply],
}

/// A part of a path, of a query or of a head.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    #[serde(rename = "in")]
    pub place: Place,
    /// What it is for.
    pub what: &'static str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the path, as `{name}`.
    Path,
    /// Behind the `?`.
    Query,
    /// Among the headers.
    Header,
}

/// What a body is.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Content {
    /// Its media type.
    pub media: &'static str,
    /// What is in it.
    pub what: &'static str,
}

/// An answer.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// The media type of its body; nothing where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<&'static str>,
    /// What it says.
    pub what: &'static str,
}

impl Operation {
    /// All of its parameters, in order.
    pub fn all_parameters(&self) -> impl Iterator<Item = &'static Parameter> + use<> {
        self.parameters.iter().flat_map(|group| group.iter())
    }
}

fn flat<S: serde::Serializer>(
    groups: &&'static [&'static [Parameter]],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(groups.iter().flat_map(|group| group.iter()))
}

const JSON: Option<&str> = Some("application/json");
const TEXT: Option<&str> = Some("text/plain");
const HTML: Option<&str> = Some("text/html");
const LINES: &str = "application/jsonl";

const fn query(name: &'static str, what: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, what }
}

const fn reply(status: u16, media: Option<&'static str>, what: &'static str) -> Reply {
    Reply { status, media, what }
}

const fn content(media: &'static str, what: &'static str) -> Content {
    Content { media, what }
}

/// A read that takes these parameters and answers so.
const fn get(
    path: &'static str,
    what: &'static str,
    parameters: &'static [&'static [Parameter]],
    answers: &'static [Reply],
) -> Operation {
    Operation { method: "GET", path, what, parameters, body: None, answers }
}

const SESSION: &[Parameter] = &[query("session", "only this test session")];

/// Which events: what is not given does not matter.
const FILTERS: &[Parameter] = &[
    query("visitor", "visitor id; ann* is a prefix"),
    query("experiment", "key or id"),
    query("variation", "key or id"),
    query("key", "event key; campaign_activated for impressions"),
    query("flag", "flag key"),
    query("uuid", "the event's uuid"),
    query("problem", "kind of a problem or warning"),
    query("session", "test session"),
    query("verdict", "good, warned or bad"),
    query("q", "text anywhere in the event, in any case"),
    query("after", "only ids greater than this one"),
    query("until", "only ids up to this one"),
];

/// Which part of a list.
const PAGING: &[Parameter] = &[
    query("order", "oldest (default) or newest first"),
    query("limit", "how many at most (10000)"),
    query("offset", "how many to pass over"),
];

const SESSION_IN_PATH: &[Parameter] = &[Parameter {
    name: "session",
    place: Place::Path,
    what: "name of a test session: 1 to 64 of A-Z a-z 0-9 . _ -",
}];

const EVENT_HEADERS: &[Parameter] = &[
    Parameter {
        name: "X-Posthaste-Session",
        place: Place::Header,
        what: "name of a test session, where the path has none",
    },
    Parameter {
        name: "X-Optimizely-Strict",
        place: Place::Header,
        what: "true or 1: a bad body is refused with 400",
    },
];

const EVENTS: Content =
    content("application/json", "a body of the Event API, plain or gzip (Content-Encoding)");

const TAKEN: &[Reply] = &[
    reply(204, None, "taken, whatever the body holds"),
    reply(400, JSON, "bad, and strictness was asked for: the list of problems"),
    reply(413, TEXT, "the body is too large"),
    reply(415, TEXT, "compressed, and not with gzip"),
    reply(421, TEXT, "forwarded by a collector already, and this one forwards too"),
    reply(502, TEXT, "--forward: no answer from the end point"),
    reply(503, TEXT, "--forward: too many requests are on their way"),
    reply(504, TEXT, "--forward: no answer in time"),
];

const PREFLIGHT: &[Reply] = &[reply(204, None, "any origin may post events")];
const LISTED: &[Reply] = &[
    reply(200, JSON, "list of events; X-Total-Count, X-Forgotten and X-Newest are beside it"),
    reply(400, TEXT, "a filter that is not known, or has no such value"),
];
const WAIT: &[Parameter] =
    &[query("wait", "how long to wait, such as 8s"), query("no_bad", "true: no bad event either")];
const PATTERNS: Content = content("application/json", "a pattern, or a list of them: all have to hold");

/// A pattern of flat fields; a body may say more.
const EXPECTATION: &[Parameter] = &[
    query("wait", "how long to wait, such as 8s"),
    query("visitor", "visitor id; ann* is a prefix"),
    query("experiment", "key or id"),
    query("variation", "key or id"),
    query("flag", "flag key"),
    query("key", "event key"),
    query("uuid", "the event's uuid"),
    query("revenue", "in the currency's smallest unit"),
    query("value", "a number"),
    query("verdict", "good, warned or bad"),
    query("count", "how many exactly; 0 is none"),
    query("at_least", "how many at least"),
    query("at_most", "how many at most"),
    query("no_bad", "true: no bad event either"),
];

const EXPECTED: &[Reply] = &[
    reply(200, TEXT, "it holds"),
    reply(400, TEXT, "no pattern, or one that cannot be read: what to write instead"),
    reply(422, TEXT, "it does not hold: what is missing, and the nearest misses"),
];

/// The table.
pub const API: &[Operation] = &[
    Operation {
        method: "POST",
        path: "/v1/events",
        what: "takes events, as the Event API does",
        parameters: &[EVENT_HEADERS],
        body: Some(EVENTS),
        answers: TAKEN,
    },
    Operation {
        method: "POST",
        path: "/t/{session}/v1/events",
        what: "the same, for a test session",
        parameters: &[SESSION_IN_PATH, EVENT_HEADERS],
        body: Some(EVENTS),
        answers: TAKEN,
    },
    Operation {
        method: "OPTIONS",
        path: "/v1/events",
        what: "a browser's preflight: any origin may post",
        parameters: &[],
        body: None,
        answers: PREFLIGHT,
    },
    Operation {
        method: "OPTIONS",
        path: "/t/{session}/v1/events",
        what: "likewise",
        parameters: &[SESSION_IN_PATH],
        body: None,
        answers: PREFLIGHT,
    },
    get(
        "/",
        "the page; as text or JSON, this list",
        &[],
        &[reply(200, HTML, "the page; this list where Accept asks for JSON or text")],
    ),
    get("/latest", "the page, at the newest event that matches", &[FILTERS], &[reply(200, HTML, "the page")]),
    get("/page.css", "what the page looks like", &[], &[reply(200, Some("text/css"), "style sheet")]),
    get("/page.js", "what the page does", &[], &[reply(200, Some("text/javascript"), "script")]),
    get(
        "/page/{file}",
        "the page's other files",
        &[&[Parameter { name: "file", place: Place::Path, what: "a file's name" }]],
        &[reply(200, None, "the file"), reply(404, None, "no file of the page")],
    ),
    get("/all", "events, good and bad", &[FILTERS, PAGING], LISTED),
    get("/good", "events that the API would count", &[FILTERS, PAGING], LISTED),
    get("/bad", "events with problems, and how to mend them", &[FILTERS, PAGING], LISTED),
    get(
        "/event/{id}",
        "one event: raw, its request, its problems",
        &[&[Parameter { name: "id", place: Place::Path, what: "the event's id" }]],
        &[
            reply(200, JSON, "the event, where in it the problems are, its request, a curl command"),
            reply(404, JSON, "it was forgotten, or never came"),
        ],
    ),
    get(
        "/summary",
        "experiments, SDKs, problems, sessions",
        &[SESSION],
        &[reply(200, JSON, "counts over what is kept, and how much was forgotten")],
    ),
    get(
        "/stream",
        "events as they come, server-sent",
        &[
            FILTERS,
            &[Parameter {
                name: "Last-Event-ID",
                place: Place::Header,
                what: "goes on after this id, as ?after= does",
            }],
        ],
        &[reply(200, Some("text/event-stream"), "rows and resets; ten a second at most")],
    ),
    get("/ledger", "how much has arrived", &[SESSION], &[reply(200, JSON, "the counts")]),
    get("/expect", "waits until events have come, or says which not", &[SESSION, EXPECTATION], EXPECTED),
    Operation {
        method: "POST",
        path: "/expect",
        what: "the same, the patterns in the body",
        parameters: &[SESSION, WAIT],
        body: Some(PATTERNS),
        answers: EXPECTED,
    },
    get(
        "/t/{session}/expect",
        "waits likewise, for events of a test session",
        &[SESSION_IN_PATH, EXPECTATION],
        EXPECTED,
    ),
    Operation {
        method: "POST",
        path: "/t/{session}/expect",
        what: "the same, the patterns in the body",
        parameters: &[SESSION_IN_PATH, WAIT],
        body: Some(PATTERNS),
        answers: EXPECTED,
    },
    Operation {
        method: "POST",
        path: "/reset",
        what: "forgets everything, or one session",
        parameters: &[SESSION],
        body: None,
        answers: &[reply(204, None, "forgotten")],
    },
    get(
        "/export",
        "request bodies as lines, which `send` reads",
        &[FILTERS],
        &[reply(200, Some(LINES), "one request body a line")],
    ),
    Operation {
        method: "POST",
        path: "/import",
        what: "takes such lines, each as if it were posted",
        parameters: &[],
        body: Some(content(LINES, "one request body a line")),
        answers: &[reply(200, JSON, "how many requests, events and bad events came of them")],
    },
    get(
        "/faults",
        "the script of faults, and what it did",
        &[],
        &[reply(200, JSON, "the script, and how often each rule was applied")],
    ),
    Operation {
        method: "PUT",
        path: "/faults",
        what: "puts another script in its place; empty ends it",
        parameters: &[],
        body: Some(content("application/json", "a script of faults")),
        answers: &[
            reply(204, None, "in force from the next request on"),
            reply(400, JSON, "what is wrong with it; the one before stays"),
        ],
    },
    get("/healthz", "200 once it takes events", &[], &[reply(200, TEXT, "ok")]),
    get("/openapi.json", "this list, as OpenAPI", &[], &[reply(200, JSON, "OpenAPI 3.1")]),
];

/// The table as lines of text, each with this before it. No line has more than 80 columns with an indent of two.
pub fn list(indent: &str) -> String {
    let width = API.iter().map(|row| row.path.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Operation { method, path, what, .. } in API {
        // Writing to memory cannot fail.
        let _ = writeln!(text, "{indent}{method:<7} {path:<width$} {what}");
    }
    text
}

/// The table as Markdown, for docs/COLLECTOR.md.
pub fn markdown() -> String {
    let mut text = "| request | what for | parameters | answers |\n|---|---|---|---|\n".to_owned();
    for row in API {
        let parameters: Vec<String> =
            row.all_parameters().filter(|one| one.place != Place::Path).map(named).collect();
        let answers: Vec<String> =
            row.answers.iter().map(|Reply { status, what, .. }| format!("{status}: {what}")).collect();
        let body = row.body.map(|body| format!("; body: {}", body.what)).unwrap_or_default();
        // Writing to memory cannot fail.
        let _ = writeln!(
            text,
            "| `{} {}` | {}{body} | {} | {} |",
            row.method,
            row.path,
            row.what,
            parameters.join(", "),
            answers.join("; ")
        );
    }
    text
}

/// A parameter as one would look for it.
fn named(parameter: &Parameter) -> String {
    format!("`{}`", parameter.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_request_is_there_twice_and_every_one_says_what_it_is_for() {
        let mut seen = BTreeSet::new();
        for row in API {
            assert!(seen.insert((row.method, row.path)), "{} {}", row.method, row.path);
            assert!(!row.what.is_empty() && !row.answers.is_empty(), "{} {}", row.method, row.path);
            let in_path: Vec<String> = row
                .all_parameters()
                .filter(|one| one.place == Place::Path)
                .map(|one| format!("{{{}}}", one.name))
                .collect();
            assert_eq!(in_path.len(), row.path.matches('{').count(), "{}", row.path);
            assert!(in_path.iter().all(|name| row.path.contains(name)), "{}", row.path);
        }
    }

    #[test]
    fn the_list_fits_into_80_columns() {
        for line in list("  ").lines() {
            assert!(line.chars().count() <= 80, "{line:?}");
        }
    }
}
