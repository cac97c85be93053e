//! `posthaste doctor`: what holds is said to hold, and what does not is named, with what to do.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use posthaste::queue::jetstream::JetStream;
use serde_json::Value;

use crate::{
    nats_servers::{Config as Cluster, Servers},
    streams::{Outsider, accepting, fill, options, small},
    support::{Ran, dead_endpoint, run},
};

fn doctor(servers: &Servers, stream: &str, rest: &[&str]) -> Ran {
    run(&[&["doctor", &servers.address(stream)], rest].concat())
}

fn monitors(servers: &Servers) -> Vec<String> {
    servers.monitors().into_iter().flat_map(|url| ["--monitor".to_owned(), url]).collect()
}

/// Each fault with whether the promise holds.
fn held(report: &Value) -> Vec<(String, String)> {
    let promises = report["stream"]["promises"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    promises.iter().map(|promise| (text(&promise["fault"]), text(&promise["holds"]))).collect()
}

fn expected(holds: [&str; 5]) -> Vec<(String, String)> {
    let faults = ["process_killed", "server_killed", "all_servers_killed", "server_lost", "all_lose_power"];
    faults.into_iter().zip(holds).map(|(fault, holds)| (fault.to_owned(), holds.to_owned())).collect()
}

#[test]
fn a_cluster_that_syncs_always_keeps_every_promise_and_one_that_does_not_says_what_to_do() {
    for syncs_always in [true, false] {
        let servers = Servers::start(&Cluster { count: 3, syncs_always, ..Cluster::default() });
        drop(JetStream::open(options(&servers, "events").replicas(3)).unwrap());
        let monitors = monitors(&servers);
        let monitors: Vec<&str> = monitors.iter().map(String::as_str).collect();
        // Nobody has asked the servers: the others hold.
        let report = doctor(&servers, "events", &["--json"]).ended(0).json();
        assert_eq!(held(&report), expected(["yes", "yes", "yes", "yes", "unknown"]));
        // Asked for, and unknown, is not enough.
        let ran = doctor(&servers, "events", &["--fault", "all-lose-power"]);
        assert!(ran.ended(1).stdout.contains("--monitor http://HOST:8222"), "{}", ran.stdout);
        let ran = doctor(&servers, "events", &[&["--json"], &monitors[..]].concat());
        let report = ran.json();
        assert_eq!(report["found"]["events"]["followers"].as_array().unwrap().len(), 2);
        if syncs_always {
            assert_eq!(held(&ran.ended(0).json()), expected(["yes"; 5]));
            let ran = doctor(&servers, "events", &monitors);
            assert!(ran.ended(0).stdout.ends_with("Everything that is asked for holds.\n"), "{}", ran.stdout);
            assert!(ran.stdout.contains("syncs always") && !ran.stdout.contains("to do:"), "{}", ran.stdout);
        } else {
            assert_eq!(held(&ran.ended(1).json()), expected(["yes", "yes", "yes", "yes", "no"]));
            assert!(report["advice"][0].as_str().unwrap().contains("sync_interval: always"), "{report}");
            // What nobody asks for does not count.
            let faults = ["--fault", "process-killed,server-killed"];
            doctor(&servers, "events", &[&faults[..], &monitors].concat()).ended(0);
        }
    }
}

#[test]
fn each_wrong_setting_is_named_with_what_to_do() {
    let servers = Servers::one();
    let outsider = Outsider::at(&servers);
    let good = |name: &str| Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.*")],
        storage: StorageType::File,
        num_replicas: 1,
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        duplicate_window: Duration::from_secs(120),
        ..Config::default()
    };
    let second = Duration::from_secs(1);
    for (name, setting, config, to_do) in [
        ("well", None, good("well"), None),
        (
            "memory",
            Some("storage"),
            Config { storage: StorageType::Memory, ..good("memory") },
            Some("delete the stream memory"),
        ),
        (
            "limits",
            Some("retention"),
            Config { retention: RetentionPolicy::Limits, ..good("limits") },
            Some("delete the stream limits"),
        ),
        (
            "old",
            Some("discard"),
            Config { discard: DiscardPolicy::Old, max_bytes: 1 << 20, ..good("old") },
            Some("nats stream edit old --discard new"),
        ),
        (
            "aged",
            Some("max_age"),
            Config { max_age: second * 3_600, ..good("aged") },
            Some("nats stream edit aged --max-age 0"),
        ),
        (
            "few",
            Some("max_msgs_per_subject"),
            Config { max_messages_per_subject: 5, ..good("few") },
            Some("--max-msgs-per-subject=-1"),
        ),
        (
            "short",
            Some("duplicate_window"),
            Config { duplicate_window: second, ..good("short") },
            Some("nats stream edit short --dupe-window 2m"),
        ),
        (
            "other",
            Some("subjects"),
            Config { subjects: vec!["elsewhere.*".to_owned()], ..good("other") },
            Some("nats stream edit other --subjects 'other.*'"),
        ),
    ] {
        outsider.make(config);
        // One server, whose disk may be lost.
        let faults = "process-killed,server-killed,all-servers-killed";
        let ran = doctor(&servers, name, &["--json", "--fault", faults]);
        let report = ran.ended(i32::from(setting.is_some())).json();
        let findings = report["stream"]["findings"].as_array().unwrap().iter();
        let named: Vec<&str> = findings.map(|finding| finding["setting"].as_str().unwrap()).collect();
        let wanted: Vec<&str> = setting.into_iter().collect();
        let others: Vec<&str> = named.into_iter().filter(|named| *named != "num_replicas").collect();
        assert_eq!(others, wanted, "{name}");
        let advice = report["advice"].to_string();
        assert!(to_do.is_none_or(|to_do| advice.contains(to_do)), "{name}: {advice}");
        assert_eq!(to_do.is_none(), report["advice"].as_array().unwrap().is_empty(), "{name}: {advice}");
    }
    // One replica is named where a disk is to be lost.
    let ran = doctor(&servers, "well", &[]);
    assert!(ran.ended(1).stdout.contains("num_replicas is 1, should be 3"), "{}", ran.stdout);
    assert!(ran.stdout.contains("to do: with three servers"), "{}", ran.stdout);
}

