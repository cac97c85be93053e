//! `posthaste collect run` and `posthaste collect ready`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Stdio},
};

use posthaste::{Clock as _, SystemClock};
use rustix::process::Signal;

use crate::support::{Collector, Files, command, free_address, get, post, run, signal};

/// A command that says where the collector is, and ends when it is told how.
const ASKED: &str = "echo $POSTHASTE_COLLECTOR_EVENTS_URL; read code; exit $code";

/// `collect run` with a command that waits.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    url: String,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let args = [&["collect", "run"], args, &["--", "sh", "-c", ASKED]].concat();
        let mut child = command(&args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        Self { child, stdout, url: url.trim().to_owned() }
    }

    /// Its exit code, and what stood on standard error.
    fn end(mut self, code: u8) -> (Option<i32>, String) {
        writeln!(self.child.stdin.take().unwrap(), "{code}").unwrap();
        drop(self.stdout);
        let ended = self.child.wait_with_output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    }
}

#[test]
fn the_command_finds_the_collector_and_its_exit_code_counts() {
    for (code, args) in [(0, &[][..]), (3, &[]), (3, &["--no-bad"]), (0, &["--no-bad"])] {
        let running = Running::start(args);
        assert_eq!(get(&running.url.replace("/v1/events", "/healthz")), "ok\n");
        let (ended, stderr) = running.end(code);
        assert_eq!(ended, Some(code.into()), "{stderr}");
        assert!(stderr.contains("0 events in 0 requests"), "{stderr}");
    }
    let ran = run(&["collect", "run", "--", "sh", "-c", "echo $POSTHASTE_COLLECTOR_URL"]);
    assert!(ran.ended(0).stdout.starts_with("http://127.0.0.1:") && !ran.stdout.contains("/v1/"), "{ran:?}");
}

#[test]
fn bad_events_fail_it_where_that_is_asked_for() {
    let files = Files::new();
    let junit = files.path("events.xml");
    for (args, code, failures) in
        [(vec!["--junit", &junit], 0, 0), (vec!["--no-bad", "--junit", &junit], 1, 1)]
    {
        let running = Running::start(&args);
        assert_eq!(post(&running.url, b"{", None).0, 204);
        let (ended, stderr) = running.end(0);
        assert_eq!(ended, Some(code), "{stderr}");
        assert!(stderr.contains("bad event 1: body: "), "{stderr}");
        let xml = String::from_utf8(files.read("events.xml")).unwrap();
        assert!(
            xml.contains(&format!("failures=\"{failures}\"")) && xml.contains("1 of 1 events are bad"),
            "{xml}"
        );
        assert!(xml.contains("body: "), "{xml}");
    }
    // A test of the command's own begins anew.
    let running = Running::start(&["--no-bad", "--junit", &junit]);
    assert_eq!(post(&running.url, b"{", None).0, 204);
    assert_eq!(post(&running.url.replace("/v1/events", "/reset"), b"", None).0, 204);
    let (ended, stderr) = running.end(0);
    assert_eq!(ended, Some(1), "{stderr}");
    assert!(stderr.contains("bad events and refused requests: 1, 1 of them reset since"), "{stderr}");
    let xml = String::from_utf8(files.read("events.xml")).unwrap();
    assert!(xml.contains("1 bad events came, 1 of them reset since"), "{xml}");
    let (ended, stderr) = Running::start(&["--no-bad", "--quiet"]).end(0);
    assert_eq!((ended, &*stderr), (Some(0), ""));
}

#[test]
fn signals_are_passed_on() {
    for (sent, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT"), (Signal::HUP, "HUP")] {
        let script = format!("trap 'exit 7' {name}; echo ready; while :; do sleep 0.02; done");
        let mut child = command(&["collect", "run", "--", "sh", "-c", &script]).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        signal(&child, sent);
        assert_eq!(child.wait().unwrap().code(), Some(7), "{name}");
    }
}

#[test]
fn how_a_command_ends_is_said_as_shells_do() {
    let killed = run(&["collect", "run", "--", "sh", "-c", "kill -KILL $$"]);
    killed.ended(137);
    let missing = run(&["collect", "run", "--", "/no/such/command"]);
    assert!(missing.ended(127).stderr.contains("failed to run \"/no/such/command\""), "{missing:?}");
    run(&["collect", "run"]).ended(2);
}

#[test]
fn ready_waits_until_a_collector_takes_events() {
    let collector = Collector::start(&[]);
    run(&["collect", "ready", "--wait", "5s", &collector.url]).ended(0);
    run(&["collect", "ready", &collector.at("")]).ended(0);

    let address = free_address();
    let url = format!("http://{address}");
    let ran = run(&["collect", "ready", "--wait", "100ms", &url]);
    assert!(ran.ended(1).stderr.contains("not ready within 100ms"), "{ran:?}");
    run(&["collect", "ready", "--wait", "1s", "nowhere"]).ended(2);

    let waiting = command(&["collect", "ready", "--wait", "60s", &url]).spawn().unwrap();
    let later = Collector::start(&["--listen", &address.to_string()]);
    assert!(waiting.wait_with_output().unwrap().status.success());
    drop(later);
}

/// The time from the start of the process to its first line, at which it takes events. A figure for people: machines
/// that run tests are busy.
#[test]
fn a_collector_is_soon_ready() {
    let began = SystemClock.elapsed();
    let collector = Collector::start(&[]);
    let took = SystemClock.elapsed().saturating_sub(began);
    assert_eq!(post(&collector.url, b"{", None).0, 204);
    println!("ready after {took:?}");
}
