//! Relays that share a stream of real NATS servers: what is answered while those are away, what part each relay has, and
//! that nothing is lost between them. Sinks count by themselves; how many messages a stream has, its server says.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy};
use posthaste::{Clock, SystemClock};
use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use crate::{
    nats_servers::Servers,
    relays::{Mood, Relay, Sink, post, post_for_head, until},
    streams::Outsider,
    support::{Files, command, dead_endpoint, repository, run},
};

const STREAM: &str = "events";
const JSON: &str = "application/json";

/// A body with one event, of this account.
fn body(account: &str, uuid: &str) -> String {
    format!(
        r#"{{"account_id":"{account}","project_id":"p","revision":"1","visitors":[{{"visitor_id":"v-{uuid}","attributes":[],"snapshots":[{{"decisions":[],"events":[{{"entity_id":"3","key":"buy","timestamp":1795559589561,"uuid":"{uuid}"}}]}}]}}]}}"#
    )
}

fn uuid(number: usize) -> String {
    format!("u-{number}")
}

fn numbered(count: usize) -> BTreeSet<String> {
    (0..count).map(uuid).collect()
}

/// A relay at these servers, of which one is enough.
fn relay(servers: &Servers, args: &[&str]) -> Relay {
    Relay::start(&[&["--queue", &servers.address(STREAM), "--replicas", "1"], args].concat())
}

/// One that only delivers: it is told of no place to listen at.
fn delivery(servers: &Servers, upstream: &str) -> Command {
    let address = servers.address(STREAM);
    let args = ["relay", "--json", "-q", "--admin", "0", "--drain-delay", "0s", "--role", "deliver"];
    command(&[&args[..], &["--replicas", "1", "--queue", &address, "--upstream", upstream]].concat())
}

fn delivering(servers: &Servers, upstream: &str) -> Relay {
    Relay::of(delivery(servers, upstream))
}

/// How many messages the stream has, as its server says.
fn messages(servers: &Servers, stream: &str) -> u64 {
    let answer = servers.get(0, "/jsz?streams=true").unwrap();
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    let said: Value = serde_json::from_str(text).unwrap();
    let accounts = said["account_details"].as_array().cloned().unwrap_or_default();
    let streams = accounts.iter().flat_map(|account| account["stream_detail"].as_array().unwrap());
    let found = streams.clone().find(|one| one["name"] == stream);
    found.map_or(0, |found| found["state"]["messages"].as_u64().unwrap())
}

/// Clients that post numbered events until they are told to stop; each answer is kept with its event.
struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<BTreeMap<String, u16>>>,
    thread: thread::JoinHandle<()>,
}

impl Load {
    fn start(url: &str) -> Self {
        let (stop, url) = (Arc::<AtomicBool>::default(), url.to_owned());
        let answers = Arc::<Mutex<BTreeMap<String, u16>>>::default();
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&answers));
        let posting = move || {
            for number in 0.. {
                if stopped.load(SeqCst) {
                    return;
                }
                let status = post(&url, JSON, body("1", &uuid(number)).as_bytes());
                kept.lock().unwrap().insert(uuid(number), status);
            }
        };
        Self { stop, answers, thread: thread::spawn(posting) }
    }

    fn count(&self) -> usize {
        self.answers.lock().unwrap().len()
    }

    /// Each event with its answer.
    fn end(self) -> BTreeMap<String, u16> {
        self.stop.store(true, SeqCst);
        self.thread.join().unwrap();
        self.answers.lock().unwrap().clone()
    }
}

fn arrived(sink: &Sink) -> BTreeSet<String> {
    sink.uuids().into_keys().collect()
}

