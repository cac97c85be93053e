//! `posthaste ledger`: it balances where it should, and only there. How much the stream has, an outsider counts.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use posthaste::{
    Clock, HttpEventDispatcher, JetStreamQueue, LogEvent, Queue, QueueEventDispatcher, SystemClock,
    queue::jetstream::{JetStream, Keeper, ProcessCounts, Role},
};
use serde_json::Value;

use crate::{
    nats_servers::Servers,
    relays::until,
    streams::{Outsider, accepting, fill, options, request, small},
    support::{Ran, Server, command, dead_endpoint, run},
};

fn ledger(servers: &Servers) -> Ran {
    run(&["ledger", &servers.address("events"), "--json"])
}

/// This process, as one that puts events into the stream.
fn keeper(stream: &JetStream, queue: &JetStreamQueue) -> Keeper {
    let seen = queue.clone();
    let counts = move || {
        let traffic = seen.traffic();
        ProcessCounts { accepted: traffic.accepted, waiting: traffic.publishing, ..ProcessCounts::default() }
    };
    Keeper::start(stream, "test", "accept", counts).unwrap()
}

/// An API that refuses what is large.
fn picky() -> Server {
    Server::start(false, |body| if body.len() > 4_000 { 400 } else { 204 })
}

/// A request that it refuses.
fn unwanted(api: &Server) -> LogEvent {
    request(&api.url, &"x".repeat(4_000), 1)
}

/// `posthaste torture-sender`: a process that delivers what `torture` has in a stream.
struct Sender(Child);

impl Sender {
    fn start(servers: &Servers) -> Self {
        let mut command = command(&["torture-sender", "--queue", &servers.address("events"), "--seed", "1"]);
        Self(command.stdin(Stdio::piped()).spawn().unwrap())
    }

    fn finish(mut self) {
        writeln!(self.0.stdin.take().unwrap(), "finish 10000").unwrap();
        let mut stderr = String::new();
        for line in BufReader::new(self.0.stderr.take().unwrap()).lines() {
            stderr += &line.unwrap();
        }
        assert!(self.0.wait().unwrap().success(), "{stderr}");
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(report: &Value, group: &str, name: &str) -> u64 {
    report[group][name].as_u64().unwrap_or_else(|| panic!("{group}.{name}: {report}"))
}

/// It balances, and the exit code says so. On a busy machine a lease may run out, and its message be settled twice; then
/// nobody can know, and it says that.
fn adds_up(ran: &Ran) -> Value {
    let report = ran.json();
    if number(&report, "messages", "redelivered") == 0 {
        assert_eq!(report["verdict"], "balanced", "{report}");
        ran.ended(0);
    }
    assert_ne!(report["verdict"], "unbalanced", "{report}");
    report
}

#[test]
fn it_balances_while_events_flow_and_at_rest_and_agrees_with_what_others_count() {
    let (servers, api) = (Servers::one(), Server::start(false, |_| 204));
    let stream = small(&servers, "events");
    let queue = accepting(&stream, "torture");
    let keeper = keeper(&stream, &queue);
    let (first, second) = (Sender::start(&servers), Sender::start(&servers));
    let is_over = AtomicBool::new(false);
    let published = thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let mut published: u64 = 0;
            while !is_over.load(SeqCst) {
                queue.add(request(&api.url, &format!("n{published}"), 2)).unwrap().wait().unwrap();
                published += 1;
            }
            published
        });
        let looked: Vec<Ran> = (0..3).map(|_| ledger(&servers)).collect();
        is_over.store(true, SeqCst);
        for ran in looked {
            let report = adds_up(&ran);
            assert!(number(&report, "messages", "taken") > 0, "{report}");
            let standings: Vec<&Value> =
                report["processes"].as_array().unwrap().iter().map(|process| &process["standing"]).collect();
            assert_eq!(standings, ["living"; 3], "{report}");
        }
        publishing.join().unwrap()
    });
    until("everything is delivered", || Outsider::at(&servers).look("events") == Some((0, published)));
    first.finish();
    second.finish();
    assert!(keeper.close());
    let report = adds_up(&ledger(&servers));
    let events = |name| number(&report, "events", name);
    assert_eq!([events("accepted"), events("published")], [published * 2; 2], "{report}");
    // On a busy machine a lease may run out, and its message is delivered twice.
    let again = number(&report, "messages", "redelivered");
    assert!((published * 2..=(published + again) * 2).contains(&events("delivered")), "{report}");
    assert_eq!(["waiting", "in_stream", "leased", "buried"].map(events), [0; 4]);
    assert_eq!(number(&report, "messages", "taken"), published);
    let bounds = |name: &str| {
        let of = |end: &str| report["messages"][name][end].as_u64().unwrap();
        (of("low"), of("high"))
    };
    assert_eq!(bounds("published"), (published, published));
    let (low, high) = bounds("settled");
    assert!(low <= published && published <= high && high - low <= again, "{report}");
    let ran = run(&["ledger", &servers.address("events")]);
    let is_sure = ran.stdout.ends_with("Everything is accounted for.\n");
    assert_eq!(is_sure, again == 0, "{}", ran.stdout);
}

