//! `posthaste send --spool`: killed at any moment and started again, it makes no event twice and loses none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Child,
    time::Duration,
};

use posthaste::{Clock, SystemClock};
use serde_json::Value;

use crate::support::{
    Collector, Files, LONG, Ran, Server, command, datafile, dead_endpoint, impression, run, run_with, vector,
};

/// Another project's datafile.
fn other_datafile(files: &Files) -> String {
    let text = fs::read_to_string(datafile()).unwrap();
    files.write("other.json", text.replace(r#""10000002""#, r#""99999999""#))
}

fn larkspur() -> String {
    fs::read_to_string(vector("larkspur.events.jsonl")).unwrap()
}

/// The same lines without uuids and times.
fn bare(text: &str) -> String {
    let bare = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().retain(|key, _| key != "uuid" && key != "timestamp");
        line.to_string() + "\n"
    };
    text.lines().map(bare).collect()
}

fn send(spool: &str, endpoint: &str, rest: &[&str]) -> Ran {
    run(&[&arguments(spool, endpoint)[..], rest].concat())
}

fn arguments<'a>(spool: &'a str, endpoint: &'a str) -> [&'a str; 8] {
    ["send", "--json", "--spool", spool, "--datafile", datafile(), "--endpoint", endpoint]
}

/// When a run is killed.
enum Moment {
    /// Once the collector has had so many requests more.
    Requests(u64),
    After(Duration),
}