#[test]
fn events_that_nobody_delivers_are_named_with_how_long_they_have_waited() {
    let servers = Servers::one();
    let stream = small(&servers, "events");
    fill(&accepting(&stream, "a shop"), &dead_endpoint(), 3);
    let ran = doctor(&servers, "events", &[]);
    for part in [
        "a shop: 3 messages, nobody has ever delivered any",
        "oldest ",
        "3 messages wait, and nobody delivers",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let report = doctor(&servers, "events", &["--json"]).json();
    assert!(report["oldest_age_ms"].as_u64().unwrap() < 60_000, "{report}");
    assert_eq!(
        (report["found"]["events"]["messages"].as_u64(), report["found"]["events"]["taken"].as_u64()),
        (Some(3), Some(3))
    );
}

#[test]
fn what_is_not_there_and_what_is_no_address_are_said_without_secrets() {
    let servers = Servers::one();
    let ran = doctor(&servers, "nothing", &[]);
    assert!(ran.ended(1).stderr.contains("there is no stream nothing"), "{}", ran.stderr);
    for address in ["http://user:s3cret@127.0.0.1/events", "nats://user:s3cret@127.0.0.1", "s3cret"] {
        for command in ["doctor", "ledger"] {
            let ran = run(&[command, address]);
            assert_eq!(ran.ended(2).stderr.lines().count(), 1, "{}", ran.stderr);
            assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
        }
    }
    run(&["doctor", &servers.address("nothing"), "--monitor", "127.0.0.1"]).ended(2);
    run(&["doctor", "nats://[::1/x"]).ended(2);
    for command in [&["torture"][..], &["send", "--deliver"]] {
        let queue = servers.address("nothing");
        let ran = run(&[command, &["--queue", &queue, "--replicas", "2"]].concat());
        assert!(ran.ended(2).stderr.contains("replicas cannot be 2"), "{}", ran.stderr);
    }
}

#[test]
fn strangers_count_for_nothing_and_are_named() {
    let servers = Servers::start(&Cluster { count: 1, syncs_always: false, ..Cluster::default() });
    let others = Servers::start(&Cluster { count: 1, syncs_always: true, ..Cluster::default() });
    drop(small(&servers, "events"));
    let fault = ["--json", "--fault", "all-lose-power"];
    // Another server of the same name, which syncs always.
    let ran = doctor(&servers, "events", &[&fault[..], &["--monitor", &others.monitors()[0]]].concat());
    let report = ran.ended(1).json();
    assert_eq!(held(&report)[4].1, "unknown", "{report}");
    let findings = report["stream"]["findings"].to_string();
    assert!(findings.contains("\"monitor\"") && findings.contains(&others.monitors()[0]), "{findings}");
    // Letters in memory are lost with the servers.
    let outsider = Outsider::at(&servers);
    outsider.make(Config {
        name: "held".to_owned(),
        subjects: vec!["held.*".to_owned()],
        num_replicas: 1,
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        ..Config::default()
    });
    outsider.make(Config {
        name: "held-dead".to_owned(),
        subjects: vec!["held-dead.*".to_owned()],
        num_replicas: 1,
        storage: StorageType::Memory,
        discard: DiscardPolicy::New,
        ..Config::default()
    });
    let report = doctor(&servers, "held", &["--json", "--fault", "all-servers-killed"]).ended(1).json();
    assert_eq!(held(&report)[2].1, "no", "{report}");
    assert!(report["stream"]["promises"][2]["why"].to_string().contains("because of the dead letters"));
}
