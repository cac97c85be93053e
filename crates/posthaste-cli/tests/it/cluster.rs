//! The drill: three real servers, two relays that accept and two that deliver, under load; servers are killed and started
//! again in turn, relays too, and all three servers at once. Whatever got its 204 arrives, and nothing else does.
//!
//! Nothing asks the code under test: what was promised the clients know, what arrived the upstream, and the oracle judges.
//!
//! `POSTHASTE_CLUSTER_ROUNDS=300` goes on for so long.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use posthaste::{Clock, SystemClock};
use posthaste_oracle::{Answer, Digest, Fact, Oracle, Verdict};
use serde_json::{Value, json};

use crate::{
    nats_servers::Servers,
    relays::{Relay, asked},
    support::{Files, Server, command},
};

const CLIENTS: usize = 4;
/// Events of a request, at most.
const EVENTS_MAX: u64 = 3;
/// How long a client waits between two requests.
const PAUSE: Duration = Duration::from_millis(10);
/// How long whoever was killed stays away.
const AWAY_MS: std::ops::Range<u64> = 50..400;
/// For how long everything is well, before the next is killed.
const WELL_MS: std::ops::Range<u64> = 200..700;
/// How long what is left may take to arrive.
const LAST: Duration = Duration::from_secs(90);

/// What clients were told, and what arrived.
#[derive(Default)]
struct Books {
    oracle: Mutex<Oracle>,
    runs: AtomicU32,
    events: AtomicU64,
}

impl Books {
    fn note(&self, fact: Fact) {
        self.oracle.lock().unwrap().note(fact);
    }

    fn verdict(&self) -> Verdict {
        self.oracle.lock().unwrap().verdict()
    }

    /// The upstream has a request.
    fn arrived(&self, body: &[u8]) {
        let request: Option<Value> = serde_json::from_slice(body).ok();
        let visitors = request.as_ref().and_then(|request| request["visitors"].as_array());
        let Some(visitors) = visitors else { return self.note(Fact::Stray { at_ms: 0 }) };
        for visitor in visitors {
            let id = visitor["visitor_id"].as_str().and_then(|id| id.strip_prefix("v-")?.parse().ok());
            let digest = Digest::of_json(visitor);
            self.note(match id {
                Some(id) => Fact::Arrived { id, digest, answer: Answer::Taken, at_ms: 0 },
                None => Fact::Stray { at_ms: 0 },
            });
        }
    }

    /// Posts new events once. For the books, whoever gets no 204 has died: nothing is promised, and they may arrive.
    fn report(&self, address: SocketAddr, count: u64, is_fresh: bool) -> bool {
        let run = self.runs.fetch_add(1, SeqCst) + 1;
        let from = self.events.fetch_add(count, SeqCst) + 1;
        let visitors: Vec<(u64, Value)> = (from..from + count).map(|id| (id, visitor(id))).collect();
        self.note(Fact::Started { run });
        for (id, visitor) in &visitors {
            self.note(Fact::Claimed { run, id: *id, digest: Digest::of_json(visitor) });
        }
        let is_taken = post(address, &body(&visitors)) == Some(204);
        for (id, _) in visitors.iter().filter(|_| is_taken) {
            self.note(Fact::Accepted { run, id: *id });
            self.note(Fact::Stored { run, id: *id });
            if is_fresh {
                self.note(Fact::Fresh { id: *id });
            }
        }
        self.note(if is_taken { Fact::Ended { run } } else { Fact::Killed { run } });
        is_taken
    }
}

fn visitor(id: u64) -> Value {
    json!({"visitor_id": format!("v-{id}"), "attributes": [], "snapshots": [{"decisions": [], "events": [
        {"entity_id": "3", "key": "buy", "timestamp": 1_795_559_589_561_i64 + i64::try_from(id).unwrap(),
         "uuid": format!("{id:08x}-0000-4000-8000-{:012x}", fastrand::u64(..1 << 48))},
    ]}]})
}

fn body(visitors: &[(u64, Value)]) -> Vec<u8> {
    let visitors: Vec<&Value> = visitors.iter().map(|(_, visitor)| visitor).collect();
    json!({
        "account_id": "1", "project_id": "2", "revision": "3", "client_name": "x", "client_version": "1",
        "anonymize_ip": true, "enrich_decisions": true, "visitors": visitors,
    })
    .to_string()
    .into()
}

