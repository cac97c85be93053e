//! Relays as processes, the official SDKs that post to them, and a sink that counts by itself what has arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, extract::State, http::StatusCode};
use bytes::Bytes;
use posthaste::{Clock, SystemClock};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    begun::Begun,
    support::{LONG, datafile, get, installed, repository},
};

/// A number that the environment may set, to try harder than every time. Its name does not begin as the relay's own
/// variables do: a relay refuses those that it does not know.
pub(crate) fn asked<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let read = |text: String| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"));
    std::env::var(name).map_or(otherwise, read)
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = SystemClock.elapsed() + LONG * 2;
    while !is_so() {
        assert!(SystemClock.elapsed() < end, "in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A relay that has begun.
pub(crate) struct Relay {
    begun: Begun,
    pub(crate) url: String,
    admin: Option<String>,
}

impl Relay {
    /// On free ports; it ends as soon as it is told to.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(Begun::command("0", &[args, &["-q"]].concat()))
    }

    /// What has --json among its arguments.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stderr(Stdio::inherit());
        Self::with_stderr(command)
    }

    /// What it has to say of itself goes where the command says.
    pub(crate) fn with_stderr(command: Command) -> Self {
        let begun = Begun::of(command);
        let admin = begun.said["admin_url"].as_str().map(str::to_owned);
        // One that only delivers has none.
        Self { url: begun.said["url"].as_str().unwrap_or_default().to_owned(), admin, begun }
    }

    /// Its ledger, of all tenants.
    pub(crate) fn ledger(&self) -> Ledger {
        let admin = self.admin.as_ref().unwrap();
        let ledger: Value = serde_json::from_str(&get(&format!("{admin}/ledger"))).unwrap();
        assert_eq!(ledger["sum"]["balances"], true, "{ledger}");
        Ledger::of(&ledger["sum"])
    }

    /// Its ledger, once nothing waits any more.
    pub(crate) fn delivered(&self) -> Ledger {
        until("everything is delivered", || self.ledger().queued == 0);
        self.ledger()
    }

    /// What it said first.
    pub(crate) fn said(&self) -> &Value {
        &self.begun.said
    }

    /// Asks its admin interface, and returns the status and the text of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String) {
        ask(self.admin.as_ref().unwrap(), method, path)
    }

    pub(crate) fn kill(mut self) {
        self.begun.kill();
    }

    /// Its ledger, of all tenants, once it has ended as it was told to.
    pub(crate) fn stop(mut self) -> Ledger {
        self.begun.terminate();
        let mut said = String::new();
        self.begun.stdout.read_to_string(&mut said).unwrap();
        assert_eq!(self.begun.child.wait().unwrap().code(), Some(0), "{said}");
        let report: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        let tenants = report["tenants"].as_array().unwrap().iter().map(Ledger::of);
        tenants.reduce(Ledger::and).unwrap()
    }
}

/// What a relay says has become of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) queued: u64,
}

impl Ledger {
    fn of(value: &Value) -> Self {
        let number = |key: &str| value[key].as_u64().unwrap_or_else(|| panic!("{key}: {value}"));
        Self {
            accepted: number("accepted"),
            delivered: number("delivered"),
            dead_lettered: number("dead_lettered"),
            queued: number("queued"),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            delivered: self.delivered + other.delivered,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            queued: self.queued + other.queued,
        }
    }
}

/// What a sink does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers this status.
    Answers(u16),
    /// It answers 400 where this text is in a body, and 204 elsewhere.
    Refuses(&'static str),
    /// It says nothing, until its mood changes.
    Hangs,
}

/// An upstream that is no collector of ours: it keeps the bodies that it has answered 2xx.
pub(crate) struct Sink {
    pub(crate) url: String,
    address: SocketAddr,
    kept: Arc<Kept>,
    serving: Option<Runtime>,
}

struct Kept {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<Bytes>>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Kept { mood: Mutex::new(Mood::Answers(204)), taken: Mutex::default() };
        let url = format!("http://{address}/v1/events");
        let mut sink = Self { url, address, kept: Arc::new(kept), serving: None };
        sink.serve(listener);
        sink
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = Router::new().fallback(take).layer(DefaultBodyLimit::disable());
        let app = app.with_state(Arc::clone(&self.kept));
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await
        });
        self.serving = Some(runtime);
    }

    /// Nobody listens any more, and its connections are closed.
    pub(crate) fn go_away(&mut self) {
        if let Some(runtime) = self.serving.take() {
            runtime.shutdown_timeout(LONG);
        }
    }

    pub(crate) fn come_back(&mut self) {
        self.serve(std::net::TcpListener::bind(self.address).unwrap());
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.kept.mood.lock().unwrap() = mood;
    }

    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.kept.taken.lock().unwrap().clone()
    }

    /// How often each event has come.
    pub(crate) fn uuids(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for body in self.bodies() {
            for uuid in uuids(&read(&body)) {
                *found.entry(uuid).or_default() += 1;
            }
        }
        found
    }
}

