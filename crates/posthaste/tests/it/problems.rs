//! Kinds of problems: each example in the table has its problem and no other, and docs/PROBLEMS.md is made of the table.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, io, ops::ControlFlow};

use posthaste::{
    ProjectConfig,
    judge::{Example, Judgement, Problem, ProblemKind, Severity, Visits, judge_parts_at, not_gzip},
};

/// Later than all times in the examples but one.
const NOW_MS: i64 = 1_795_600_000_000;
/// What examples are judged beside.
const DATAFILE: &str = r#"{
  "version": "4", "accountId": "1", "projectId": "5", "revision": "7",
  "attributes": [{"id": "31", "key": "plan"}],
  "events": [{"id": "3", "key": "purchase", "experimentIds": ["11"]}],
  "experiments": [
    {"id": "11", "key": "checkout_button", "layerId": "21", "status": "Running",
     "variations": [{"id": "1101", "key": "control"}, {"id": "1102", "key": "green"}]},
    {"id": "12", "key": "search", "layerId": "22", "status": "Running",
     "variations": [{"id": "1201", "key": "control"}]}
  ]
}"#;
/// What is needed beside a datafile without ids of letters.
const DIGITS: &str = r#"{"id": "1102", "key": "green"}"#;
const LETTERS: &str = r#"{"id": "green", "key": "green"}"#;

/// Where an environment variable of this name is set, the document is written instead of compared.
const WRITE: &str = "POSTHASTE_WRITE_DOCS";
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PROBLEMS.md");

#[test]
fn each_example_has_the_problem_of_its_kind_and_no_other() {
    let mut wrong = Vec::new();
    for &kind in ProblemKind::ALL {
        if kind == ProblemKind::BodyTooLarge {
            continue; // The collector says so, and a test of it shows that.
        }
        let judgement = judged(kind);
        let kinds = |list: &[Problem]| list.iter().map(|problem| problem.kind).collect::<BTreeSet<_>>();
        let (errors, warnings) = (kinds(&judgement.problems), kinds(&judgement.warnings));
        let only = BTreeSet::from([kind]);
        let (expected, is_good) = match kind.severity() {
            Severity::Error => ((only, BTreeSet::new()), false),
            Severity::Warning => ((BTreeSet::new(), only), true),
        };
        if ((errors, warnings), judgement.good > 0) != (expected, is_good) {
            wrong.push((kind, judgement));
        }
    }
    assert!(wrong.is_empty(), "not this kind alone, or good where the API counts nothing: {wrong:#?}");
}

#[test]
fn the_frame_around_the_examples_has_no_problem() {
    let event = r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}"#;
    let judgement = judge(in_frame(Example::Event(event)).as_bytes(), DATAFILE);
    assert_eq!((judgement.good, judgement.problems, judgement.warnings), (1, vec![], vec![]));
}

/// In JSON a problem says both, by their names.
#[test]
fn kind_and_severity_stand_in_the_json() {
    for &kind in ProblemKind::ALL {
        let json = serde_json::to_value(Problem::of_body(kind, "p", "f")).unwrap();
        let severity = if kind.severity() == Severity::Error { "error" } else { "warning" };
        let expected = serde_json::json!({
            "kind": kind.code(), "severity": severity, "path": "body", "problem": "p", "fix": "f",
        });
        assert_eq!(json, expected);
    }
}

#[test]
fn the_document_is_what_the_table_says() {
    let document = document();
    if env::var_os(WRITE).is_some() {
        fs::write(DOCUMENT, &document).unwrap();
    }
    let written = fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(written == document, "docs/PROBLEMS.md is not what the table says: run the test with {WRITE}=1");
}

