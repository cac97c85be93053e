//! Lines that cannot be sent: each with its number and its reason, kept as they came, in nobody's way.

use crate::support::{Files, Server, datafile, impression, run, run_with};

/// Lines, and what is said of them.
const BAD: &[(&[u8], &str)] = &[
    (b"{\"type\": \"imp\xffression\"}\r\n", "not UTF-8: byte 0xFF at byte 13; encode the body as UTF-8"),
    (b"not json\n", "not JSON: "),
    (b"{\"type\": \"impression\"\r\n", "not JSON: "),
    (b"{}{}\n", "not JSON: trailing characters"),
    (b"[1, 2]\n", "not a JSON object"),
    (b"null\n", "not a JSON object"),
    (b"{\"account_id\": \"1\", \"visitors\": []}\n", "body: holds no events"),
    (b"{}\n", "type is missing"),
    (br#"{"type": "click", "user_id": "a"}"#, "type \"click\" is unknown"),
    (br#"{"type": 5, "user_id": "a"}"#, "type: expected a string, found a number"),
    (br#"{"type": "conversion", "event": "purchase"}"#, "user_id is missing"),
    (
        br#"{"type": "conversion", "event": "purchase", "user_id": 17}"#,
        "user_id: expected a string, found a number",
    ),
    (br#"{"type": "conversion", "user_id": "a"}"#, "event is missing"),
    (br#"{"type": "conversion", "user_id": "a", "event": "fly\u001b[2J"}"#, r#"no event "fly\u{1b}[2J""#),
    (
        br#"{"type": "conversion", "user_id": "a", "event": "purchase", "tags": []}"#,
        "tags: expected an object, found a list",
    ),
    (
        br#"{"type": "conversion", "user_id": "a", "event": "purchase", "variation": "x"}"#,
        "variation does not belong to a conversion",
    ),
    (
        br#"{"type": "impression", "user_id": "a", "experiment": "e", "variation": "control"}"#,
        "no experiment \"e\"",
    ),
    (
        br#"{"type": "impression", "user_id": "a", "experiment": "checkout_button", "variation": "blue"}"#,
        "no variation \"blue\" of experiment \"checkout_button\": it has \"control\", \"green_button\"",
    ),
    (
        br#"{"type": "impression", "user_id": "a", "experiment": "checkout_button"}"#,
        "variation (null stands for none) is missing",
    ),
    (
        br#"{"type": "impression", "user_id": "a", "experiment": "e", "variation": "v", "tags": {}}"#,
        "tags does not belong to an impression",
    ),
    (br#"{"type": "conversion", "user_id": "a", "event": "purchase", "tagz": {}}"#, "unknown key \"tagz\""),
    (
        br#"{"type": "conversion", "user_id": "a", "user_id": "b", "event": "purchase"}"#,
        "user_id occurs twice",
    ),
    (
        br#"{"type": "conversion", "user_id": "a", "event": "purchase", "attributes": true}"#,
        "attributes: expected an object, found a boolean",
    ),
    (
        br#"{"type": "conversion", "user_id": "a", "event": "purchase", "timestamp": 1.5}"#,
        "timestamp: expected a whole number",
    ),
    (
        br#"{"type": "conversion", "user_id": "a", "event": "purchase", "timestamp": 99999999999999999999}"#,
        "timestamp: expected",
    ),
    (
        br#"{"type": "conversion", "user_id": "a", "event": "purchase", "timestamp": "yesterday"}"#,
        "timestamp \"yesterday\" is no RFC 3339",
    ),
    (br#"{"type": "conversion", "user_id": "a", "event": "purchase", "uuid": ""}"#, "uuid is empty"),
    (
        br#"{"type": "conversion", "user_id": "a", "event": "purchase", "status": 400}"#,
        "status does not belong to an event",
    ),
    (br#"{"event": {"event": {"type": "conversion"}}}"#, "a dead letter inside a dead letter"),
    (br#"{"event": {"type": "conversion"}, "uuid": "u"}"#, "uuid does not belong to a dead letter"),
    (br#"{"visitors": 5}"#, "account_id: expected a string, found nothing"),
    (br#"{"account_id": "1", "visitors": [], "visitors": []}"#, "visitors: is there twice"),
];

#[test]
fn each_reason_is_named_with_its_line() {
    let server = Server::start(false, |_| 204);
    for (line, reason) in BAD {
        let input = [impression("ann").as_bytes(), line, b"\n", impression("bob").as_bytes()].concat();
        let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &server.url];
        let ran = run_with(&args, &input);
        let report = ran.ended(1).json();
        assert_eq!((&report["rejected"], &report["total"]["delivered"]), (&1.into(), &2.into()), "{ran:?}");
        let expected = format!("<stdin>:2: {reason}");
        assert!(ran.stderr.starts_with(&expected), "{expected}\n{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn rejects_are_kept_byte_for_byte_and_reports_are_bounded() {
    let files = Files::new();
    let server = Server::start(false, |_| 204);
    let (mut input, mut expected) = (Vec::new(), Vec::new());
    for (line, _) in BAD {
        let line = if line.ends_with(b"\n") { line.to_vec() } else { [line, &b"\r\n"[..]].concat() };
        input.extend_from_slice(impression("ann").as_bytes());
        input.extend_from_slice(&line);
        expected.extend_from_slice(&line);
    }
    let last = b"no end \xfe";
    input.extend_from_slice(last);
    expected.extend_from_slice(last);
    let rejects = files.path("rejects");
    let args = ["send", "--datafile", datafile(), "--endpoint", &server.url, "--rejects", &rejects];
    let ran = run_with(&args, &input);
    ran.ended(1);
    assert_eq!(files.read("rejects"), expected);
    assert_eq!(ran.stderr.lines().count(), 21, "{}", ran.stderr);
    assert!(ran.stderr.ends_with(&format!("… and {} more\n", BAD.len() + 1 - 20)), "{}", ran.stderr);

    run_with(&args, b"{}").ended(1);
    assert_eq!(files.read("rejects"), [&expected[..], b"\n{}"].concat(), "added on a line of its own");
}

#[test]
fn a_line_that_is_too_long_costs_only_itself() {
    let files = Files::new();
    let server = Server::start(false, |_| 204);
    let long = [vec![b'x'; 9_000_000], b"\r\n".to_vec()].concat();
    let input = [impression("ann").as_bytes(), &long, impression("bob").as_bytes()].concat();
    let rejects = files.path("rejects");
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &server.url, "--rejects", &rejects];
    let ran = run_with(&args, &input);
    assert_eq!(ran.ended(1).json()["total"]["delivered"], 2);
    assert!(ran.stderr.contains("<stdin>:2: too long: a line may have 4000000 bytes"), "{}", ran.stderr);
    assert!(files.read("rejects") == long);
    let short = [&args[..], &["--max-line-bytes", "10"]].concat();
    assert!(run_with(&short, b"{\"aaaaaaaaaa\"}").ended(1).stderr.contains("may have 10 bytes"));
}

#[test]
fn an_event_larger_than_a_request_is_rejected() {
    let server = Server::start(false, |_| 204);
    let tags = format!(r#""event":"purchase","tags":{{"note":"{}"}}"#, "n".repeat(20_000));
    let line = format!(r#"{{"type":"conversion","user_id":"ann",{tags}}}"#);
    let args = ["send", "--datafile", datafile(), "--endpoint", &server.url, "--max-batch-bytes", "10000"];
    let ran = run_with(&args, line.as_bytes());
    assert!(ran.ended(1).stderr.starts_with("<stdin>:1: too large: "), "{}", ran.stderr);
}

#[test]
fn output_files_are_neither_the_input_nor_each_other() {
    let files = Files::new();
    let input = files.write("input", impression("ann"));
    for option in ["--rejects", "--dead-letters", "--leftover"] {
        let ran = run(&["send", "--datafile", datafile(), &input, option, &input]);
        assert!(ran.ended(2).stderr.contains("is also the input"), "{}", ran.stderr);
    }
    assert_eq!(files.read("input"), impression("ann").as_bytes());
}

#[test]
fn options_that_nothing_could_come_of_are_usage_errors_that_name_them() {
    for [option, value] in [
        ["--batch-size", "0"],
        ["--in-flight", "0"],
        ["--queue-size", "0"],
        ["--max-line-bytes", "0"],
        ["--max-batch-bytes", "0"],
        ["--flush-interval", "0s"],
        ["--request-timeout", "1ns"],
        ["--max-time", "0s"],
    ] {
        let ran = run(&["send", option, value, "--datafile", datafile(), "-"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(option), "{ran:?}");
    }
}