fn readiness(relay: &Relay) -> (u16, Value) {
    let (status, text) = relay.ask("GET", "/readyz");
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn a_relay_that_is_cut_off_answers_204_all_along_and_catches_up() {
    let (mut servers, sink, files) = (Servers::one(), Sink::start(), Files::new());
    let relay = relay(&servers, &["--upstream", &sink.url, "--data", &files.path("data")]);
    let load = Load::start(&relay.url);
    until("events flow", || sink.uuids().len() > 50);
    servers.kill(0);
    until("the relay knows", || readiness(&relay).1["stream"]["state"] == "away");
    let before = load.count();
    let away = SystemClock.elapsed() + Duration::from_secs(5);
    while SystemClock.elapsed() < away {
        let (status, said) = readiness(&relay);
        assert_eq!(status, 200, "events are taken: {said}");
        thread::sleep(Duration::from_millis(100));
    }
    until("it takes events meanwhile", || load.count() > before + 20);
    servers.restart(0);
    until("the relay knows that too", || readiness(&relay).1["stream"]["state"] == "working");
    let answers = load.end();
    assert!(answers.values().all(|status| *status == 204), "{answers:?}");
    let taken: BTreeSet<String> = answers.into_keys().collect();
    until("everything arrives", || arrived(&sink).len() >= taken.len());
    assert_eq!(arrived(&sink), taken, "none is lost, and none invented");
    until("the stream is empty", || messages(&servers, STREAM) == 0);
    let ledger = relay.delivered();
    assert_eq!((ledger.dead_lettered, ledger.queued), (0, 0));
    relay.stop();
}

#[test]
fn without_a_bridge_clients_are_told_to_try_again_while_the_stream_is_away() {
    let (mut servers, sink) = (Servers::one(), Sink::start());
    let relay = relay(&servers, &["--upstream", &sink.url, "--no-bridge"]);
    assert_eq!(relay.said()["data"], Value::Null, "{}", relay.said());
    assert_eq!(post(&relay.url, JSON, body("1", "before").as_bytes()), 204);
    assert_eq!(readiness(&relay).0, 200);
    servers.kill(0);
    until("it is not ready", || readiness(&relay).0 == 503);
    let (_, said) = readiness(&relay);
    assert_eq!(
        (&said["stream"]["state"], &said["stream"]["bridge"]),
        (&"away".into(), &false.into()),
        "{said}"
    );
    let trouble = said["tenants"][0]["queue"]["trouble"].as_str().unwrap();
    assert!(trouble.contains(&format!("127.0.0.1:{}", servers.port(0))), "{said}");
    let (status, head) = post_for_head(&relay.url, JSON, body("1", "meanwhile").as_bytes());
    assert_eq!(status, 503, "{head}");
    assert!(head.to_ascii_lowercase().contains("\r\nretry-after: 1\r\n"), "{head}");
    servers.restart(0);
    until("it takes events again", || post(&relay.url, JSON, body("1", "after").as_bytes()) == 204);
    until("it is ready", || readiness(&relay).0 == 200);
    until("they arrive", || arrived(&sink).contains("before") && arrived(&sink).contains("after"));
    relay.stop();
}

#[test]
fn one_relay_accepts_and_another_delivers() {
    let (servers, sink, files) = (Servers::one(), Sink::start(), Files::new());
    let accepting = relay(&servers, &["--role", "accept", "--data", &files.path("data")]);
    assert_eq!(accepting.said()["stream"]["role"], "accept");
    assert_eq!(accepting.said()["upstreams"], Value::Array(Vec::new()));
    for number in 0..20 {
        assert_eq!(post(&accepting.url, JSON, body("1", &uuid(number)).as_bytes()), 204);
    }
    until("the stream has them", || messages(&servers, STREAM) == 20);
    let delivering = delivering(&servers, &sink.url);
    assert_eq!((&delivering.said()["url"], readiness(&delivering).0), (&Value::Null, 200));
    until("they arrive", || arrived(&sink) == numbered(20));
    until("the stream is empty", || messages(&servers, STREAM) == 0);
    let of = |relay: &Relay| -> Value {
        let said: Value = serde_json::from_str(&relay.ask("GET", "/ledger").1).unwrap();
        assert_eq!(said["sum"]["balances"], true, "{said}");
        said["tenants"][0]["stream"].clone()
    };
    until("it has all acknowledged", || of(&accepting)["published"] == 20);
    let (into, out) = (of(&accepting), of(&delivering));
    assert_eq!((&into["accepted"], &into["leased"]), (&20.into(), &0.into()), "{into}");
    assert_eq!(
        (&out["leased"], &out["delivered"], &out["accepted"]),
        (&20.into(), &20.into(), &0.into()),
        "{out}"
    );
    assert_eq!(sink.uuids().values().sum::<u64>(), 20, "nobody was told of any twice");
    accepting.stop();
    delivering.stop();
}

#[test]
fn what_a_killed_relay_had_on_disk_goes_into_the_stream_once() {
    let (mut servers, files) = (Servers::one(), Files::new());
    servers.kill(0);
    let data = files.path("data");
    let start = |servers: &Servers| relay(servers, &["--role", "accept", "--data", &data]);
    let first = start(&servers);
    assert_eq!(
        first.said()["stream"].get("promises"),
        None,
        "nobody has seen the stream yet: {}",
        first.said()
    );
    for number in 0..50 {
        assert_eq!(post(&first.url, JSON, body("1", &uuid(number)).as_bytes()), 204);
    }
    first.kill();
    servers.restart(0);
    let second = start(&servers);
    assert_eq!(second.said()["found"], 50);
    until("the stream has them", || messages(&servers, STREAM) == 50);
    // It has not noted all of that on its disk: the next one puts some in again, which the stream knows.
    second.kill();
    let third = start(&servers);
    until("nothing is left", || third.ledger().queued == 0);
    assert_eq!(messages(&servers, STREAM), 50, "each is there once");
    third.stop();
}

#[test]
fn one_tenants_dead_upstream_holds_back_nobody_else() {
    let (servers, sink, files) = (Servers::one(), Sink::start(), Files::new());
    let config = files.write(
        "relay.toml",
        format!(
            "queue = {:?}\nupstream = {:?}\n[nats]\nbridge = false\nreplicas = 1\n[[tenant]]\nname = \"dead\"\n\
             accounts = [\"2\"]\nupstream = {:?}\n",
            servers.address(STREAM),
            sink.url,
            dead_endpoint()
        ),
    );
    let relay = Relay::start(&["--config", &config]);
    for number in 0..30 {
        assert_eq!(post(&relay.url, JSON, body("2", &format!("dead-{number}")).as_bytes()), 204);
        assert_eq!(post(&relay.url, JSON, body("1", &uuid(number)).as_bytes()), 204);
    }
    until("the living one's arrive", || arrived(&sink) == numbered(30));
    until("the others stay", || messages(&servers, STREAM) == 30);
    until("that is told", || readiness(&relay).1["tenants"][1]["upstream"]["state"] == "failing");
    relay.kill();
}

#[test]
fn a_relay_that_is_stopped_gives_back_what_it_had_leased() {
    let (servers, sink, files) = (Servers::one(), Sink::start(), Files::new());
    let accepting = relay(&servers, &["--role", "accept", "--data", &files.path("data")]);
    for number in 0..10 {
        assert_eq!(post(&accepting.url, JSON, body("1", &uuid(number)).as_bytes()), 204);
    }
    // What is in the bridge goes into the stream before the end.
    accepting.stop();
    assert_eq!(messages(&servers, STREAM), 10);
    sink.be(Mood::Answers(503));
    let variables = [("POSTHASTE_RELAY_SHUTDOWN_TIMEOUT", "1s"), ("POSTHASTE_RELAY_NATS_ACK_WAIT", "10m")];
    let mut one = delivery(&servers, &sink.url);
    one.envs(variables);
    let one = Relay::of(one);
    let leased = |relay: &Relay| -> Value {
        let said: Value = serde_json::from_str(&relay.ask("GET", "/ledger").1).unwrap();
        said["tenants"][0]["stream"]["leased"].clone()
    };
    until("it has leased them", || leased(&one) == 10);
    one.stop();
    sink.be(Mood::Answers(204));
    let from = SystemClock.elapsed();
    let other = delivering(&servers, &sink.url);
    until("another delivers them", || arrived(&sink) == numbered(10));
    assert!(SystemClock.elapsed() < from + Duration::from_mins(5), "long before the leases would run out");
    other.stop();
}

#[test]
fn dead_letters_are_in_the_stream_for_every_relay() {
    let (servers, sink) = (Servers::one(), Sink::start());
    sink.be(Mood::Refuses("bad"));
    let first = relay(&servers, &["--upstream", &sink.url, "--no-bridge"]);
    for event in ["bad-1", "good-1", "bad-2"] {
        assert_eq!(post(&first.url, JSON, body("1", event).as_bytes()), 204);
    }
    until("two are dead", || messages(&servers, "events-dead") == 2 && messages(&servers, STREAM) == 0);
    first.stop();
    sink.be(Mood::Answers(204));
    let second = delivering(&servers, &sink.url);
    let (status, text) = second.ask("GET", "/dead?reason=rejected");
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, page["letters"].as_array().unwrap().len()), (200, 2), "{page}");
    let (_, said) = second.ask("POST", "/dead/replay");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["replayed"], 2, "{said}");
    until("they arrive", || arrived(&sink) == ["bad-1", "bad-2", "good-1"].map(str::to_owned).into());
    until("none is left", || messages(&servers, "events-dead") == 0);
    second.stop();
}

