//! `posthaste spool`: what it shows is so, beside an owner too; what it does loses nothing.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Child,
    time::Duration,
};

use posthaste::{ProjectConfig, Queue, SpoolQueue, UserContext, UserEvent, create_impression_user_event};
use posthaste_spool::SpoolOptions;
use serde_json::Value;

use crate::support::{
    Collector, Files, Ran, Server, command, datafile, dead_endpoint, interrupt, run, run_with, vector,
};

/// A spool with all of larkspur, of which nothing was delivered.
fn stuck(files: &Files) -> String {
    let spool = files.path("spool");
    let endpoint = dead_endpoint();
    let child = command(&[&send_args(&spool, &endpoint)[..], &["--drain", "0s"]].concat()).spawn().unwrap();
    wait_until_all_is_read(&spool);
    interrupt(&child);
    let ran: Ran = child.wait_with_output().unwrap().into();
    ran.ended(1);
    spool
}

/// Until a spool is made, there is nothing to look at.
fn wait_until_all_is_read(spool: &str) {
    while !run(&["spool", "status", "--json", spool]).stdout.contains(r#""records":1699"#) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send_to(spool: &str, endpoint: &str, more: &[&str]) -> Ran {
    run(&[&send_args(spool, endpoint)[..], more].concat())
}

fn send_args<'a>(spool: &'a str, endpoint: &'a str) -> Vec<&'a str> {
    let input = concat!(env!("CARGO_MANIFEST_DIR"), "/../posthaste/tests/vectors/larkspur.events.jsonl");
    vec!["send", "--json", "--spool", spool, "--datafile", datafile(), "--endpoint", endpoint, input]
}

fn status(spool: &str) -> Value {
    run(&["spool", "status", "--json", spool]).ended(0).json()
}

/// A process that owns the spool and delivers nothing, once it does.
fn owner(spool: &str, endpoint: &str) -> Child {
    let child = command(&send_args(spool, endpoint)).spawn().unwrap();
    while status(spool)["owner"] != child.id() {
        std::thread::yield_now();
    }
    child
}

fn stop(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_stays_is_counted_and_told_in_words() {
    let files = Files::new();
    let spool = stuck(&files);
    let status = status(&spool);
    for (field, value) in
        [("records", 1_699), ("events", 1_699), ("dead_letters", 0), ("next_sequence", 1_700)]
    {
        assert_eq!(status[field], value, "{field}: {status}");
    }
    assert_eq!(status["owner"], Value::Null);
    assert_eq!(status["position"]["lines"], 1_699);
    let words = run(&["spool", "status", &spool]);
    let words = &words.ended(0).stdout;
    assert!(words.contains("1,699 records with 1,699 events") && words.contains("line 1,699"), "{words}");
    assert!(words.contains("owner      none"), "{words}");
}

#[test]
fn cat_writes_lines_that_send_takes() {
    let files = Files::new();
    let spool = stuck(&files);
    let direct = Collector::start(&["--datafile", datafile()]);
    let events = vector("larkspur.events.jsonl");
    run(&["send", "--datafile", datafile(), "--endpoint", &direct.url, events.to_str().unwrap()]).ended(0);
    for keys in [&[][..], &["--datafile", datafile()]] {
        let lines = run(&[&["spool", "cat", &spool], keys].concat());
        assert_eq!(lines.ended(0).stdout.lines().count(), 1_699);
        let collector = Collector::start(&["--datafile", datafile()]);
        let args = [&["send", "--endpoint", &collector.url], keys].concat();
        run_with(&args, lines.stdout.as_bytes()).ended(0);
        assert_eq!(collector.arrived(), direct.arrived());
    }
    assert_eq!(status(&spool)["records"], 1_699, "nothing was changed");
}

#[test]
fn looking_works_beside_an_owner_and_the_rest_names_it() {
    let files = Files::new();
    let (spool, endpoint) = (stuck(&files), dead_endpoint());
    let child = owner(&spool, &endpoint);
    assert_eq!(run(&["spool", "cat", &spool]).ended(0).stdout.lines().count(), 1_699);
    run(&["spool", "verify", &spool]).ended(0);
    assert_eq!(run(&["spool", "dead", &spool]).ended(0).stdout, "");
    let owner = format!("is in use by process {}", child.id());
    for args in [
        &["repair", &spool][..],
        &["replay", &spool],
        &["dead", &spool, "--purge", "--yes"],
        &["drain", &spool, "--endpoint", &endpoint],
    ] {
        let ran = run(&[&["spool"], args].concat());
        assert!(ran.ended(1).stderr.contains(&owner), "{args:?}: {}", ran.stderr);
    }
    let ran = send_to(&spool, &endpoint, &[]);
    assert!(ran.ended(1).stderr.contains(&owner), "{}", ran.stderr);
    stop(child);
    assert_eq!(status(&spool)["owner"], Value::Null);
}

#[test]
fn ctrl_c_leaves_what_is_not_delivered_in_the_spool() {
    let files = Files::new();
    let (spool, endpoint) = (files.path("spool"), dead_endpoint());
    let child =
        command(&[&send_args(&spool, &endpoint)[..], &["--drain", "100ms"]].concat()).spawn().unwrap();
    wait_until_all_is_read(&spool);
    interrupt(&child);
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.ended(1).json()["total"]["left"], 1_699);
    assert!(ran.stderr.contains("1,699 events stay in"), "{}", ran.stderr);
    assert_eq!(status(&spool)["records"], 1_699);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let files = Files::new();
    let spool = stuck(&files);
    let mut child: Child = command(&["spool", "cat", &spool]).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(output.ended(0).stderr, "");
}

/// Flips a byte within the record at this share of the spool's first segment that holds any.
fn damage(spool: &str, share: f64) {
    let mut segments: Vec<_> = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("seg-"));
    segments.sort();
    let mut bytes = fs::read(&segments[0]).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place"
    )]
    let at = (used as f64 * share) as usize;
    bytes[at] ^= 0x55;
    fs::write(&segments[0], bytes).unwrap();
}