/// The status; `None`: there was no answer.
fn post(address: SocketAddr, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let length = body.len();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Two relays that accept, each with its own bridge, and two that deliver.
struct Relays {
    queue: String,
    upstream: String,
    files: Files,
    accepting: Vec<Option<Relay>>,
    delivering: Vec<Option<Relay>>,
    /// Where those that accept are now.
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Relays {
    fn start(queue: String, upstream: &str) -> Self {
        let mut relays = Self {
            queue,
            upstream: upstream.to_owned(),
            files: Files::new(),
            accepting: vec![None, None],
            delivering: vec![None, None],
            addresses: Arc::new(Mutex::new(vec![SocketAddr::from(([127, 0, 0, 1], 1)); 2])),
        };
        for at in 0..4 {
            relays.run(at);
        }
        relays
    }

    fn run(&mut self, at: usize) {
        let data = self.files.path(&format!("data-{at}"));
        let common = ["relay", "--json", "-q", "--drain-delay", "0s", "--queue", &self.queue];
        if at < 2 {
            let args = ["--role", "accept", "--listen", "0", "--admin", "none", "--data", &data];
            let relay = Relay::of(command(&[&common[..], &args].concat()));
            let host = relay.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
            self.addresses.lock().unwrap()[at] = host.parse().unwrap();
            self.accepting[at] = Some(relay);
        } else {
            let args = ["--role", "deliver", "--admin", "0", "--upstream", &self.upstream];
            let mut command = command(&[&common[..], &args].concat());
            // What a killed relay had comes back soon.
            command.env("POSTHASTE_RELAY_NATS_ACK_WAIT", "2s");
            self.delivering[at - 2] = Some(Relay::of(command));
        }
    }

    fn kill(&mut self, at: usize) {
        let relays = if at < 2 { &mut self.accepting } else { &mut self.delivering };
        relays[at % 2].take().unwrap().kill();
    }
}

/// Ends the clients, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn client(number: usize, books: &Books, addresses: &Mutex<Vec<SocketAddr>>, is_over: &AtomicBool) {
    while !is_over.load(SeqCst) {
        let address = addresses.lock().unwrap()[number % 2];
        books.report(address, fastrand::u64(1..=EVENTS_MAX), false);
        thread::sleep(PAUSE);
    }
}

/// Somebody is killed, and started again.
fn round(number: usize, servers: &mut Servers, relays: &mut Relays) {
    let away = || thread::sleep(Duration::from_millis(fastrand::u64(AWAY_MS)));
    match number % 5 {
        // A server, each in its turn.
        0 | 2 => {
            let at = (number / 2) % 3;
            servers.kill(at);
            away();
            servers.restart(at);
        }
        // A relay, each in its turn.
        1 | 3 => {
            let at = (number / 2) % 4;
            relays.kill(at);
            away();
            relays.run(at);
        }
        // All servers at once, and a relay while they are away.
        _ => {
            let at = (number / 5) % 4;
            servers.kill_all();
            away();
            relays.kill(at);
            servers.restart_all();
            relays.run(at);
        }
    }
    thread::sleep(Duration::from_millis(fastrand::u64(WELL_MS)));
}

fn wait_until(within: Duration, is_so: impl Fn() -> bool) -> bool {
    let until = SystemClock.elapsed() + within;
    while SystemClock.elapsed() < until {
        if is_so() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    is_so()
}

#[test]
fn what_got_its_204_arrives_whoever_is_killed() {
    let rounds: usize = asked("POSTHASTE_CLUSTER_ROUNDS", 30);
    let mut servers = Servers::three();
    let books = Arc::<Books>::default();
    let noted = Arc::clone(&books);
    let upstream = Server::start(false, move |body| {
        noted.arrived(body);
        204
    });
    let mut relays = Relays::start(servers.address("events"), &upstream.url);
    let (is_over, addresses) = (AtomicBool::new(false), Arc::clone(&relays.addresses));
    thread::scope(|scope| {
        let over = Over(&is_over);
        for number in 0..CLIENTS {
            let (books, addresses, is_over) = (&books, &addresses, &is_over);
            scope.spawn(move || client(number, books, addresses, is_over));
        }
        assert!(wait_until(LAST, || books.verdict().arrived > 20), "nothing flows: {:?}", books.verdict());
        for number in 0..rounds {
            round(number, &mut servers, &mut relays);
        }
        drop(over);
    });
    let address = addresses.lock().unwrap()[0];
    assert!(wait_until(LAST, || books.report(address, 1, true)), "a fresh event is refused");
    wait_until(LAST, || books.verdict().ok());
    let verdict = books.verdict();
    assert!(verdict.ok(), "{verdict:#?}");
    assert!(verdict.stored > rounds as u64 * 10, "{verdict:#?}");
    let Verdict { claimed, stored, arrived, repeated, .. } = verdict;
    crate::relay_process::say(&format!(
        "{rounds} rounds: {claimed} events, {stored} answered 204, {arrived} arrived, {repeated} repeats, none lost"
    ));
}