#[test]
fn what_the_stream_promises_is_said_at_the_start_in_readyz_and_on_metrics() {
    let (servers, sink) = (Servers::one(), Sink::start());
    let relay = relay(&servers, &["--upstream", &sink.url, "--no-bridge"]);
    let fault = |promises: &Value, name: &str| {
        let promises = promises.as_array().unwrap();
        promises.iter().find(|one| one["fault"] == name).unwrap()["holds"].clone()
    };
    let (_, said) = readiness(&relay);
    for promises in [&relay.said()["stream"]["promises"], &said["stream"]["promises"]] {
        assert_eq!(fault(promises, "process_killed"), "yes");
        assert_eq!(fault(promises, "server_lost"), "no", "one replica is one disk");
    }
    let (_, text) = relay.ask("GET", "/metrics");
    for line in [
        "posthaste_relay_stream_up 1",
        "posthaste_relay_stream_promise{fault=\"process_killed\"} 1",
        "posthaste_relay_stream_promise{fault=\"server_lost\"} 0",
        "posthaste_relay_stream_published_events_total{tenant=\"default\",stage=\"stream\"} 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let document = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let documented: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split('`').next())
        .filter(|name| name.starts_with("posthaste_relay_stream_"))
        .collect();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE posthaste_relay_stream_"));
    let told: BTreeSet<String> =
        families.map(|rest| format!("posthaste_relay_stream_{}", rest.split(' ').next().unwrap())).collect();
    assert_eq!(
        documented,
        told.iter().map(String::as_str).collect(),
        "docs/metrics.md names each and no other"
    );
    relay.stop();
}

/// Of what cannot be delivered because of it, nothing is lost, and it is said.
#[test]
fn a_subject_that_somebody_else_has_is_told() {
    let (servers, sink, files) = (Servers::one(), Sink::start(), Files::new());
    let accepting = relay(&servers, &["--role", "accept", "--data", &files.path("data")]);
    assert_eq!(post(&accepting.url, JSON, body("1", &uuid(0)).as_bytes()), 204);
    until("the stream has it", || messages(&servers, STREAM) == 1);
    let report: Value = serde_json::from_str(&accepting.ask("GET", "/ledger").1).unwrap();
    let sum = &report["sum"];
    assert_eq!(
        (&sum["delivered"], &sum["handed_over"]),
        (&0.into(), &1.into()),
        "no upstream has it: {report}"
    );
    let outsider = Outsider::at(&servers);
    outsider.claim(STREAM, "somebody", "events.default");
    let delivering = delivering(&servers, &sink.url);
    until("that is said", || readiness(&delivering).1["stream"]["state"] == "stuck");
    let (_, said) = readiness(&delivering);
    assert!(said["stream"]["trouble"].as_str().unwrap().contains("\"default\""), "{said}");
    outsider.give_up(STREAM, "somebody");
    until("it arrives", || arrived(&sink) == numbered(1));
    until("that is said too", || readiness(&delivering).1["stream"]["state"] == "working");
    accepting.stop();
    delivering.stop();
}

/// A bridge takes events meanwhile, and its relay says why they go no further.
#[test]
fn a_stream_that_refuses_is_told() {
    let (servers, sink, files) = (Servers::one(), Sink::start(), Files::new());
    let outsider = Outsider::at(&servers);
    let narrow = |bytes| Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{STREAM}.*")],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_message_size: bytes,
        ..Config::default()
    };
    outsider.make(narrow(100));
    let relay = relay(&servers, &["--upstream", &sink.url, "--data", &files.path("data")]);
    assert_eq!(post(&relay.url, JSON, body("1", &uuid(0)).as_bytes()), 204);
    until("that is said", || readiness(&relay).1["stream"]["state"] == "stuck");
    let (status, said) = readiness(&relay);
    assert_eq!(status, 200, "events are taken: {said}");
    assert!(said["stream"]["trouble"].as_str().unwrap().contains("message size exceeds"), "{said}");
    outsider.change(narrow(-1));
    until("it arrives", || arrived(&sink) == numbered(1));
    until("that is said too", || readiness(&relay).1["stream"]["state"] == "working");
    relay.stop();
}