#[test]
fn damage_costs_only_what_it_hit() {
    let files = Files::new();
    let spool = stuck(&files);
    run(&["spool", "verify", &spool]).ended(0);
    damage(&spool, 0.3);
    damage(&spool, 0.6);

    let findings = run(&["spool", "verify", "--json", &spool]).ended(1).json();
    let problems = findings["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{findings}");
    assert!(problems[0]["file"].as_str().unwrap().starts_with("seg-"), "{findings}");
    assert!(problems[0]["offset"].as_u64() > Some(8_192) && problems[0]["sequence"].is_u64(), "{findings}");
    let words = run(&["spool", "verify", &spool]);
    assert!(words.ended(1).stdout.contains("posthaste spool repair"), "{}", words.stdout);

    let cat = run(&["spool", "cat", &spool]);
    let sound = cat.ended(1).stdout.lines().count();
    assert!((1_697..1_699).contains(&sound), "{sound}");
    let lost = 1_699 - sound;
    assert!(cat.stderr.contains(&format!(": {lost} lost")), "{}", cat.stderr);

    let repaired = run(&["spool", "repair", "--json", &spool]).ended(0).json();
    assert_eq!((&repaired["damaged_places"], &repaired["lost"]), (&2.into(), &lost.into()));
    let words = run(&["spool", "verify", &spool]);
    assert!(words.ended(0).stdout.contains(&format!("sound: {lost} lost, counted")), "{}", words.stdout);

    let collector = Collector::start(&["--datafile", datafile()]);
    let ran = send_to(&spool, &collector.url, &[]);
    let total = &ran.json()["total"];
    assert_eq!((&total["delivered"], &total["left"]), (&sound.into(), &0.into()), "{ran:?}");
    assert_eq!(collector.stop()["good"], sound);
}

#[test]
fn damage_that_nobody_repaired_is_delivered_around() {
    let files = Files::new();
    let spool = stuck(&files);
    damage(&spool, 0.5);
    let collector = Collector::start(&["--datafile", datafile()]);
    let ran = run(&["spool", "drain", "--json", &spool, "--endpoint", &collector.url]);
    let total = &ran.ended(1).json()["total"];
    let (delivered, dead) = (total["delivered"].as_u64().unwrap(), total["dead_lettered"].as_u64().unwrap());
    assert_eq!((delivered + dead, &total["left"]), (1_699, &0.into()), "{ran:?}");
    assert!(dead >= 1, "{total}");
    assert_eq!(collector.stop()["good"], delivered);
}

