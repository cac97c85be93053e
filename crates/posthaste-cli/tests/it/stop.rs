//! Runs that end before everything is delivered: nothing is lost, and nothing takes longer than it was told to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Stdio},
    time::Duration,
};

use posthaste::{Clock, SystemClock};
use serde_json::Value;

use crate::support::{
    Collector, Files, LONG, Server, command, datafile, dead_endpoint, get, impression, interrupt,
    recorded_bodies, run, run_with, signal, vector,
};

#[test]
fn max_time_ends_a_run_and_what_is_left_can_be_sent() {
    let files = Files::new();
    let events = vector("larkspur.events.jsonl");
    let (left, endpoint) = (files.path("left.jsonl"), dead_endpoint());
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &endpoint];
    let bounds = ["--max-time", "4s", "--leftover", &left, events.to_str().unwrap()];
    let ran = run(&[&args[..], &bounds].concat());
    let report = ran.ended(1).json();
    assert_eq!((&report["lines"], &report["total"]["left"]), (&1_699.into(), &1_699.into()));
    assert_eq!(report["stopped"], Value::Null, "everything was read");

    let collector = Collector::start(&["--datafile", datafile()]);
    run(&["send", "--datafile", datafile(), "--endpoint", &collector.url, &left]).ended(0);
    let direct = Collector::start(&["--datafile", datafile()]);
    run(&["send", "--datafile", datafile(), "--endpoint", &direct.url, events.to_str().unwrap()]).ended(0);
    assert_eq!(collector.arrived(), direct.arrived(), "the same as without the detour");
}

#[test]
fn a_full_queue_does_not_outlast_max_time_and_the_line_is_named() {
    let files = Files::new();
    let (left, endpoint) = (files.path("left.jsonl"), dead_endpoint());
    let input: String = (0..50).map(|user| impression(&format!("user-{user}"))).collect();
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &endpoint];
    let bounds = ["--max-time", "2s", "--queue-size", "20", "--leftover", &left];
    let ran = run_with(&[&args[..], &bounds].concat(), input.as_bytes());
    let report = ran.ended(1).json();
    assert_eq!(report["stopped"], serde_json::json!({"line": 21, "reason": "max_time"}));
    assert!(ran.stderr.contains("stopped at line 21 by --max-time"), "{}", ran.stderr);
    assert_eq!(report["total"]["left"], 20);
    let kept = String::from_utf8(files.read("left.jsonl")).unwrap();
    let read: Vec<Value> = input.lines().take(20).map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept, read);
}

#[test]
fn batches_that_are_left_are_kept_as_they_were() {
    let files = Files::new();
    let (left, endpoint) = (files.path("left.jsonl"), dead_endpoint());
    let input = recorded_bodies("python-sdk-5.7.0.requests.jsonl").join("\n") + "\n";
    let args = ["send", "--endpoint", &endpoint, "--max-time", "2s", "--leftover", &left];
    run_with(&args, input.as_bytes()).ended(1);
    assert_eq!(String::from_utf8(files.read("left.jsonl")).unwrap(), input);
}

/// A run whose input stays open.
struct Open {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    metrics: Option<String>,
}

impl Open {
    /// Returns once `events` have been taken: they come before a bad line that is reported.
    fn start(args: &[&str], events: usize) -> Self {
        let args = [&["send", "--json", "--datafile", datafile()], args].concat();
        let mut child = command(&args).stdin(Stdio::piped()).spawn().unwrap();
        let mut input: String = (0..events).map(|user| impression(&format!("user-{user}"))).collect();
        input += "bad\n";
        child.stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
        let mut run = Self { stderr: BufReader::new(child.stderr.take().unwrap()), child, metrics: None };
        loop {
            let line = run.stderr_line();
            if let Some(url) = line.trim_end().strip_prefix("metrics at ") {
                run.metrics = Some(url.to_owned());
            } else {
                assert!(line.starts_with(&format!("<stdin>:{}: not JSON", events + 1)), "{line}");
                return run;
            }
        }
    }