#[test]
fn options_that_make_no_sense_together_are_wrong_usage() {
    let stream = ["--queue", "nats://127.0.0.1:9/events"];
    let cases: &[(&[&str], &str)] = &[
        (&["--role", "accept", "--upstream", "us"], "--role: role is a part in a stream, and none is named"),
        (&["--no-bridge", "--upstream", "us"], "--no-bridge: a bridge leads to a stream, and none is named"),
        (&["--replicas", "1", "--upstream", "us"], "--replicas: replicas are of a stream"),
        (&[stream[0], stream[1], "--replicas", "2", "--upstream", "us"], "give 1, 3 or 5"),
        (&[stream[0], stream[1], "--role", "send"], "give \"accept\", \"deliver\" or \"both\""),
        (&[stream[0], stream[1], "--role", "deliver"], "nothing says where events go"),
        (
            &[stream[0], stream[1], "--role", "deliver", "--upstream", "us", "--listen", "0"],
            "--listen: a relay that only",
        ),
        (
            &[stream[0], stream[1], "--role", "deliver", "--upstream", "us", "--no-bridge"],
            "--no-bridge: a relay that only",
        ),
        (&[stream[0], stream[1], "--upstream", "us", "--memory"], "--memory: a bridge in memory would lose"),
        (&[stream[0], stream[1], "--upstream", "us", "--no-bridge", "--data", "d"], "cannot be used with"),
        (
            &["--queue", "nats://me:secret@127.0.0.1", "--upstream", "us"],
            "--queue: the address names no stream",
        ),
        (&["--queue", "http://127.0.0.1/events", "--upstream", "us"], "nats:// or tls://"),
    ];
    for (args, said) in cases {
        let ran = run(&[&["relay", "check"], *args].concat());
        let stderr = &ran.ended(2).stderr;
        assert!(stderr.contains(said) && !stderr.contains("secret"), "{args:?}: {stderr}");
    }
    let ran = run(&["relay", "config", "--queue", "nats://me:secret@h/events", "--upstream", "us"]);
    let stdout = &ran.ended(0).stdout;
    assert!(stdout.contains("queue = \"nats://h:4222/events\"") && !stdout.contains("secret"), "{stdout}");
    run(&["relay", "check", "--queue", "nats://127.0.0.1:9/events", "--role", "accept"]).ended(0);
}

