//! `posthaste expect` against a collector that runs.

use std::{thread, time::Duration};

use crate::support::{Collector, datafile, dead_endpoint, impression, post, run, run_with};

const SEEN: &str = r#"{"visitor":"ann","experiment":"checkout_button"}"#;

fn send(collector: &Collector, visitor: &str) {
    let args = ["send", "--datafile", datafile(), "--endpoint", &collector.url];
    run_with(&args, impression(visitor).as_bytes()).ended(0);
}

#[test]
fn it_ends_with_0_where_everything_holds_and_with_1_and_the_misses_where_not() {
    let collector = Collector::start(&["--datafile", datafile()]);
    send(&collector, "ann");
    let url = &*collector.at("");
    let ran = run(&["expect", url, SEEN, r#"[{"visitor":"an*","count":1},{"key":"purchase","count":0}]"#]);
    assert!(ran.ended(0).stdout.starts_with("holds after "), "{ran:?}");
    run(&["expect", &collector.url, "--no-bad"]).ended(0);

    let ran = run(&["expect", url, SEEN, r#"{"visitor":"bob","experiment":"checkout_button"}"#]);
    assert!(ran.ended(1).stdout.contains("\n     visitor: expected \"bob\", came \"ann\"\n"), "{ran:?}");
    assert!(ran.stdout.lines().count() <= 25 && ran.stderr.is_empty(), "{ran:?}");
    let ran = run(&["expect", url, "--json", r#"{"visitor":"bob"}"#]);
    assert_eq!((ran.ended(1).json()["holds"].as_bool(), ran.stdout.lines().count()), (Some(false), 1));

    post(&collector.url, b"[]", None);
    let ran = run(&["expect", url, SEEN, "--no-bad"]);
    assert!(ran.ended(1).stdout.contains(r#"2. expected none of {"no_bad":true}, came 1"#), "{ran:?}");
}

#[test]
fn it_waits_for_what_is_still_to_come() {
    let collector = Collector::start(&["--datafile", datafile()]);
    thread::scope(|scope| {
        let waits = scope.spawn(|| run(&["expect", &collector.url, "--wait", "60s", SEEN]));
        thread::sleep(Duration::from_millis(200));
        send(&collector, "ann");
        waits.join().unwrap().ended(0);
    });
}

#[test]
fn what_cannot_be_asked_ends_with_2_and_a_line_that_says_why() {
    let (collector, none) = (Collector::start(&[]), dead_endpoint());
    for (args, said) in [
        (&[&*none, SEEN][..], "failed to ask the collector at http://127.0.0.1:"),
        (
            &[&*collector.url, r#"{"ky":"x"}"#],
            r#"PATTERN 1: pattern: unknown field "ky"; did you mean "key"?"#,
        ),
        (&[&*collector.url, SEEN, "{"], "PATTERN 2: expectation: not JSON"),
        (&[&*collector.url], "give a pattern, such as"),
        (&[&*collector.url, "--session", "a b", SEEN], "session: a b cannot be used"),
    ] {
        let ran = run(&[&["expect"], args].concat());
        assert_eq!((ran.ended(2).stdout.len(), ran.stderr.lines().count()), (0, 1), "{ran:?}");
        assert!(ran.stderr.starts_with("posthaste: ") && ran.stderr.contains(said), "{}", ran.stderr);
    }
}
