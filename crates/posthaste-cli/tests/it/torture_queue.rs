//! `posthaste torture --queue`: against real servers; what it counts, what it leaves, and that it finds a real loss.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use posthaste::Queue;
use serde_json::Value;

use crate::{
    nats_servers::Servers,
    streams::{Outsider, accepting, request, small},
    support::{Ran, dead_endpoint, run},
};

fn torture(servers: &Servers, rest: &[&str]) -> Ran {
    run(&[&["torture", "--queue", &servers.address("torture"), "--json"], rest].concat())
}

#[track_caller]
fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"))
}

#[test]
fn nothing_acknowledged_is_lost_to_kills_and_nothing_is_left_behind() {
    let servers = Servers::one();
    let ran = torture(&servers, &["--replicas", "1", "--events", "600", "--kills", "6", "--time", "60s"]);
    let report = ran.ended(0).json();
    let number = |name| number(&report, name);
    assert_eq!(["lost", "invented", "altered", "waiting"].map(number), [0; 4], "{report}");
    assert!(number("stored") > 300 && number("kills") == 6, "{report}");
    // Whatever was acknowledged has arrived or was refused for good; what was not may have.
    assert!(number("arrived") + number("dead") >= number("stored"), "{report}");
    assert!(number("dead") > 0 && report["fresh"] == "flowed", "{report}");
    let outsider = Outsider::at(&servers);
    for stream in ["torture", "torture-dead", "KV_torture-notes"] {
        assert_eq!(outsider.look(stream), None, "{stream}");
    }
}

/// Somebody else kills them: nobody gives up for that, and nothing is left behind.
#[test]
fn servers_may_be_away_for_a_while() {
    let mut servers = Servers::one();
    let address = servers.address("torture");
    let args =
        ["torture", "--queue", &address, "--json", "--replicas", "1", "--events", "1500", "--kills", "6"];
    let ran = thread::scope(|scope| {
        let torture = scope.spawn(|| run(&[&args[..], &["--time", "90s"]].concat()));
        let outsider = Outsider::at(&servers);
        while outsider.look("torture").is_none_or(|(_, taken)| taken < 20) {
            thread::sleep(Duration::from_millis(20));
        }
        for _ in 0..2 {
            servers.kill(0);
            thread::sleep(Duration::from_secs(3));
            servers.restart(0);
            thread::sleep(Duration::from_secs(2));
        }
        torture.join().unwrap()
    });
    let report = ran.ended(0).json();
    assert_eq!(["lost", "invented", "altered"].map(|name| number(&report, name)), [0; 3], "{report}");
    assert_eq!(report["fresh"], "flowed", "{report}");
    assert_eq!(Outsider::at(&servers).look("torture"), None);
}

#[test]
fn a_stream_with_something_in_it_is_left_alone() {
    let servers = Servers::one();
    let stream = small(&servers, "torture");
    accepting(&stream, "shop").add(request(&dead_endpoint(), "precious", 1)).unwrap().wait().unwrap();
    let ran = torture(&servers, &["--replicas", "1", "--events", "10"]);
    assert!(ran.ended(1).stderr.contains("has messages in it"), "{}", ran.stderr);
    assert_eq!(Outsider::at(&servers).look("torture"), Some((1, 1)));
}

#[test]
fn three_replicas_take_three_servers() {
    let servers = Servers::one();
    let ran = torture(&servers, &["--events", "10"]);
    assert!(ran.ended(1).stderr.contains("is to be on 3 servers"), "{}", ran.stderr);
}

/// Somebody empties the stream meanwhile.
#[test]
fn what_is_really_lost_is_found() {
    let servers = Servers::one();
    let is_over = AtomicBool::new(false);
    let (ran, purges) = thread::scope(|scope| {
        let thief = scope.spawn(|| {
            let (outsider, mut purges) = (Outsider::at(&servers), 0);
            while !is_over.load(SeqCst) {
                purges += usize::from(outsider.purge("torture"));
                thread::sleep(Duration::from_millis(1));
            }
            purges
        });
        let args = ["--replicas", "1", "--events", "600", "--kills", "2", "--time", "30s"];
        let ran = torture(&servers, &args);
        is_over.store(true, SeqCst);
        (ran, thief.join().unwrap())
    });
    assert!(purges > 0);
    let report = ran.ended(1).json();
    assert_eq!(report["ok"], false);
    assert!(number(&report, "lost") > 0, "{report}");
    assert!(ran.stdout.contains("was said to be stored, and is nowhere"), "{report}");
    assert_eq!((number(&report, "invented"), number(&report, "altered")), (0, 0), "{report}");
}
