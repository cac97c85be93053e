//! The official JavaScript and Python SDKs through a relay, to a sink that is no collector of ours: what the relay has
//! answered 204 arrives, as the SDK made it, whatever happens to the upstream and to the relay. And what other SDKs were
//! seen to send.
//!
//! `POSTHASTE_OUTAGE=60` makes each trouble of the upstream last a minute instead of two seconds, and
//! `POSTHASTE_KILLS=100` kills the relay so often.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use serde_json::value::RawValue;

use crate::{
    relays::{Ledger, Mood, Relay, Said, Sdk, Sink, asked, post, until, visitors},
    support::{Files, command, vector},
};

/// Whose events the upstream refuses.
const REFUSED: &str = "\"javascript-7\"";

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}

#[test]
fn every_event_arrives_once_and_as_the_sdk_made_it() {
    for sdk in [Sdk::JavaScript, Sdk::Python, Sdk::PythonInBatches] {
        let (straight, sink, files) = (Sink::start(), Sink::start(), Files::new());
        let relay = Relay::start(&["--upstream", &sink.url, "--data", &files.path("data")]);
        sdk.report(&straight.url, "ann", 60, None).said();
        let Said { reported, taken } = sdk.report(&relay.url, "ann", 60, None).said();
        assert_eq!(
            (reported.len(), &taken),
            (120, &reported),
            "{sdk:?}: an impression and a conversion each"
        );

        let events = count(reported.len());
        let ledger = Ledger { accepted: events, delivered: events, dead_lettered: 0, queued: 0 };
        assert_eq!(relay.delivered(), ledger, "{sdk:?}");
        let arrived = sink.uuids();
        assert!(arrived.keys().eq(&reported), "{sdk:?}");
        assert!(arrived.values().all(|times| *times == 1), "{sdk:?}: {arrived:?}");
        let (made, came) = (visitors(&straight.bodies()), visitors(&sink.bodies()));
        assert!(made.len() >= 60, "{sdk:?}: {}", made.len());
        for (made, came) in made.iter().zip(&came) {
            assert_eq!(made, came, "{sdk:?}");
        }
        assert_eq!(made.len(), came.len(), "{sdk:?}");
        assert_eq!(relay.stop(), ledger, "{sdk:?}");
    }
}

#[test]
fn nothing_is_lost_whatever_the_upstream_does() {
    let (mut sink, files) = (Sink::start(), Files::new());
    let relay = Relay::start(&["--upstream", &sink.url, "--data", &files.path("data")]);
    let (over, trouble) = (files.path("over"), Duration::from_secs(asked("POSTHASTE_OUTAGE", 2)));
    sink.be(Mood::Refuses(REFUSED));
    let reporting = [(Sdk::JavaScript, "javascript"), (Sdk::Python, "python")]
        .map(|(sdk, name)| sdk.report(&relay.url, name, 10, Some(&over)));
    // The first round of visitors, with the one who is refused.
    until("somebody is refused", || relay.ledger().dead_lettered == 2);
    for mood in [500, 503, 429].map(Mood::Answers).into_iter().chain([Mood::Hangs]) {
        sink.be(mood);
        thread::sleep(trouble);
        sink.be(Mood::Answers(204));
        thread::sleep(Duration::from_millis(500));
    }
    sink.go_away();
    thread::sleep(trouble);
    sink.come_back();
    fs::write(&over, "").unwrap();
    let reported: BTreeSet<String> = reporting.into_iter().flat_map(|sdk| all_taken(sdk.said())).collect();

    let (events, ledger) = (count(reported.len()), relay.delivered());
    assert!(events > 100, "{events}");
    assert_eq!(ledger, Ledger { accepted: events, delivered: events - 2, dead_lettered: 2, queued: 0 });
    let arrived = sink.uuids();
    assert_eq!(count(arrived.len()), events - 2, "those of one visitor are dead letters");
    assert!(arrived.keys().all(|uuid| reported.contains(uuid)));
    assert!(!sink.bodies().iter().any(|body| String::from_utf8_lossy(body).contains(REFUSED)));
    let repeated: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    relay.stop();
}

/// Whatever happens to the upstream, the relay takes everything.
fn all_taken(said: Said) -> BTreeSet<String> {
    assert_eq!(said.taken, said.reported);
    said.taken
}