#[test]
fn refused_events_are_listed_and_replayed_once_the_cause_is_gone() {
    let files = Files::new();
    let (spool, dead) = (files.path("spool"), files.path("dead.jsonl"));
    let strict =
        Server::start(
            false,
            |body| {
                if String::from_utf8_lossy(body).contains("shopper-00000") { 400 } else { 204 }
            },
        );
    let ran = send_to(&spool, &strict.url, &["--dead-letters", &dead]);
    let told =
        "dead letter: event \"c280ad37-29a6-42e7-b126-0ebc7d56ab56\" was rejected, status 400: refused";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let total = ran.ended(1).json()["total"].clone();
    assert_eq!((&total["dead_lettered"], &total["delivered"]), (&2.into(), &1_697.into()));
    assert_eq!(status(&spool)["dead_letters"], 2);

    let listed = run(&["spool", "dead", &spool]);
    assert_eq!(listed.ended(0).stdout.as_bytes(), files.read("dead.jsonl"), "the same as in the file");
    let first: Value = serde_json::from_str(listed.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["reason"], &first["status"]), (&"rejected".into(), &400.into()));

    let again = send_to(&spool, &strict.url, &[]).ended(0).json();
    assert_eq!(again["total"]["dead_lettered"], 0, "earlier dead letters are no part of this run");
    let replayed = run(&["spool", "replay", "--json", &spool]).ended(0).json();
    assert_eq!(replayed["replayed"], 2);
    let collector = Collector::start(&["--datafile", datafile()]);
    let report = send_to(&spool, &collector.url, &[]).ended(0).json();
    assert_eq!((&report["total"]["recovered"], &report["total"]["delivered"]), (&2.into(), &2.into()));
    assert_eq!(collector.stop()["good"], 2);
    assert_eq!(status(&spool)["dead_letters"], 0);
}

#[test]
fn purging_dead_letters_asks_for_a_yes() {
    let files = Files::new();
    let spool = files.path("spool");
    let refusing = Server::start(false, |_| 400);
    let input = files.write("one.jsonl", crate::support::impression("ann"));
    let args = ["send", "--spool", &spool, "--datafile", datafile(), "--endpoint", &refusing.url, &input];
    run(&args).ended(1);
    run(&["spool", "dead", &spool, "--purge"]).ended(2);
    assert_eq!(status(&spool)["dead_letters"], 1);
    let purged = run(&["spool", "dead", &spool, "--purge", "--yes", "--json"]).ended(0).json();
    assert_eq!(purged["purged"], 1);
    assert_eq!(status(&spool)["dead_letters"], 0);
}

#[test]
fn events_of_a_program_are_written_out_too() {
    let files = Files::new();
    let spool = files.path("spool");
    let config = ProjectConfig::from_datafile(fs::read(datafile()).unwrap()).unwrap();
    let queue = SpoolQueue::<UserEvent>::open(&spool, SpoolOptions::default()).unwrap();
    let experiment = config.experiment_by_key("checkout_button").unwrap();
    for user in ["ann", "bob"] {
        let user = UserContext::new(user);
        let event =
            create_impression_user_event(&config, experiment, experiment.variation_by_key("control"), &user);
        queue.add(event).unwrap().wait().unwrap();
    }
    drop(queue);
    assert_eq!(status(&spool)["events"], 2);
    let ran = run(&["spool", "drain", &spool, "--endpoint", &dead_endpoint()]);
    assert!(ran.ended(1).stderr.contains("posthaste spool cat"), "{}", ran.stderr);
    let input = files.write("one.jsonl", crate::support::impression("cid"));
    let ran = run(&["send", "--spool", &spool, "--datafile", datafile(), &input]);
    assert!(ran.ended(1).stderr.contains("2 records of another program"), "{}", ran.stderr);

    let collector = Collector::start(&["--datafile", datafile()]);
    let lines = run(&["spool", "cat", &spool]);
    run_with(&["send", "--endpoint", &collector.url], lines.ended(0).stdout.as_bytes()).ended(0);
    assert_eq!(collector.stop()["good"], 2);
}

#[test]
fn draining_ends_in_time_and_keeps_what_is_left() {
    let files = Files::new();
    let spool = stuck(&files);
    let endpoint = dead_endpoint();
    let ran = run(&["spool", "drain", "--json", &spool, "--endpoint", &endpoint, "--max-time", "200ms"]);
    assert_eq!(ran.ended(1).json()["total"]["left"], 1_699);
    assert!(ran.stderr.contains("1,699 events stay in"), "{}", ran.stderr);
    assert_eq!(status(&spool)["records"], 1_699);
}

#[test]
fn a_folder_that_is_no_spool_is_told_and_left_alone() {
    let files = Files::new();
    let folder = files.path("");
    for name in ["status", "cat", "verify", "repair", "dead", "replay", "drain"] {
        let ran = run(&["spool", name, &folder]);
        assert!(ran.ended(1).stderr.contains("is no spool: it is empty"), "{}", ran.stderr);
        let help = run(&["spool", name, "--help"]);
        assert!(help.ended(0).stdout.contains("Examples:"), "{name}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}