#[test]
fn what_a_killed_process_had_not_written_down_is_unknown() {
    let (servers, api) = (Servers::one(), Server::start(false, |_| 204));
    let stream = small(&servers, "events");
    let queue = accepting(&stream, "torture");
    let keeper = keeper(&stream, &queue);
    let sender = Sender::start(&servers);
    fill(&queue, &api.url, 100);
    until("everything is delivered", || Outsider::at(&servers).look("events") == Some((0, 100)));
    sender.kill();
    assert!(keeper.close());
    let ran = ledger(&servers);
    let report = ran.ended(1).json();
    assert_eq!(report["verdict"], "unknown", "{report}");
    let (published, gone) = (&report["unknown_published"], &report["unknown_gone"]);
    assert_eq!((published["low"].as_u64(), published["high"].as_u64()), (Some(0), Some(0)), "{report}");
    // What it had written down is known; the rest is between these bounds.
    let known = report["messages"]["settled"]["low"].as_u64().unwrap();
    assert_eq!(gone["high"].as_u64(), Some(100 - known), "{report}");
    let standings: Vec<&Value> =
        report["processes"].as_array().unwrap().iter().map(|process| &process["standing"]).collect();
    assert_eq!(standings, ["ended", "silent"], "{report}");
    let ran = run(&["ledger", &servers.address("events")]);
    assert!(
        ran.ended(1).stdout.contains("Unknown: 1 process ended or is cut off without a last word"),
        "{}",
        ran.stdout
    );
}

