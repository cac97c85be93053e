//! `posthaste send`: everything arrives, once, as it was.

use std::{collections::BTreeSet, fs, io::Write, process::Stdio};

use serde_json::Value;

use crate::support::{
    Collector, Files, Server, command, datafile, impression, recorded_bodies, run, run_with, vector,
};

fn identity(event: &Value) -> (String, i64) {
    (event["uuid"].as_str().unwrap().to_owned(), event["timestamp"].as_i64().unwrap())
}

fn identities(text: &str) -> BTreeSet<(String, i64)> {
    text.lines().map(|line| identity(&serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn every_event_of_the_file_arrives_once_with_its_uuid_and_its_time() {
    let collector = Collector::start(&["--datafile", datafile()]);
    let events = vector("larkspur.events.jsonl");
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &collector.url];
    let ran = run(&[&args[..], &[events.to_str().unwrap()]].concat());
    let report = ran.ended(0).json();
    assert_eq!((&report["lines"], &report["rejected"]), (&1_699.into(), &0.into()));
    assert_eq!(report["total"]["delivered"], 1_699);
    assert_eq!(report["attributes_left_out"], serde_json::json!({"unknown": 0, "invalid": 0}));

    let ledger = collector.get("/ledger");
    assert_eq!(
        (&ledger["good"], &ledger["bad"], &ledger["duplicates"]),
        (&1_699.into(), &0.into(), &0.into()),
        "{ledger}"
    );
    let arrived: BTreeSet<_> = collector.good().iter().map(identity).collect();
    assert_eq!(arrived, identities(&fs::read_to_string(events).unwrap()));
}

#[test]
fn standard_input_is_read_and_people_get_words() {
    let collector = Collector::start(&["--datafile", datafile()]);
    let input = impression("ann") + "\n  \n" + &impression("bob");
    for file in [&[][..], &["-"]] {
        let args = [&["send", "--datafile", datafile(), "--endpoint", &collector.url], file].concat();
        let ran = run_with(&args, input.as_bytes());
        ran.ended(0);
        assert!(ran.stdout.contains("read       4 lines: 2 events, 0 batches, 0 rejected"), "{}", ran.stdout);
        assert!(ran.stdout.contains("2 accepted = 2 delivered + 0 dead-lettered + 0 left"), "{}", ran.stdout);
        assert!(ran.stdout.contains("delivered  everything"), "{}", ran.stdout);
        assert_eq!(ran.stderr, "");
    }
    let ledger = collector.stop();
    assert_eq!((&ledger["good"], &ledger["duplicates"]), (&2.into(), &2.into()), "sent twice, counted once");
}

#[test]
fn times_may_be_written_out() {
    let collector = Collector::start(&["--datafile", datafile()]);
    let line = |user: &str, time: &str| impression(user).replace("1795500003394", time);
    let input =
        line("a", r#""2026-11-25T09:30:00.25+01:00""#) + &line("b", "null") + &line("c", "1795500000000");
    let args = ["send", "--datafile", datafile(), "--endpoint", &collector.url];
    run_with(&args, input.as_bytes()).ended(0);
    let mut good = collector.good();
    good.sort_by_key(|event| event["visitor_id"].as_str().unwrap().to_owned());
    assert_eq!(good[0]["timestamp"], 1_795_595_400_250_i64);
    assert!(good[1]["timestamp"].as_i64() > Some(1_700_000_000_000), "now: {}", good[1]);
    assert_eq!(good[2]["timestamp"], 1_795_500_000_000_i64);
}

#[test]
fn batches_pass_byte_for_byte_without_a_datafile() {
    let server = Server::start(true, |_| 204);
    let mut bodies = recorded_bodies("javascript-sdk-6.6.1-node.requests.jsonl");
    bodies.extend(recorded_bodies("python-sdk-5.7.0.requests.jsonl"));
    let input = bodies.join("\r\n");
    let ran = run_with(&["send", "--json", "--endpoint", &server.url], input.as_bytes());
    let report = ran.ended(0).json();
    assert_eq!(report["batch_lines"], bodies.len());
    assert_eq!(report["batches"]["accepted"], report["batches"]["delivered"]);
    let mut sent: Vec<Vec<u8>> = bodies.into_iter().map(String::into_bytes).collect();
    let mut arrived = server.bodies();
    sent.sort();
    arrived.sort();
    assert_eq!(arrived, sent);
}

#[test]
fn events_and_batches_share_an_input_and_the_books_add_up() {
    let collector = Collector::start(&["--datafile", datafile()]);
    let body = &recorded_bodies("python-sdk-5.7.0.requests.jsonl")[0];
    let input = impression("ann") + body + "\n" + &impression("bob");
    let args = ["send", "--json", "--gzip", "--datafile", datafile(), "--endpoint", &collector.url];
    let report = run_with(&args, input.as_bytes()).ended(0).json();
    let events = report["total"]["delivered"].as_u64().unwrap();
    assert_eq!(report["events"]["delivered"], 2);
    assert_eq!(report["batches"]["delivered"], events - 2);
    assert_eq!(collector.stop()["events"], events);
}

#[test]
fn an_event_without_a_datafile_stops_the_run_with_what_to_do() {
    let server = Server::start(true, |_| 204);
    let body = &recorded_bodies("python-sdk-5.7.0.requests.jsonl")[0];
    let input = format!("{body}\n{}{body}\n", impression("ann"));
    let ran = run_with(&["send", "--endpoint", &server.url], input.as_bytes());
    ran.ended(1);
    assert!(
        ran.stderr.contains("<stdin>:2: this is an event") && ran.stderr.contains("--datafile"),
        "{}",
        ran.stderr
    );
    assert_eq!(server.bodies(), [body.as_bytes()], "what came before is delivered");
}

#[test]
fn a_full_queue_makes_the_reader_wait() {
    let collector = Collector::start(&["--datafile", datafile()]);
    let events = vector("larkspur.events.jsonl");
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &collector.url];
    let tiny = ["--queue-size", "10", "--batch-size", "10", "--in-flight", "1"];
    let report = run(&[&args[..], &tiny, &[events.to_str().unwrap()]].concat()).ended(0).json();
    assert_eq!(report["total"]["delivered"], 1_699);
    assert_eq!(collector.stop()["good"], 1_699);
}

#[test]
fn the_client_is_named_as_told() {
    let server = Server::start(true, |_| 204);
    let args = ["send", "--datafile", datafile(), "--endpoint", &server.url];
    let args = [&args[..], &["--client-name", "backfill", "--client-version", "9.1"]].concat();
    run_with(&args, impression("ann").as_bytes()).ended(0);
    let body: Value = serde_json::from_slice(&server.bodies()[0]).unwrap();
    assert_eq!((&body["client_name"], &body["client_version"]), (&"backfill".into(), &"9.1".into()));
}

#[test]
fn attributes_that_cannot_be_sent_are_counted() {
    let collector = Collector::start(&["--datafile", datafile()]);
    let line = impression("ann")
        .replace(r#""type""#, r#""attributes":{"plan":"pro","shoe_size":44,"age":null},"type""#);
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &collector.url];
    let report = run_with(&args, (line.clone() + &line).as_bytes()).ended(0).json();
    assert_eq!(report["attributes_left_out"], serde_json::json!({"unknown": 2, "invalid": 2}));
    assert_eq!(collector.good()[0]["attributes"]["plan"], "pro");
}

/// Lines of 2 kB, 200 MB of them, through a queue whose bound is far below that.
#[test]
fn memory_stays_flat() {
    const LINES: usize = 100_000;
    let server = Server::start(false, |_| 204);
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &server.url];
    let mut child = command(&[&args[..], &["--batch-size", "500", "--in-flight", "4"]].concat())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let note = "n".repeat(2_000);
    let line = format!(
        r#"{{"type":"conversion","user_id":"ann","event":"purchase","tags":{{"note":"{note}"}}}}{}"#,
        "\n"
    );
    for _ in 0..LINES / 100 {
        stdin.write_all(line.repeat(100).as_bytes()).unwrap();
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdin);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: usize = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["total"]["delivered"], LINES);
    assert!(peak_kib < 100 * 1_024, "{peak_kib} KiB");
}

