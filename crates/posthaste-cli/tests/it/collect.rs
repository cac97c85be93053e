//! `posthaste collect`.

use std::{io::Write, process::Stdio};

use crate::support::{
    Collector, Files, command, datafile, free_address, impression, post, run, run_with, signal,
};

#[test]
fn it_says_where_it_listens_and_ends_with_its_ledger() {
    let collector = Collector::start(&["--datafile", datafile()]);
    let input = impression("ann") + &impression("bob");
    let args = ["send", "--datafile", datafile(), "--endpoint", &collector.url];
    run_with(&args, input.as_bytes()).ended(0);
    assert_eq!(collector.get("/ledger")["good"], 2);
    let ledger = collector.stop();
    assert_eq!((&ledger["events"], &ledger["good"], &ledger["bad"]), (&2.into(), &2.into(), &0.into()));
}

#[test]
fn sigterm_ends_it_like_ctrl_c_and_people_get_words() {
    let mut child = command(&["collect", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()).spawn().unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut first).unwrap();
    assert!(first.starts_with("collecting at http://127.0.0.1:"), "{first}");
    signal(&child, rustix::process::Signal::TERM);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
    assert_eq!(rest, "0 events in 0 requests: 0 good, 0 bad, 0 repeated\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_taken_port_is_an_error() {
    let collector = Collector::start(&[]);
    let ran = run(&["collect", "--listen", collector.address()]);
    assert!(ran.ended(1).stderr.contains("failed to listen on"), "{}", ran.stderr);
}

#[test]
fn strict_answers_400() {
    let collector = Collector::start(&["--strict"]);
    let mut stream = std::net::TcpStream::connect(collector.address()).unwrap();
    write!(stream, "POST /v1/events HTTP/1.0\r\nhost: x\r\ncontent-length: 2\r\n\r\n[]").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400"), "{answer}");
}

/// Refused, reset before the answer, and reset after it: `send` ends with everything delivered once.
#[test]
fn faults_are_done_to_requests_and_counted() {
    let files = Files::new();
    let script = files.write(
        "faults.json",
        r#"{"rules": [
            {"name": "busy", "n": 1, "status": 503, "headers": {"retry-after": "0"}},
            {"n": 2, "end": "reset", "take": false},
            {"name": "last word", "n": 3, "end": "answer_then_reset"}
        ]}"#,
    );
    let collector = Collector::start(&["--datafile", datafile(), "--faults", &script]);
    let input = impression("ann") + &impression("bob");
    let args = ["send", "--datafile", datafile(), "--endpoint", &collector.url];
    run_with(&args, input.as_bytes()).ended(0);
    assert_eq!(collector.good()[0]["fault"]["did"], "204, then reset");
    assert_eq!(collector.get("/faults")["rules"][1]["applied"], 1);
    let ledger = collector.stop();
    let expected = serde_json::json!({"busy": 1, "rule 2": 1, "last word": 1});
    assert_eq!(
        (&ledger["good"], &ledger["duplicates"], &ledger["faults"]),
        (&2.into(), &0.into(), &expected)
    );
    assert_eq!(
        (&ledger["faulted"], &ledger["not_taken"], &ledger["requests"]),
        (&3.into(), &2.into(), &1.into())
    );
}

#[test]
fn a_script_that_cannot_be_used_says_where_and_what_to_do() {
    let files = Files::new();
    let script = files.write("faults.json", r#"{"rules": [{"stauts": 503}]}"#);
    let large = files.write("large.json", vec![b' '; (1 << 20) + 1]);
    for (path, expected) in [
        (script, r#"faults.json": rules[0]: unknown key "stauts"; did you mean "status"?"#),
        (large, "it has more than 1048576 bytes, and is no script of faults"),
        (files.path("none"), "failed to read"),
    ] {
        let ran = run(&["collect", "--listen", "0", "--faults", &path]);
        assert!(ran.ended(1).stderr.contains(expected), "{}", ran.stderr);
    }
}

/// The collector's own words, without its ledger.
fn said(args: &[&str], bodies: &[&[u8]]) -> String {
    let args = [&["collect", "--listen", "0"], args].concat();
    let mut child = command(&args).spawn().unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut first).unwrap();
    let url = first.split_whitespace().nth(2).unwrap().trim_end_matches(',');
    for body in bodies {
        assert_eq!(post(url, body, None).0, 204);
    }
    signal(&child, rustix::process::Signal::TERM);
    drop(stdout);
    String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
}

#[test]
fn each_bad_event_is_a_line_with_its_place_and_what_to_do() {
    let stderr = said(&[], &[b"{", b"[]"]);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines[0].starts_with("bad event 1: body: ") && lines[1].starts_with("bad event 2: "), "{stderr}");
    assert!(lines.iter().all(|line| line.contains("; ")), "{stderr}");
    assert_eq!(said(&["--quiet"], &[b"{"]), "");
}