fn judged(kind: ProblemKind) -> Judgement {
    let about = kind.about();
    let datafile = match kind {
        // Otherwise it would be unknown as well, which is worse.
        ProblemKind::VariationIdNotDigits => DATAFILE.replace(DIGITS, LETTERS),
        _ => DATAFILE.to_owned(),
    };
    let body = match (about.example, kind) {
        (Example::Told(_), ProblemKind::NotGzip) => {
            return Judgement::from(not_gzip(&io::Error::other("corrupt deflate stream")));
        }
        (Example::Told(_), ProblemKind::NotUtf8) => {
            b"{\"account_id\": \"1\", \"visitors\": [{\"visitor_id\": \"zo\xE9\"}]}".to_vec()
        }
        (Example::Told(_), ProblemKind::NestedTooDeep) => in_frame_of(&format!(
            r#"{{"events": [{{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1", "tags": {{"t": {}{}}}}}]}}"#,
            "[".repeat(130),
            "]".repeat(130)
        ))
        .into_bytes(),
        (Example::Told(_), ProblemKind::TooManyEvents) => {
            let events = vec![r#"{"entity_id":"3","timestamp":1795559589561,"uuid":"u1"}"#; 100_001];
            in_frame_of(&format!(r#"{{"events": [{}]}}"#, events.join(","))).into_bytes()
        }
        (example, _) => in_frame(example).into_bytes(),
    };
    judge(&body, &datafile)
}

fn judge(body: &[u8], datafile: &str) -> Judgement {
    let (config, mut visits) = (ProjectConfig::from_datafile(datafile).unwrap(), Visits::default());
    let judged = judge_parts_at(NOW_MS, body, Some(&config), &mut |part| {
        visits.note_part(&part);
        ControlFlow::Continue(())
    });
    let mut judgement = judged.unwrap_or_else(Judgement::from);
    judgement.warnings.extend(visits.warnings());
    judgement
}

fn in_frame(example: Example) -> String {
    match example {
        Example::Body(body) => body.to_owned(),
        Example::Visitor(visitor) => format!(r#"{{"account_id": "1", "visitors": [{visitor}]}}"#),
        Example::Snapshot(snapshot) => in_frame_of(snapshot),
        Example::Event(event) => in_frame_of(&format!(r#"{{"events": [{event}]}}"#)),
        other => panic!("no body is made of {other:?}"),
    }
}

fn in_frame_of(snapshot: &str) -> String {
    format!(r#"{{"account_id": "1", "visitors": [{{"visitor_id": "ann", "snapshots": [{snapshot}]}}]}}"#)
}

fn document() -> String {
    let mut text = format!(
        "# Problems\n\n\
         What `posthaste validate`, `send`, the collector and a strict relay say of a body, one section for each kind. A\n\
         test makes this document of the table in `crates/posthaste/src/judge`, and judges each example.\n\n\
         - An **error**: the API drops the event, or misreads it. The event counts as bad.\n\
         - A **warning**: the API counts it, but otherwise than its sender may think. The event counts as good.\n\n\
         In JSON a problem is\n\
         `{{\"kind\": \"timestamp-in-seconds\", \"severity\": \"error\", \"path\": \"visitors[0]…\", \"problem\": \"…\", \"fix\": \"…\"}}`;\n\
         codes stay, words may change. An example is a whole body, or stands in one that is sound otherwise:\n\n\
         ```json\n{}\n```\n\n\
         Those that need a datafile are judged beside this one (for `variation-id-not-digits`, with a variation whose id is\n\
         `green`):\n\n```json\n{DATAFILE}\n```\n\n\
         | kind | severity | what it is |\n|---|---|---|\n",
        in_frame(Example::Event(r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}"#)),
    );
    for kind in ProblemKind::ALL {
        let (code, severity, title) = (kind.code(), kind.severity(), kind.title());
        writeln!(text, "| [`{code}`](#{code}) | {severity} | {title} |").unwrap();
    }
    for &kind in ProblemKind::ALL {
        section(&mut text, kind);
    }
    text
}

fn section(text: &mut String, kind: ProblemKind) {
    let about = kind.about();
    let (what, example) = match about.example {
        Example::Body("") => ("a body of no bytes", None),
        Example::Body(body) => ("a body", Some(body)),
        Example::Visitor(visitor) => ("a visitor", Some(visitor)),
        Example::Snapshot(snapshot) => ("a snapshot", Some(snapshot)),
        Example::Event(event) => ("an event", Some(event)),
        Example::Told(words) => (words, None),
        other => panic!("no words for {other:?}"),
    };
    let (title, severity) = (kind.title(), kind.severity());
    write!(text, "\n## {kind}\n\n**{severity}**: {title}\n\nExample: {what}\n").unwrap();
    if let Some(example) = example {
        write!(text, "\n```text\n{example}\n```\n").unwrap();
    }
    let (api, fix, source) = (about.api, about.fix, about.source);
    write!(text, "\n- The API: {api}\n- Fix: {fix}\n- Source: {source}\n").unwrap();
}
