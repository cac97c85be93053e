//! `posthaste validate`.

use std::fs;

use posthaste::ProjectConfig;

use crate::support::{Files, Server, datafile, impression, recorded_bodies, run, run_with, vector};

#[test]
fn datafiles_are_judged_as_the_library_judges_them() {
    let mut paths: Vec<_> =
        fs::read_dir(vector("datafiles")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.extend(["larkspur.json", "larkspur_r43.json", "larkspur_eu.json"].map(vector));
    assert!(paths.len() > 30);
    for path in paths {
        let parsed = ProjectConfig::from_datafile(fs::read(&path).unwrap());
        let ran = run(&["validate", "--json", path.to_str().unwrap()]);
        let found = ran.ended(i32::from(parsed.is_err())).json();
        assert_eq!(found["sound"], parsed.is_ok(), "{path:?}");
        match parsed {
            Ok(config) => assert_eq!(found["warnings"], serde_json::json!(config.warnings()), "{path:?}"),
            Err(error) if found["kind"] == "datafile" => {
                assert_eq!(found["problems"][0]["problem"], error.to_string(), "{path:?}");
            }
            Err(_) => assert!(found["problems_total"].as_u64() > Some(0), "{path:?}"),
        }
    }
}

#[test]
fn a_datafile_is_summed_up_in_a_line() {
    let ran = run(&["validate", datafile()]);
    let line = "datafile (project 10000002, revision 42, region US: 10 experiments, 6 events, 6 attributes): sound\n";
    assert_eq!(ran.ended(0).stdout, line);
}

#[test]
fn events_are_checked_line_by_line() {
    let events = vector("larkspur.events.jsonl");
    let events = events.to_str().unwrap();
    let ran = run(&["validate", "--datafile", datafile(), events]);
    assert_eq!(ran.ended(0).stdout, "events (1,699 lines): sound\n");

    let text = impression("ann")
        + "\n"
        + r#"{"type":"impression","user_id":"a","experiment":"checkout_button","variation":"blue"}"#
        + "\n{\n"
        + &impression("bob").replace("1795500003394", "1795500003");
    let ran = run_with(&["validate", "--json", "--datafile", datafile(), "-"], text.as_bytes());
    let found = ran.ended(1).json();
    assert_eq!(found["kind"], "events");
    let lines: Vec<_> = found["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [3, 4, 5]);

    let ran = run_with(&["validate", "-"], text.as_bytes());
    assert!(ran.ended(1).stdout.contains("warning: without --datafile"), "{}", ran.stdout);
}

#[test]
fn problems_are_listed_up_to_a_bound() {
    let text = impression("ann") + &"{}\n".repeat(150);
    let ran = run_with(&["validate", "-"], text.as_bytes());
    assert!(ran.ended(1).stdout.contains("… and 50 more"), "{}", ran.stdout);
    assert!(ran.stdout.contains("<stdin>:101:") && !ran.stdout.contains("<stdin>:102:"));
}

#[test]
fn batches_are_checked_alone_and_by_lines() {
    let bodies = recorded_bodies("javascript-sdk-6.6.1-node.requests.jsonl");
    let ran = run_with(&["validate", "--json", "-"], bodies[0].as_bytes());
    assert_eq!(ran.json()["kind"], "batch");
    let problems = posthaste::judge::judge_batch(bodies[0].as_bytes(), None).problems;
    assert_eq!(ran.json()["problems_total"], problems.len());
    let ran = run_with(&["validate", "--json", "-"], br#"{"account_id": "1", "visitors": 5}"#);
    assert!(ran.ended(1).json()["problems"][0]["problem"].as_str().unwrap().starts_with("visitors: "));
    let lines = bodies[..2].join("\n");
    assert_eq!(run_with(&["validate", "--json", "-"], lines.as_bytes()).json()["kind"], "events");
}

#[test]
fn whatever_comes_in_is_answered_with_words() {
    let files = Files::new();
    for (text, kind) in [
        (&b""[..], "nothing"),
        (b" \n\n", "nothing"),
        (b"null", "datafile"),
        (b"[]", "datafile"),
        (b"{}", "datafile"),
        (b"{\"version\": \"4\", \"experiments\": [", "datafile"),
        (b"{\"account_id\": \"1\", \"visitors\": [NaN", "batch"),
        (b"\xff\xfe\n\x00", "events"),
        (b"hello\n", "events"),
        (br#"{"type": "conversion"}"#, "events"),
    ] {
        let ran = run(&["validate", "--json", &files.write("input", text)]);
        assert_eq!(ran.ended(1).json()["kind"], kind, "{text:?}");
    }
}

#[test]
fn every_line_counts_and_blank_ones_are_told_apart() {
    for (text, summary) in [
        (impression("ann"), "events (1 line): sound\n"),
        (impression("ann") + "\n \n" + &impression("bob"), "events (4 lines, 2 of them blank): sound\n"),
    ] {
        let ran = run_with(&["validate", "--datafile", datafile(), "-"], text.as_bytes());
        assert_eq!(ran.ended(0).stdout, summary);
    }
}

#[test]
fn a_line_may_be_as_long_as_it_is_told() {
    let text = impression("ann");
    for (bytes, code) in [(text.len() - 1, 0), (text.len() - 2, 1)] {
        let args = ["validate", "--datafile", datafile(), "--max-line-bytes", &bytes.to_string(), "-"];
        let ran = run_with(&args, text.as_bytes());
        let told = format!("<stdin>:1: too long: a line may have {bytes} bytes (--max-line-bytes)");
        assert_eq!(ran.ended(code).stdout.contains(&told), code == 1, "{ran:?}");
    }
}

/// The API takes 3.5 MB, and a line may have more.
#[test]
fn an_event_that_no_request_holds_is_refused_as_send_refuses_it() {
    let files = Files::new();
    for (bytes, code) in [(3_400_000, 0), (3_600_000, 1)] {
        let tags = format!(r#"{{"note":"{}"}}"#, "x".repeat(bytes));
        let line = format!(r#"{{"type":"conversion","user_id":"u","event":"purchase","tags":{tags}}}"#);
        let input = files.write("events.jsonl", line);
        let validated = run(&["validate", "--datafile", datafile(), &input]);
        let server = Server::start(false, |_| 204);
        let sent = run(&["send", "--datafile", datafile(), "--endpoint", &server.url, &input]);
        let told = |text: &str| text.lines().find(|line| line.contains(":1: too large: ")).map(str::to_owned);
        assert_eq!(told(&validated.ended(code).stdout), told(&sent.ended(code).stderr));
        assert_eq!(told(&validated.stdout).is_some(), code == 1);
    }
}

#[test]
fn each_file_has_its_object_in_json_the_unreadable_too() {
    let files = Files::new();
    let (missing, sound) = (files.path("missing"), files.write("events.jsonl", impression("ann")));
    for (args, kinds) in
        [(&[&*missing][..], &["unreadable"][..]), (&[&missing, &sound], &["unreadable", "events"])]
    {
        let ran = run(&[&["validate", "--json"], args].concat());
        let found: Vec<serde_json::Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(found.iter().map(|found| found["kind"].as_str().unwrap()).collect::<Vec<_>>(), kinds);
        assert!(found[0]["problems"][0]["problem"].as_str().unwrap().contains("missing"), "{ran:?}");
        assert_eq!((&found[0]["sound"], &found[0]["file"]), (&false.into(), &missing.clone().into()));
    }
}

#[test]
fn warnings_are_listed_up_to_a_bound_and_counted() {
    let line = r#"{"type":"conversion","user_id":"u","event":"purchase","tags":{"value":"much"}}"#;
    let text = format!("{line}\n").repeat(150);
    let ran = run_with(&["validate", "--json", "--datafile", datafile(), "-"], text.as_bytes());
    let found = ran.ended(0).json();
    assert_eq!((found["warnings"].as_array().unwrap().len(), &found["warnings_total"]), (100, &150.into()));
    let ran = run_with(&["validate", "--datafile", datafile(), "-"], text.as_bytes());
    assert!(ran.ended(0).stdout.contains("… and 50 more warnings"), "{}", ran.stdout);
}

/// RFC 3339 has four digits of a year; ISO 8601 may have more, with a sign.
#[test]
fn a_time_has_a_year_of_four_digits() {
    for (time, code) in [("2026-11-24T10:00:00Z", 0), ("+002026-11-24T10:00:00Z", 1), ("20261124T100000Z", 1)]
    {
        let line = impression("ann").replace("1795500003394", &format!("\"{time}\""));
        let ran = run_with(&["validate", "--datafile", datafile(), "-"], line.as_bytes());
        assert_eq!(ran.ended(code).stdout.contains("is no RFC 3339 time"), code == 1, "{ran:?}");
    }
}