async fn take(State(kept): State<Arc<Kept>>, body: Bytes) -> StatusCode {
    let mood = || *kept.mood.lock().unwrap();
    let status = match mood() {
        Mood::Answers(status) => status,
        Mood::Refuses(text) if String::from_utf8_lossy(&body).contains(text) => 400,
        Mood::Refuses(_) => 204,
        Mood::Hangs => {
            while mood() == Mood::Hangs {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            503
        }
    };
    if status / 100 == 2 {
        kept.taken.lock().unwrap().push(body);
    }
    StatusCode::from_u16(status).unwrap()
}

/// A body, as JSON. What SDKs send that is none is read as docs/RELAY.md says ("What is mended"): a bare NaN of the
/// Python SDK as null, and half of the balloon 🎈 that the JavaScript program cuts as U+FFFD.
pub(crate) fn read(body: &[u8]) -> Value {
    let text = std::str::from_utf8(body).unwrap().replace(": NaN", ": null");
    let text = text.replace("\\ud83c\\udf88", "🎈").replace("\\ud83c", "\\ufffd");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn list<'a>(value: &'a mut Value, key: &str) -> &'a mut Vec<Value> {
    value[key].as_array_mut().unwrap()
}

fn uuids(body: &Value) -> Vec<String> {
    let visitors = body["visitors"].as_array().unwrap().iter();
    let snapshots = visitors.flat_map(|visitor| visitor["snapshots"].as_array().unwrap());
    let events = snapshots.flat_map(|snapshot| snapshot["events"].as_array().unwrap());
    events.map(|event| event["uuid"].as_str().unwrap().to_owned()).collect()
}

/// Each visitor of the bodies with its envelope, but for the uuids and times of its events, in an order of their own.
pub(crate) fn visitors(bodies: &[Bytes]) -> Vec<String> {
    let mut found = Vec::new();
    for body in bodies {
        let mut envelope = read(body);
        let visitors = envelope.as_object_mut().unwrap().remove("visitors").unwrap();
        for mut visitor in visitors.as_array().unwrap().clone() {
            for snapshot in list(&mut visitor, "snapshots") {
                for event in list(snapshot, "events") {
                    assert!(event["uuid"].is_string() && event["timestamp"].is_number(), "{event}");
                    event["uuid"] = Value::Null;
                    event["timestamp"] = Value::Null;
                }
            }
            found.push(format!("{visitor} of {envelope}"));
        }
    }
    found.sort_unstable();
    found
}

/// Sends a request without a body, and returns the status and the text of the answer.
pub(crate) fn ask(base: &str, method: &str, path: &str) -> (u16, String) {
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Posts a body, on a connection of its own, and returns the status.
pub(crate) fn post(url: &str, content_type: &str, body: &[u8]) -> u16 {
    post_for_head(url, content_type, body).0
}

/// The same, with the head of the answer.
pub(crate) fn post_for_head(url: &str, content_type: &str, body: &[u8]) -> (u16, String) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let length = body.len();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap(), answer)
}

/// An official SDK, in a program of interop/.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sdk {
    JavaScript,
    Python,
    /// Which sends ten events at a time.
    PythonInBatches,
}

/// A program that goes on.
pub(crate) struct Reporting(JoinHandle<Output>);

/// What a program said: uuids of events.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Of every event.
    pub(crate) reported: BTreeSet<String>,
    /// Those that were answered 204: they must arrive.
    pub(crate) taken: BTreeSet<String>,
}

impl Sdk {
    /// Reports events of so many visitors, or of so many again and again until there is a file.
    pub(crate) fn report(self, url: &str, prefix: &str, users: usize, until: Option<&str>) -> Reporting {
        let mut program = self.program();
        program.args([url, datafile(), prefix, &users.to_string()]);
        program.args(until.iter().flat_map(|file| ["--until", file]));
        program.stdin(Stdio::null()).stdout(Stdio::piped());
        let name = format!("{program:?}");
        let child = program.spawn().unwrap_or_else(|error| panic!("{name}: {error}: run scripts/sdks"));
        Reporting(thread::spawn(move || child.wait_with_output().unwrap()))
    }

    fn program(self) -> Command {
        let (repository, sdks) = (repository(), installed("sdks"));
        let mut program = match self {
            Self::JavaScript => Command::new("node"),
            Self::Python | Self::PythonInBatches => Command::new(sdks.join("python/bin/python")),
        };
        match self {
            Self::JavaScript => {
                program.arg(repository.join("interop/javascript/relay.cjs"));
                program.env("NODE_PATH", sdks.join("javascript/node_modules"));
            }
            Self::Python => drop(program.arg(repository.join("interop/python/relay.py"))),
            Self::PythonInBatches => {
                program.arg(repository.join("interop/python/relay.py")).arg("--batch");
            }
        }
        program
    }
}

impl Reporting {
    /// Waits for its end.
    pub(crate) fn said(self) -> Said {
        let output = self.0.join().unwrap();
        assert!(output.status.success(), "{}: run scripts/sdks", output.status);
        let (mut said, mut is_done) = (Said::default(), false);
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let uuids = |key: &str| {
                let list = line[key].as_array().into_iter().flatten();
                list.map(|uuid| uuid.as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            said.reported.extend(uuids("notified"));
            if line["status"] == 204 {
                said.taken.extend(uuids("uuids"));
            }
            is_done |= line["done"] == true;
        }
        assert!(is_done, "it was cut off");
        said
    }
}