#[test]
fn nothing_is_lost_to_kills_of_the_relay() {
    let (sink, files) = (Sink::start(), Files::new());
    let (data, over) = (files.path("data"), files.path("over"));
    let start = |listen: &str| {
        Relay::of(command(&[
            "relay",
            "--json",
            "-q",
            "--listen",
            listen,
            "--admin",
            "0",
            "--upstream",
            &sink.url,
            "--data",
            &data,
            "--drain-delay",
            "0s",
        ]))
    };
    let mut relay = start("0");
    let url = relay.url.clone();
    let listen = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let reporting = [(Sdk::JavaScript, "javascript"), (Sdk::Python, "python")]
        .map(|(sdk, name)| sdk.report(&url, name, 10, Some(&over)));
    until("events arrive", || !sink.bodies().is_empty());
    for _ in 0..asked("POSTHASTE_KILLS", 5) {
        thread::sleep(Duration::from_millis(fastrand::u64(100..700)));
        relay.kill();
        relay = start(&listen);
    }
    thread::sleep(Duration::from_millis(300));
    fs::write(&over, "").unwrap();
    let said = reporting.map(crate::relays::Reporting::said);
    let ledger = relay.delivered();
    assert_eq!((ledger.dead_lettered, ledger.accepted), (0, ledger.delivered));
    let arrived = sink.uuids();
    for Said { reported, taken } in &said {
        assert!(taken.len() > 20, "{}", taken.len());
        assert_eq!(taken.iter().filter(|uuid| !arrived.contains_key(*uuid)).count(), 0, "lost");
        assert!(taken.is_subset(reported));
    }
    assert!(arrived.keys().all(|uuid| said.iter().any(|said| said.reported.contains(uuid))), "invented");
    relay.stop();
}

/// A request body, and each of its visitors, as they are written.
#[derive(serde::Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    visitors: Vec<&'a RawValue>,
}

fn written(body: &str) -> Vec<&str> {
    let body: Written = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    body.visitors.into_iter().map(RawValue::get).collect()
}

/// Bodies that other SDKs sent: as they came, and as they are to arrive.
fn captured() -> Vec<(Vec<u8>, String)> {
    let text = |name: &str| fs::read_to_string(vector(name)).unwrap();
    let mut bodies = Vec::new();
    for name in ["go-sdk-1.0.0-beta7.body.json", "go-sdk-2.4.0.bodies.json"] {
        for body in text(name).lines() {
            bodies.push((body.as_bytes().to_vec(), body.to_owned()));
        }
    }
    for request in text("java-sdk-4.3.1.requests.jsonl").lines() {
        let request: serde_json::Value = serde_json::from_str(request).unwrap();
        let body = request["body_latin1"].as_str().unwrap();
        let bytes: Vec<u8> = body.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
        assert!(std::str::from_utf8(&bytes).is_err(), "this is what needs mending");
        bodies.push((bytes, body.to_owned()));
    }
    bodies
}

#[test]
fn what_other_sdks_sent_arrives_visitor_by_visitor() {
    let (sink, files) = (Sink::start(), Files::new());
    let relay = Relay::start(&["--upstream", &sink.url, "--data", &files.path("data")]);
    let captured = captured();
    assert!(captured.len() >= 3);
    for (bytes, _) in &captured {
        assert_eq!(post(&relay.url, "application/json", bytes), 204);
    }
    let ledger = relay.delivered();
    assert_eq!((ledger.dead_lettered, ledger.accepted), (0, ledger.delivered));
    let came: Vec<String> =
        sink.bodies().iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect();
    let mut came: Vec<&str> = came.iter().flat_map(|body| written(body)).collect();
    let mut sent: Vec<&str> = captured.iter().flat_map(|(_, body)| written(body)).collect();
    came.sort_unstable();
    sent.sort_unstable();
    assert_eq!(came, sent);
    let envelopes = |bodies: &[bytes::Bytes]| visitors(bodies).into_iter().collect::<BTreeSet<String>>();
    let sent: Vec<bytes::Bytes> = captured.into_iter().map(|(_, body)| body.into()).collect();
    assert_eq!(envelopes(&sink.bodies()), envelopes(&sent), "and so do their envelopes");
    relay.stop();
}