/// Once somebody has looked into what is unknown, new books begin; in those, everything is known again, and a loss shows.
#[test]
fn new_books_have_nothing_unknown() {
    let (servers, api) = (Servers::one(), picky());
    let stream = small(&servers, "events");
    let queue = accepting(&stream, "torture");
    let keeper = keeper(&stream, &queue);
    let sender = Sender::start(&servers);
    fill(&queue, &api.url, 100);
    queue.add(unwanted(&api)).unwrap().wait().unwrap();
    let outsider = Outsider::at(&servers);
    until("everything is delivered, or dead", || outsider.look("events") == Some((0, 101)));
    sender.kill();
    // Three wait for another sender, and one process goes on living.
    fill(&queue, &dead_endpoint(), 3);
    assert_eq!(ledger(&servers).ended(1).json()["verdict"], "unknown");
    let closed = run(&["ledger", &servers.address("events"), "--begin", "--json"]).ended(0).json();
    assert_eq!((&closed["verdict"], number(&closed, "messages", "taken")), (&"unknown".into(), 104));
    let report = ledger(&servers).ended(0).json();
    let messages = |report: &Value, name| number(report, "messages", name);
    assert_eq!((messages(&report, "taken"), messages(&report, "gone")), (3, 0), "{report}");
    assert_eq!(
        (messages(&report, "dead_letters"), number(&report, "events", "published")),
        (1, 6),
        "{report}"
    );
    let named = |report: &Value| -> Vec<String> {
        let processes = report["processes"].as_array().unwrap().iter();
        processes.map(|process| format!("{} {}", process["name"], process["standing"])).collect()
    };
    assert_eq!(named(&report), [r#""test" "living""#, r#""books" "ended""#]);
    // It goes on from there: put there, removed, put back.
    fill(&queue, &api.url, 4);
    assert_eq!(stream.dead_letters("torture").unwrap().purge_where(|_| true).unwrap().letters, 1);
    let report = until_balanced(&servers);
    assert_eq!((messages(&report, "taken"), messages(&report, "dead_letters")), (7, 0), "{report}");
    assert!(keeper.close());
    assert!(outsider.purge("events"));
    let report = ledger(&servers).ended(1).json();
    assert!(report["findings"][0].as_str().unwrap().starts_with("7 messages have gone"), "{report}");
    // Whoever looks into that may begin once more.
    run(&["ledger", &servers.address("events"), "--begin"]).ended(0);
    assert_eq!(named(&ledger(&servers).ended(0).json()), [r#""books" "ended""#]);
}

/// What the processes have just done is written down by the next note.
fn until_balanced(servers: &Servers) -> Value {
    let mut said = Value::Null;
    until("it adds up", || {
        let ran = ledger(servers);
        said = ran.json();
        ran.code == Some(0)
    });
    said
}

#[test]
fn what_others_remove_or_put_there_does_not_add_up() {
    let servers = Servers::one();
    let stream = small(&servers, "events");
    let queue = accepting(&stream, "torture");
    let keeper = keeper(&stream, &queue);
    fill(&queue, &dead_endpoint(), 10);
    assert!(keeper.close());
    let report = ledger(&servers).ended(0).json();
    assert_eq!((number(&report, "events", "in_stream"), number(&report, "events", "published")), (20, 20));
    let outsider = Outsider::at(&servers);
    assert!(outsider.purge("events"));
    let report = ledger(&servers).ended(1).json();
    assert_eq!(report["verdict"], "unbalanced");
    assert!(report["findings"][0].as_str().unwrap().starts_with("10 messages have gone"), "{report}");
    outsider.publish("events.torture", "no request");
    let report = ledger(&servers).ended(1).json();
    assert!(
        report["findings"][1].as_str().unwrap().starts_with("1 message is in nobody's count"),
        "{report}"
    );
}

/// A stream that is made anew under its notes has taken less than it has acknowledged.
#[test]
fn a_stream_that_has_lost_what_it_acknowledged_is_found_out() {
    let servers = Servers::one();
    let stream = small(&servers, "events");
    let queue = accepting(&stream, "torture");
    let keeper = keeper(&stream, &queue);
    fill(&queue, &dead_endpoint(), 10);
    assert!(keeper.close());
    drop((queue, stream));
    let outsider = Outsider::at(&servers);
    outsider.delete("events");
    let stream = small(&servers, "events");
    fill(&accepting(&stream, "torture"), &dead_endpoint(), 3);
    let report = ledger(&servers).ended(1).json();
    assert_eq!(report["verdict"], "unbalanced");
    assert!(report["findings"][0].as_str().unwrap().starts_with("7 messages are LOST"), "{report}");
}

#[test]
fn a_dead_letter_that_is_put_back_is_counted() {
    let (servers, api) = (Servers::one(), picky());
    let stream = small(&servers, "events");
    let queue = accepting(&stream, "torture");
    let keeper = keeper(&stream, &queue);
    queue.add(unwanted(&api)).unwrap().wait().unwrap();
    let sender = Sender::start(&servers);
    let letters = stream.dead_letters("torture").unwrap();
    until("there is a dead letter", || letters.count().unwrap() == 1);
    until("its message is gone", || Outsider::at(&servers).look("events") == Some((0, 1)));
    assert_eq!(letters.replay_where(|_| true).unwrap().letters, 1);
    until("it is one again", || {
        letters.count().unwrap() == 1 && Outsider::at(&servers).look("events") == Some((0, 2))
    });
    sender.finish();
    assert!(keeper.close());
    let report = ledger(&servers).ended(0).json();
    let events = |name| number(&report, "events", name);
    assert_eq!(
        [events("published"), events("replayed"), events("buried"), events("delivered")],
        [1, 1, 2, 0],
        "{report}"
    );
    assert_eq!(number(&report, "messages", "dead_letters"), 1);
}

/// Another gets what a killed sender had leased, within the ack wait (2 s) and a second.
#[test]
fn what_a_killed_process_had_leased_is_delivered_by_another() {
    let servers = Servers::one();
    let (hanging, hits) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
    let (hangs, counted) = (Arc::clone(&hanging), Arc::clone(&hits));
    let api = Server::start(false, move |_| {
        counted.fetch_add(1, SeqCst);
        // The first sender's requests are never answered.
        while hangs.load(SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        204
    });
    let stream = small(&servers, "events");
    fill(&accepting(&stream, "torture"), &api.url, 5);
    let first = Sender::start(&servers);
    until("the first one is at it", || hits.load(SeqCst) > 0);
    let second = Sender::start(&servers);
    let asking = || stream.look().unwrap().tenants[0].delivery.map(|delivery| delivery.waiting_pulls);
    until("the second one asks for more, as the first one does", || asking() == Some(2));
    let outsider = Outsider::at(&servers);
    assert_eq!(outsider.look("events"), Some((5, 5)));
    first.kill();
    hanging.store(false, SeqCst);
    let from = SystemClock.elapsed();
    until("another has delivered it", || outsider.look("events") == Some((0, 5)));
    let took = SystemClock.elapsed().saturating_sub(from);
    assert!(took <= Duration::from_secs(3), "{took:?}");
    second.finish();
}

/// One that was given nothing to count still says who it is.
#[test]
fn a_sender_in_this_process_is_among_them() {
    let servers = Servers::one();
    let stream = JetStream::open(options(&servers, "events").replicas(1)).unwrap();
    let queue = stream.queue("torture", Role::Deliver).unwrap();
    let dispatcher =
        QueueEventDispatcher::builder(HttpEventDispatcher::new().unwrap()).queue(queue).build().unwrap();
    let keeper = Keeper::start(&stream, "test", "deliver", ProcessCounts::default).unwrap();
    dispatcher.close(Duration::from_secs(5)).wait();
    assert!(keeper.close());
    let ran = run(&["ledger", &servers.address("events")]);
    assert!(
        ran.ended(0).stdout.contains(&format!("test deliver {} on ", std::process::id())),
        "{}",
        ran.stdout
    );
}
