//! `posthaste collect`.

use std::{io::Write, process::Stdio};

use crate::support::{Collector, Files, command, datafile, impression, run, run_with, signal};

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
    let address = collector.url.strip_prefix("http://").unwrap().strip_suffix("/v1/events").unwrap();
    let ran = run(&["collect", "--listen", address]);
    assert!(ran.ended(1).stderr.contains("failed to listen on"), "{}", ran.stderr);
}

#[test]
fn strict_answers_400() {
    let collector = Collector::start(&["--strict"]);
    let host = collector.url.strip_prefix("http://").unwrap().strip_suffix("/v1/events").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
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