/// One request, so that they come within a second however slow the machine is.
#[test]
fn many_bad_events_are_counted() {
    let visitors = vec!["{}"; 500].join(",");
    let body = format!("{{\"account_id\": \"1\", \"project_id\": \"2\", \"visitors\": [{visitors}]}}");
    let stderr = said(&[], &[body.as_bytes()]);
    let lines: Vec<&str> = stderr.lines().collect();
    let counted: u64 = lines
        .iter()
        .filter_map(|line| line.strip_prefix("and ")?.split(' ').next()?.replace(',', "").parse::<u64>().ok())
        .sum();
    let single = lines.iter().filter(|line| line.starts_with("bad event ")).count();
    assert_eq!(single as u64 + counted, 500, "{stderr}");
    assert!(single < 100, "{stderr}");
}

#[test]
fn a_file_keeps_every_event_and_shows_it_again() {
    let files = Files::new();
    let (out, again) = (files.path("events.jsonl"), files.path("again.jsonl"));
    let collector = Collector::start(&["--datafile", datafile(), "--out", &out]);
    let input = impression("ann") + &impression("bob");
    run_with(&["send", "--datafile", datafile(), "--endpoint", &collector.url], input.as_bytes()).ended(0);
    post(&collector.at("/t/one/v1/events"), b"{", None);
    let before = collector.get("/all");
    let ledger = collector.stop();
    let verdicts = |name: &str| -> Vec<_> {
        files.lines(name).iter().map(|line| line["verdict"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts("events.jsonl"), ["good", "good", "bad"]);

    let loaded = Collector::start(&["--datafile", datafile(), "--load", &out, "--out", &again]);
    let after = loaded.get("/all");
    for (before, after) in before.as_array().unwrap().iter().zip(after.as_array().unwrap()) {
        for field in ["id", "verdict", "words", "session", "uuid", "timestamp", "problems"] {
            assert_eq!(before[field], after[field], "{field}");
        }
    }
    let again = loaded.stop();
    assert_eq!((&again["good"], &again["bad"]), (&ledger["good"], &ledger["bad"]));
    assert_eq!(verdicts("again.jsonl"), ["good", "good", "bad"]);
    let same = run(&["collect", "--listen", "0", "--load", &out, "--out", &out]);
    same.ended(2);
    assert_eq!(files.lines("events.jsonl").len(), 3, "it is still there");
}

#[test]
fn what_was_taken_is_forwarded_and_never_to_itself() {
    let real = Collector::start(&[]);
    let front = Collector::start(&["--datafile", datafile(), "--forward", &real.url]);
    run_with(&["send", "--datafile", datafile(), "--endpoint", &front.url], impression("ann").as_bytes())
        .ended(0);
    assert_eq!((&front.get("/ledger")["good"], &real.get("/ledger")["good"]), (&1.into(), &1.into()));
    // Two that forward to each other: the second one refuses.
    let third = Collector::start(&["--forward", &front.url]);
    let (status, text) = post(&third.url, b"{", None);
    assert_eq!(status, 421, "{text}");

    let address = free_address();
    let own = format!("http://localhost:{}/v1/events", address.port());
    let ran = run(&["collect", "--listen", &address.to_string(), "--forward", &own]);
    assert!(ran.ended(1).stderr.contains("is this collector itself"), "{}", ran.stderr);
    run(&["collect", "--listen", "0", "--forward", "nowhere"]).ended(2);
}

#[test]
fn a_name_that_is_not_its_own_is_refused_and_one_that_is_allowed_is_not() {
    let collector = Collector::start(&["--allow-host", "collector", "--base", "/tools"]);
    assert!(collector.url.ends_with("/tools/v1/events"), "{}", collector.url);
    for (host, status) in [("collector:8080", "200"), ("localhost", "200"), ("evil.example", "403")] {
        let mut stream = std::net::TcpStream::connect(collector.address()).unwrap();
        write!(stream, "GET /tools/ledger HTTP/1.0\r\nhost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.0 {status}")), "{answer}");
    }
}