    fn stderr_line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    fn end(mut self) -> (Option<i32>, Value, String) {
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), stderr)
    }
}

#[test]
fn ctrl_c_and_sigterm_deliver_what_was_read() {
    for which in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let collector = Collector::start(&["--datafile", datafile()]);
        let run = Open::start(&["--endpoint", &collector.url], 3);
        assert_eq!(collector.get("/ledger")["events"], 0, "three do not fill a batch");
        signal(&run.child, which);
        let (code, report, stderr) = run.end();
        assert_eq!(code, Some(1), "a line was rejected: {stderr}");
        assert_eq!(report["total"]["delivered"], 3);
        assert_eq!(report["stopped"], serde_json::json!({"line": 5, "reason": "signal"}));
        assert_eq!(collector.stop()["good"], 3);
    }
}

#[test]
fn metrics_are_served_meanwhile() {
    let endpoint = dead_endpoint();
    let run = Open::start(&["--endpoint", &endpoint, "--metrics", "0", "--flush-interval", "50ms"], 3);
    let url = run.metrics.clone().unwrap();
    let started = SystemClock.elapsed();
    while !get(&url).lines().any(|line| line == r#"posthaste_events_accepted_total{pipeline="processor"} 3"#)
    {
        assert!(SystemClock.elapsed() < started + LONG, "{}", get(&url));
        std::thread::yield_now();
    }
    signal(&run.child, rustix::process::Signal::KILL);
    assert_eq!(run.end().0, None);
}

#[test]
fn draining_ends_in_time_and_keeps_what_is_left() {
    let files = Files::new();
    let (left, endpoint) = (files.path("left.jsonl"), dead_endpoint());
    let run = Open::start(&["--endpoint", &endpoint, "--drain", "200ms", "--leftover", &left], 3);
    interrupt(&run.child);
    let (code, report, stderr) = run.end();
    assert_eq!((code, &report["total"]["left"]), (Some(1), &3.into()));
    assert!(stderr.contains("stopping; 3 events to deliver within 200ms"), "{stderr}");
    assert_eq!(files.lines("left.jsonl").len(), 3);
}

#[test]
fn a_second_ctrl_c_quits_at_once() {
    let endpoint = dead_endpoint();
    let mut run = Open::start(&["--endpoint", &endpoint, "--drain", "1h"], 3);
    interrupt(&run.child);
    while !run.stderr_line().contains("stopping; ") {}
    let asked = SystemClock.elapsed();
    interrupt(&run.child);
    assert_eq!(run.end().0, Some(130));
    assert!(SystemClock.elapsed() < asked + Duration::from_secs(5));
}

#[test]
fn a_failing_server_is_tried_until_it_recovers() {
    let failures = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(true, move |_| {
        if failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 3 { 503 } else { 204 }
    });
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &server.url];
    let report = run_with(&args, impression("ann").as_bytes()).ended(0).json();
    assert_eq!(report["total"]["delivered"], 1);
    assert_eq!(server.hits(), 4);
    let bodies = server.bodies();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "every attempt sends the same bytes");
}

/// 2,000 of these lines would be 6 GB.
#[test]
fn large_lines_are_bounded_by_their_bytes() {
    let endpoint = dead_endpoint();
    let event = r#"{"entity_id":"3","timestamp":1795500003394,"uuid":"u"}"#;
    let visitor = format!(
        r#"{{"visitor_id":"{}","attributes":[],"snapshots":[{{"events":[{event}]}}]}}"#,
        "v".repeat(3_000_000)
    );
    let line = format!(r#"{{"account_id":"1","visitors":[{visitor}]}}{}"#, "\n");
    let args = ["send", "--json", "--endpoint", &endpoint, "--max-time", "45s"];
    let report = run_with(&args, line.repeat(30).as_bytes()).ended(1).json();
    let taken = 64 * 1_024 * 1_024 / (line.len() - 1);
    assert_eq!(report["stopped"]["line"], taken + 1, "{report}");
}