#[test]
fn what_the_api_refuses_becomes_a_dead_letter_that_can_be_sent() {
    let files = Files::new();
    let collector = Collector::start(&["--datafile", datafile()]);
    let dead = files.path("dead.jsonl");
    // An event that is newer than the collector's datafile.
    let larkspur = std::fs::read_to_string(datafile()).unwrap();
    let newer = larkspur.replace(r#""events": ["#, r#""events": [{"id": "39999", "key": "sold"}, "#);
    assert_ne!(newer, larkspur);
    let newer = files.write("newer.json", newer);
    let sold = serde_json::json!({
        "type": "conversion", "user_id": "bob", "event": "sold",
        "timestamp": 1_795_500_003_394_i64, "uuid": "uuid-of-bob",
    });
    let bodies = recorded_bodies("javascript-sdk-6.6.1-node.requests.jsonl");
    let mut batch: Value = serde_json::from_str(&bodies[0]).unwrap();
    let visitors = batch["visitors"].as_array().unwrap()[..2].to_vec();
    batch["visitors"] = visitors.into();
    batch["visitors"][1]["snapshots"][0]["events"][0]["timestamp"] = 17.into();
    let input = format!("{}{sold}\n{}{batch}\n", impression("ann"), impression("cem"));
    let args = ["send", "--json", "--datafile", &newer, "--endpoint", &collector.url];
    let strict = [&args[..], &["--strict", "on", "--dead-letters", &dead]].concat();

    let report = run_with(&strict, input.as_bytes()).ended(1).json();
    assert_eq!(report["events"]["delivered"], 2, "{report}");
    assert_eq!(report["events"]["dead_lettered"], 1);
    assert!(report["batches"]["dead_lettered"].as_u64() >= Some(1), "{report}");
    assert_eq!(report["total"]["left"], 0);
    let letters = files.lines("dead.jsonl");
    assert_eq!(letters.len() as u64, report["total"]["dead_lettered"].as_u64().unwrap());
    let letter = letters.iter().find(|letter| letter["event"]["user_id"] == "bob").unwrap();
    assert_eq!((&letter["reason"], &letter["status"]), (&"rejected".into(), &400.into()));
    assert!(letter["text"][0]["path"].as_str().unwrap().contains("entity_id"), "{letter}");
    assert_eq!(letter["event"], sold, "as it was read");

    // A body in which no event counts is refused before it is sent.
    let again = run(&[&args[..], &[&dead]].concat()).ended(1).json();
    let bodies = letters.iter().filter(|letter| letter["event"].get("visitors").is_some()).count();
    assert_eq!(
        (&again["total"]["delivered"], &again["rejected"]),
        (&(letters.len() - bodies).into(), &bodies.into())
    );
    let bad = collector.get("/bad?visitor=bob");
    assert!(bad.as_array().unwrap().iter().any(|event| event["uuid"] == "uuid-of-bob"), "{bad}");
}

#[test]
fn dead_letters_are_told_of_up_to_a_bound_with_what_the_api_said() {
    let server =
        Server::start(false, |body| if body.windows(4).any(|part| part == b"user") { 400 } else { 204 });
    let input: String = (0..25).map(|user| impression(&format!("user-{user}"))).collect();
    let ran = run_with(&["send", "--datafile", datafile(), "--endpoint", &server.url], input.as_bytes());
    ran.ended(1);
    let told = " was rejected, status 400: refused";
    assert_eq!(ran.stderr.lines().filter(|line| line.ends_with(told)).count(), 20, "{}", ran.stderr);
    assert!(ran.stderr.contains("… and 5 dead letters more"), "{}", ran.stderr);
    assert!(ran.stderr.contains("next time, --dead-letters FILE keeps dead letters"), "{}", ran.stderr);
}

/// A queue full of bytes sends what it has, though its events do not fill a batch.
#[test]
fn large_events_do_not_wait_for_a_batch_to_fill() {
    let server = Server::start(false, |_| 204);
    let note = "n".repeat(400_000);
    let line = format!(
        r#"{{"type":"conversion","user_id":"ann","event":"purchase","tags":{{"note":"{note}"}}}}{}"#,
        "\n"
    );
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &server.url];
    let args = [&args[..], &["--batch-size", "500", "--flush-interval", "1h", "--max-time", "5m"]].concat();
    let report = run_with(&args, line.repeat(100).as_bytes()).ended(0).json();
    assert_eq!(report["total"]["delivered"], 100);
}