#[test]
fn send_puts_events_into_a_stream_and_takes_them_out() {
    let (servers, sink, files) = (Servers::one(), Sink::start(), Files::new());
    let lines: String = (0..25).map(|number| body("1", &uuid(number)) + "\n").collect();
    let file = files.write("batches.jsonl", lines);
    let address = servers.address(STREAM);
    let stream = ["--queue", &address, "--replicas", "1", "--json"];
    let ran = run(&[&["send", &file, "--endpoint", &sink.url], &stream[..]].concat());
    let said = ran.ended(0).json();
    assert_eq!((&said["total"]["delivered"], &said["total"]["left"]), (&25.into(), &0.into()), "{said}");
    assert_eq!((messages(&servers, STREAM), sink.uuids().len()), (25, 0));
    let ran = run(&[&["send", "--deliver"], &stream[..]].concat());
    let said = ran.ended(0).json();
    assert_eq!(
        (&said["total"]["recovered"], &said["total"]["delivered"]),
        (&25.into(), &25.into()),
        "{said}"
    );
    assert_eq!((messages(&servers, STREAM), arrived(&sink)), (0, numbered(25)));
    // Nothing is there any more.
    run(&[&["send", "--deliver"], &stream[..]].concat()).ended(0);
    run(&["send", "--deliver"]).ended(2);
    run(&["send", &file, "--queue", "nats://h"]).ended(2);
}

/// The arguments of every relay in a file of examples/cluster.
fn relays_in(value: &Yaml<'_>, found: &mut Vec<Vec<String>>) {
    if let Some(list) = value.as_sequence() {
        let words: Vec<String> = list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
        if words.first().is_some_and(|first| first == "relay") {
            found.push(words);
        }
        for one in list {
            relays_in(one, found);
        }
    }
    if let Some(fields) = value.as_mapping() {
        fields.values().for_each(|one| relays_in(one, found));
    }
}

#[test]
fn the_examples_relays_would_start() {
    let files = Files::new();
    for (name, count) in [("compose.yaml", 3), ("kubernetes.yaml", 2)] {
        let text = std::fs::read_to_string(repository().join("examples/cluster").join(name)).unwrap();
        let mut found = Vec::new();
        Yaml::load_from_str(&text).unwrap().iter().for_each(|document| relays_in(document, &mut found));
        assert_eq!(found.len(), count, "{name}: {found:?}");
        for words in found {
            let here = |word: &String| {
                // Their folders are on volumes.
                let path = word.rsplit('=').next().filter(|path| path.starts_with("/data"));
                path.map_or_else(|| word.clone(), |path| word.replace(path, &files.path("data")))
            };
            let words: Vec<String> = words.iter().skip(1).map(here).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            run(&[&["relay", "check"], &words[..]].concat()).ended(0);
        }
    }
}
