//! `posthaste demo`.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::support::{command, get, interrupt, run};

#[test]
fn both_sides_agree_on_every_event() {
    let ran = run(&["demo"]);
    ran.ended(0);
    assert!(ran.stdout.contains("green_button"), "{}", ran.stdout);
    assert!(ran.stdout.contains("dead-lettered + 0 left"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Both sides agree"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("posthaste demo --open\n"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

#[test]
fn its_events_can_be_looked_at_afterwards() {
    let mut child = command(&["demo", "--open", "--json", "--events", "200"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let books: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    let open: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    let ledger: Value =
        serde_json::from_str(&get(&format!("{}ledger", open["page"].as_str().unwrap()))).unwrap();
    assert_eq!(ledger["good"], books["received"]["good"]);
    interrupt(&child);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_books_are_balanced_in_json_too() {
    let books = run(&["demo", "--json"]).ended(0).json();
    assert_eq!(books["agree"], true);
    assert_eq!(books["sent"]["balances"], true);
    assert_eq!(books["sent"]["events"], books["received"]["good"]);
    assert_eq!(books["comparison"]["matched"], books["sent"]["events"]);
    let visitors =
        books["variations"].as_array().unwrap().iter().map(|row| row["visitors"].as_u64().unwrap());
    assert_eq!(visitors.sum::<u64>(), 1_000);
}

#[test]
fn a_seed_decides_the_numbers() {
    let numbers = |seed| run(&["demo", "--json", "--seed", seed]).ended(0).json()["variations"].clone();
    assert_eq!(numbers("7"), numbers("7"));
    assert_ne!(numbers("7"), numbers("8"));
}

#[test]
fn about_as_many_events_as_asked_for_are_sent() {
    let books = run(&["demo", "--json", "--events", "5000"]).ended(0).json();
    let events = books["sent"]["events"].as_u64().unwrap();
    assert!((4_700..5_300).contains(&events), "{events}");
    run(&["demo", "--json", "--events", "1"]).ended(0);
    run(&["demo", "--events", "0"]).ended(2);
}

#[test]
fn a_relay_that_is_killed_in_the_middle_loses_nothing() {
    let books = run(&["demo", "--relay", "--json", "--events", "3000"]).ended(0).json();
    let sent = &books["sent"];
    assert_eq!((&books["agree"], &sent["kills"], &sent["balances"]), (&true.into(), &1.into(), &true.into()));
    assert_eq!((&sent["dead_lettered"], &sent["left"]), (&0.into(), &0.into()), "{books}");
    let comparison = &books["comparison"];
    assert_eq!((&comparison["missing"], &comparison["unknown"]), (&0.into(), &0.into()), "{books}");
    assert_eq!(sent["answered"], books["received"]["good"]);
    assert_eq!(sent["answered"], comparison["matched"]);
    let straight = run(&["demo", "--json", "--events", "3000"]).ended(0).json();
    assert_eq!(books["variations"], straight["variations"], "an experiment's result does not show it");

    let ran = run(&["demo", "--relay"]);
    for part in ["go to a relay at http://127.0.0.1:", "relay     killed once, ", "Both sides agree"] {
        assert!(ran.ended(0).stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran: crate::support::Ran = crate::support::command(&["demo"]).stdout(full).output().unwrap().into();
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 1), "{ran:?}");
    assert!(ran.stderr.contains("failed to write the result"), "{ran:?}");
}
