//! `posthaste tail`.

use std::{
    io::{BufRead as _, BufReader, copy},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdout},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use serde_json::Value;

use crate::support::{Collector, command, free_address, interrupt, post, run};

/// A conversion of a visitor as a request's body.
fn conversion(visitor: &str, number: usize) -> String {
    let timestamp = 1_795_500_003_394_u64;
    format!(
        r#"{{"account_id": "10000001", "project_id": "10000002", "revision": "42", "client_name": "test",
        "client_version": "1", "anonymize_ip": true, "enrich_decisions": true, "visitors": [{{"visitor_id": "{visitor}",
        "attributes": [], "snapshots": [{{"events": [{{"entity_id": "30012", "key": "purchase",
        "timestamp": {timestamp}, "uuid": "u-{visitor}-{number}"}}]}}]}}]}}"#
    )
}

struct Tail {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Tail {
    fn start(url: &str, args: &[&str]) -> Self {
        let mut child = command(&[&["tail", url], args].concat()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    fn said(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    fn stop(mut self) {
        interrupt(&self.child);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_there_and_what_comes_is_told_in_words() {
    let collector = Collector::start(&[]);
    for number in 0..3 {
        post(&collector.url, conversion("ann", number).as_bytes(), None);
    }
    let mut tail = Tail::start(&collector.url, &["--last", "2"]);
    assert_eq!(tail.line(), "      2  good    visitor ann did purchase\n");
    assert_eq!(tail.line(), "      3  good    visitor ann did purchase\n");
    post(&collector.url, b"{", None);
    assert!(tail.line().starts_with("      4  bad     "));
    assert!(tail.line().trim_start().starts_with("body: "));
    tail.stop();
}

#[test]
fn filters_must_all_fit() {
    let collector = Collector::start(&[]);
    let url = collector.at("/t/one/v1/events");
    for (number, visitor) in ["ann", "bob", "anna"].into_iter().enumerate() {
        post(&url, conversion(visitor, number).as_bytes(), None);
        post(&collector.url, conversion(visitor, number).as_bytes(), None);
    }
    // The URL names the session.
    let mut tail = Tail::start(&url, &["--json", "--after", "0", "--visitor", "ann*", "--key", "purchase"]);
    for visitor in ["ann", "anna"] {
        let event = tail.json();
        assert_eq!((&event["visitor_id"], &event["session"]), (&visitor.into(), &"one".into()));
    }
    tail.stop();
}

/// More than a stream tells at once.
#[test]
fn a_burst_is_shown_whole() {
    let collector = Collector::start(&[]);
    let mut tail = Tail::start(&collector.url, &["--json", "--after", "0"]);
    let visitors: Vec<String> = (0..1_500)
        .map(|number| {
            let body: Value = serde_json::from_str(&conversion("ann", number)).unwrap();
            body["visitors"][0].to_string()
        })
        .collect();
    let mut body: Value = serde_json::from_str(&conversion("ann", 0)).unwrap();
    body["visitors"] = serde_json::from_str(&format!("[{}]", visitors.join(","))).unwrap();
    post(&collector.url, body.to_string().as_bytes(), None);
    for id in 1..=1_500 {
        assert_eq!(tail.json()["id"], id);
    }
    tail.stop();
}

/// Hands bytes on until it is cut off.
struct Proxy {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (is_open, streams) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (open, kept) = (Arc::clone(&is_open), Arc::clone(&streams));
        thread::spawn(move || {
            for client in listener.incoming().map(Result::unwrap) {
                if !open.load(SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(&to).unwrap();
                kept.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (mut from, mut into) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    thread::spawn(move || {
                        let _ = copy(&mut from, &mut into);
                        let _ = into.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { address, is_open, streams }
    }

    fn cut(&self) {
        self.is_open.store(false, SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_lost_connection_leaves_no_gap() {
    let collector = Collector::start(&[]);
    let proxy = Proxy::start(collector.address().to_owned());
    let mut tail = Tail::start(&format!("http://{}", proxy.address), &["--json"]);
    for round in 0..3 {
        post(&collector.url, conversion("ann", round).as_bytes(), None);
        assert_eq!(tail.json()["uuid"], format!("u-ann-{round}"));
        proxy.cut();
        assert!(tail.said().contains("trying again"));
        for number in 0..3 {
            post(&collector.url, conversion(&format!("bob{round}"), number).as_bytes(), None);
        }
        proxy.is_open.store(true, SeqCst);
        for number in 0..3 {
            assert_eq!(tail.json()["uuid"], format!("u-bob{round}-{number}"));
        }
    }
    tail.stop();
}

#[test]
fn a_collector_that_is_started_anew_is_followed_from_its_beginning() {
    let first = Collector::start(&[]);
    let address = first.address().to_owned();
    for number in 0..5 {
        post(&first.url, conversion("ann", number).as_bytes(), None);
    }
    let mut tail = Tail::start(&first.url, &["--json", "--last", "1"]);
    assert_eq!(tail.json()["id"], 5);
    first.stop();
    let second = Collector::start(&["--listen", &address]);
    post(&second.url, conversion("bob", 0).as_bytes(), None);
    assert_eq!(tail.json()["uuid"], "u-bob-0");
    tail.stop();
}

#[test]
fn a_collector_that_is_not_there_or_refuses_is_an_error() {
    let address = free_address();
    let ran = run(&["tail", &format!("http://{address}")]);
    assert!(ran.ended(1).stderr.contains(&format!("no answer from http://{address}")), "{ran:?}");
    let collector = Collector::start(&[]);
    let ran = run(&["tail", &collector.at("/nowhere")]);
    assert!(ran.ended(1).stderr.contains("answered 404"), "{ran:?}");
    run(&["tail", "here"]).ended(2);
}