/// Waits for the moment, and says whether the run had ended before.
fn kill_at(moment: &Moment, collector: &Collector, mut child: Child) -> Option<Ran> {
    let requests = || collector.get("/ledger")["requests"].as_u64().unwrap();
    let (before, started) = (requests(), SystemClock.elapsed());
    let is_due = || match moment {
        Moment::Requests(more) => requests() >= before + more,
        Moment::After(time) => SystemClock.elapsed() >= started + *time,
    };
    while !is_due() && child.try_wait().unwrap().is_none() {
        assert!(SystemClock.elapsed() < started + LONG);
        std::thread::yield_now();
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.code().map(|_| output.into())
}

/// How many runs were killed, and how many of those had more to read.
#[derive(Debug, Default)]
struct Killed {
    runs: usize,
    readers: usize,
}

/// Kills runs at random moments, then lets one end.
fn drill(seed: u64, events: &str, collector: &Collector) -> Killed {
    let mut random = fastrand::Rng::with_seed(seed);
    let (files, mut killed) = (Files::new(), Killed::default());
    let (spool, input) = (files.path("spool"), files.write("events.jsonl", events));
    // A small spool is written in many small commits, and fills up.
    let slow = ["--spool-size", "1MiB", "--batch-size", "5", "--in-flight", "1", &input];
    let args = [&arguments(&spool, &collector.url)[..], &slow].concat();
    for round in 0..20 {
        let moment = match round % 2 {
            0 => Moment::Requests(random.u64(1..20)),
            _ => Moment::After(Duration::from_micros(random.u64(1_000..60_000))),
        };
        match kill_at(&moment, collector, command(&args).spawn().unwrap()) {
            None => {
                killed.runs += 1;
                let status = run(&["spool", "status", "--json", &spool]);
                let is_read = status.code == Some(0) && status.json()["position"]["done"] == true;
                killed.readers += usize::from(!is_read);
            }
            Some(ran) => drop(ran.ended(0).json()),
        }
    }
    let report = run(&args).ended(0).json();
    assert_eq!(report["total"]["left"], 0);
    killed
}

/// How often which visitor did what.
fn deeds(collector: &Collector) -> BTreeMap<String, usize> {
    let mut deeds = BTreeMap::new();
    for event in collector.good() {
        let deed =
            ["visitor_id", "entity_id", "variation_id", "attributes", "tags"].map(|f| event[f].to_string());
        *deeds.entry(deed.join(" ")).or_default() += 1;
    }
    deeds
}

fn assert_each_arrived_once(collector: &Collector, events: &str, seed: u64) {
    let ledger = collector.get("/ledger");
    assert_eq!((&ledger["unique"], &ledger["bad"]), (&1_699.into(), &0.into()), "seed {seed}: {ledger}");
    let uuids: BTreeSet<String> = collector.good().iter().map(|event| event["uuid"].to_string()).collect();
    assert_eq!(uuids.len(), 1_699, "seed {seed}");
    let direct = Collector::start(&["--datafile", datafile()]);
    run_with(&["send", "--datafile", datafile(), "--endpoint", &direct.url], events.as_bytes()).ended(0);
    assert_eq!(deeds(collector), deeds(&direct), "seed {seed}");
}

#[test]
fn killed_at_random_moments_no_event_is_lost_or_made_twice() {
    for (events, seed) in [(larkspur(), fastrand::u64(..)), (bare(&larkspur()), fastrand::u64(..))] {
        let collector = Collector::start(&["--datafile", datafile()]);
        let killed = drill(seed, &events, &collector);
        assert!(
            killed.runs >= 5 && killed.readers >= 2,
            "seed {seed}: too few were killed in time: {killed:?}"
        );
        assert_each_arrived_once(&collector, &events, seed);
    }
}

#[test]
fn standard_input_cannot_be_resumed() {
    let files = Files::new();
    let spool = files.path("spool");
    for file in [&[][..], &["-"], &["/dev/null"]] {
        let ran = send(&spool, "http://127.0.0.1:9/", file);
        assert!(ran.ended(2).stderr.contains("cannot be taken up"), "{}", ran.stderr);
    }
    let ran = send(&spool, "http://127.0.0.1:9/", &["--leftover", "x", "y"]);
    ran.ended(2);
    assert!(!fs::exists(&spool).unwrap(), "nothing was made");
}

/// A spool that holds an input, of which nothing could be delivered.
fn stuck(files: &Files, input: &str) -> String {
    let spool = files.path("spool");
    let ran = send(&spool, &dead_endpoint(), &["--max-time", "300ms", input]);
    let report = ran.ended(1).json();
    let left = report["total"]["left"].as_u64().unwrap();
    assert!(left > 0 && ran.stderr.contains("stay in"), "{ran:?}");
    assert!(!ran.stderr.contains("dropped with events"), "{}", ran.stderr);
    spool
}

#[test]
fn a_spool_of_another_input_or_project_is_refused_until_it_is_drained() {
    let files = Files::new();
    let input = files.write("events.jsonl", impression("ann") + &impression("bob"));
    let other = files.write("other.jsonl", impression("cid"));
    let spool = stuck(&files, &input);
    let collector = Collector::start(&["--datafile", datafile()]);

    let ran = send(&spool, &collector.url, &[&other]);
    assert!(ran.ended(1).stderr.contains("posthaste spool drain"), "{}", ran.stderr);
    assert!(ran.stderr.contains("events.jsonl") && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    let changed = files.write("events.jsonl", impression("eve") + &impression("bob"));
    let ran = send(&spool, &collector.url, &[&changed]);
    assert!(ran.ended(1).stderr.contains("does not begin with what was read"), "{}", ran.stderr);
    let input = files.write("renamed.jsonl", impression("ann") + &impression("bob"));
    let args =
        ["send", "--spool", &spool, "--datafile", &other_datafile(&files), "--endpoint", &collector.url];
    let ran = run(&[&args[..], &[&input]].concat());
    assert!(ran.ended(1).stderr.contains("another project"), "{}", ran.stderr);
    assert_eq!(collector.get("/ledger")["events"], 0, "nothing was sent");

    let drained = run(&["spool", "drain", &spool, "--json", "--endpoint", &collector.url]);
    let total = &drained.ended(0).json()["total"];
    assert_eq!((&total["recovered"], &total["delivered"]), (&2.into(), &2.into()));
    let report = send(&spool, &collector.url, &[&other]).ended(0).json();
    assert_eq!((&report["lines"], &report["total"]["delivered"]), (&1.into(), &1.into()));
    assert_eq!(collector.stop()["good"], 3);
}

#[test]
fn what_was_left_is_sent_to_the_new_address_from_a_renamed_file() {
    let files = Files::new();
    let input = files.write("events.jsonl", bare(&(impression("ann") + &impression("bob"))));
    let spool = stuck(&files, &input);
    fs::rename(&input, files.path("renamed.jsonl")).unwrap();
    let collector = Collector::start(&["--datafile", datafile()]);
    let ran = send(&spool, &collector.url, &[&files.path("renamed.jsonl")]);
    let report = ran.ended(0).json();
    assert_eq!((&report["lines"], &report["total"]["recovered"]), (&0.into(), &2.into()));
    assert!(ran.stderr.contains("2 records are to be delivered first"), "{}", ran.stderr);
    assert_eq!(collector.stop()["good"], 2);
}

#[test]
fn a_finished_input_sends_nothing_again_and_what_was_added_to_it() {
    let files = Files::new();
    let spool = files.path("spool");
    let collector = Collector::start(&["--datafile", datafile()]);
    // The last line has no end yet.
    let text = impression("ann") + "bad\n\n" + impression("bob").trim_end();
    let input = files.write("events.jsonl", &text);
    let report = send(&spool, &collector.url, &[&input]).ended(1).json();
    assert_eq!(
        (&report["lines"], &report["rejected"], &report["event_lines"]),
        (&4.into(), &1.into(), &2.into())
    );

    let ran = send(&spool, &collector.url, &[&input]);
    let report = ran.ended(0).json();
    assert_eq!((&report["lines"], &report["total"]["accepted"]), (&0.into(), &0.into()));
    assert!(ran.stderr.contains("was read to its end, line 4, before"), "{}", ran.stderr);

    files.write("events.jsonl", text.clone() + "\n" + &impression("cid") + "bad\n");
    let ran = send(&spool, &collector.url, &[&input]);
    let report = ran.ended(1).json();
    assert_eq!((&report["event_lines"], &report["total"]["delivered"]), (&1.into(), &1.into()));
    assert!(ran.stderr.contains("events.jsonl:6: not JSON"), "{}", ran.stderr);

    let ledger = collector.get("/ledger");
    assert_eq!((&ledger["events"], &ledger["good"]), (&3.into(), &3.into()), "each once: {ledger}");

    // The spool is done with the old content, and takes another.
    files.write("events.jsonl", impression("dan"));
    let report = send(&spool, &collector.url, &[&input]).ended(0).json();
    assert_eq!((&report["lines"], &report["total"]["delivered"]), (&1.into(), &1.into()));
    assert_eq!(collector.stop()["good"], 4);
}

#[test]
fn an_event_without_a_datafile_is_taken_up_once_there_is_one() {
    let files = Files::new();
    let spool = files.path("spool");
    let server = Server::start(true, |_| 204);
    let body = &crate::support::recorded_bodies("python-sdk-5.7.0.requests.jsonl")[0];
    let input = files.write("lines.jsonl", format!("{body}\n{}", impression("ann")));
    let ran = run(&["send", "--spool", &spool, "--endpoint", &server.url, &input]);
    assert!(ran.ended(1).stderr.contains("lines.jsonl:2: this is an event"), "{}", ran.stderr);
    assert_eq!(server.bodies(), [body.as_bytes()]);
    let report = send(&spool, &server.url, &[&input]).ended(0).json();
    assert_eq!((&report["event_lines"], &report["batch_lines"]), (&1.into(), &0.into()));
    assert_eq!(server.hits(), 2);
}

#[test]
fn a_full_spool_makes_the_reader_wait() {
    let files = Files::new();
    let (spool, input) = (files.path("spool"), larkspur().repeat(3));
    let input = files.write("events.jsonl", bare(&input));
    let collector = Collector::start(&["--datafile", datafile()]);
    let report = send(&spool, &collector.url, &["--spool-size", "1MiB", "--batch-size", "50", &input]);
    assert_eq!(report.ended(0).json()["total"]["delivered"], 3 * 1_699);
    assert_eq!(collector.stop()["unique"], 3 * 1_699);

    // With a dead address, it is full for good.
    let spool = files.path("full");
    let bounds = ["--spool-size", "1MiB", "--max-time", "1s", &input];
    let report = send(&spool, &dead_endpoint(), &bounds).ended(1).json();
    let (read, left) = (&report["lines"], &report["total"]["left"]);
    assert!(read == left && read.as_u64() > Some(100) && read.as_u64() < Some(3 * 1_699), "{report}");
    assert_eq!(report["stopped"]["reason"], "max_time");
    let collector = Collector::start(&["--datafile", datafile()]);
    send(&spool, &collector.url, &["--spool-size", "1MiB", "--batch-size", "50", &input]).ended(0);
    assert_eq!(collector.stop()["unique"], 3 * 1_699);
}

#[test]
fn a_disk_without_room_is_waited_for_and_told_and_the_run_can_be_repeated() {
    let files = Files::new();
    let (spool, input) = (files.path("spool"), files.write("events.jsonl", bare(&larkspur())));
    let collector = Collector::start(&["--datafile", datafile()]);
    let args = [&arguments(&spool, &collector.url)[..], &["--spool-size", "1MiB", &input]].concat();
    // No file may have more than 60 blocks, which are 60 KiB at most: not enough for a segment with a chunk of lines.
    let limited = "ulimit -f 60; exec \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", limited, "sh", env!("CARGO_BIN_EXE_posthaste")])
        .args(&args)
        .args(["--max-time", "4s"])
        .output()
        .unwrap();
    let ran = Ran::from(output);
    let report = ran.ended(1).json();
    assert_eq!((&report["stopped"]["reason"], &report["lines"]), (&"max_time".into(), &0.into()));
    assert!(ran.stderr.contains("reading waits for room in the spool (no room"), "{}", ran.stderr);
    assert_eq!(run(&args).ended(0).json()["total"]["delivered"], 1_699);
    assert_eq!(collector.stop()["unique"], 1_699);
}
