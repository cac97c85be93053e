//! A relay that is started again and again under load, while somebody else holds its socket: nobody is refused, nobody
//! is left without an answer, and nothing is lost.
//!
//! Clients behave as strict HTTP clients do (Go's, for one): a connection that the relay has closed is seen before a
//! request is written, and left; the same request goes out again on a new one if it could not be written whole. A
//! request that was written whole and gets no answer is not sent again, since it may have been taken. There must be none.
//!
//! `POSTHASTE_RESTARTS=100` restarts it so often.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    relays::{Ledger, Relay, Sink, asked},
    support::{Files, LONG, Ran, command, dead_endpoint},
};

/// Holds sockets, and passes them on to what it starts, as systemd does.
struct Holder(Vec<TcpListener>);

impl Holder {
    fn of(number: usize) -> Self {
        Self((0..number).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect())
    }

    fn address(&self, at: usize) -> SocketAddr {
        self.0[at].local_addr().unwrap()
    }

    /// The command with the sockets as descriptors 3 and 4. A shell gets them as its stdin and stderr, puts them there,
    /// and tells the process its own number.
    fn command(&self, args: &[&str]) -> Command {
        let mut shell = Command::new("sh");
        let second = if self.0.len() > 1 { " 4<&2 2>/dev/null" } else { "" };
        let script =
            format!("exec 3<&0{second} 0</dev/null; LISTEN_PID=$$ LISTEN_FDS={} exec \"$@\"", self.0.len());
        shell.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_posthaste"), "relay"]).args(args);
        shell.env_remove("POSTHASTE_LOG").stdout(Stdio::piped());
        let socket = |held: &TcpListener| Stdio::from(OwnedFd::from(held.try_clone().unwrap()));
        shell.stdin(socket(&self.0[0])).stderr(self.0.get(1).map_or(Stdio::inherit(), socket));
        shell
    }

    fn start(&self, args: &[&str]) -> Relay {
        Relay::with_stderr(self.command(args))
    }
}

/// How a client goes about its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    KeepsAlive,
    ConnectsAnew,
}

/// What has become of a client's requests.
#[derive(Debug, Default)]
struct Fates {
    /// Uuids of those that were answered 204.
    taken: BTreeSet<String>,
    /// Everything that must not be.
    troubles: Vec<String>,
    connections: usize,
}

/// Ends the clients, also where a test fails: they would wait for a relay for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

struct Client {
    name: String,
    address: SocketAddr,
    habit: Habit,
    connection: Option<BufReader<TcpStream>>,
    fates: Fates,
}

impl Client {
    fn run(mut self, is_over: &AtomicBool) -> Fates {
        let mut number = 0;
        while !is_over.load(SeqCst) {
            let uuid = format!("{}-{number}", self.name);
            number += 1;
            match self.report(&uuid) {
                Ok(204) => drop(self.fates.taken.insert(uuid)),
                Ok(status) => self.fates.troubles.push(format!("{uuid}: {status}")),
                Err(error) => self.fates.troubles.push(format!("{uuid}: {error}")),
            }
            thread::sleep(Duration::from_millis(4));
        }
        self.fates
    }

    /// The status that it was answered.
    fn report(&mut self, uuid: &str) -> Result<u16, String> {
        let request = request(uuid);
        if let Some(mut connection) = self.connection.take().filter(is_open)
            && connection.get_mut().write_all(&request).is_ok()
        {
            return self.answer(connection);
        }
        let stream = TcpStream::connect(self.address).map_err(|error| format!("refused: {error}"))?;
        self.fates.connections += 1;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut connection = BufReader::new(stream);
        connection.get_mut().write_all(&request).map_err(|error| format!("not taken: {error}"))?;
        self.answer(connection)
    }

    fn answer(&mut self, mut connection: BufReader<TcpStream>) -> Result<u16, String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match connection.read_line(&mut head) {
                Ok(1..) => {}
                ended => return Err(format!("no answer: {ended:?} after {head:?}")),
            }
        }
        if self.habit == Habit::KeepsAlive && !head.to_ascii_lowercase().contains("connection: close") {
            self.connection = Some(connection);
        }
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(head)
    }
}

/// Whether the other side has not closed it yet.
fn is_open(connection: &BufReader<TcpStream>) -> bool {
    let mut stream = connection.get_ref();
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn request(uuid: &str) -> Vec<u8> {
    let body = json!({
        "account_id": "1", "project_id": "2", "revision": "3", "client_name": "x", "client_version": "1",
        "anonymize_ip": true, "enrich_decisions": true,
        "visitors": [{"visitor_id": "v", "attributes": [], "snapshots": [{"decisions": [], "events": [
            {"entity_id": "3", "key": "buy", "timestamp": 1_795_559_589_561_i64, "uuid": uuid},
        ]}]}],
    })
    .to_string();
    let length = body.len();
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: relay\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Restarts a relay that goes on for this long when it is told to stop.
fn restart(drain_delay: &str, restarts: usize) {
    let (sink, files, holder, is_over) = (Sink::start(), Files::new(), Holder::of(1), AtomicBool::new(false));
    let data = files.path("data");
    let args = [
        "--json",
        "-q",
        "--admin",
        "none",
        "--upstream",
        &sink.url,
        "--data",
        &data,
        "--drain-delay",
        drain_delay,
    ];
    let clients = [Habit::KeepsAlive, Habit::KeepsAlive, Habit::KeepsAlive, Habit::ConnectsAnew];
    let fates: Vec<Fates> = thread::scope(|scope| {
        let clients = clients.iter().enumerate().map(|(number, habit)| Client {
            name: format!("{number}"),
            address: holder.address(0),
            habit: *habit,
            connection: None,
            fates: Fates::default(),
        });
        let running: Vec<_> = clients.map(|client| scope.spawn(|| client.run(&is_over))).collect();
        let over = Over(&is_over);
        for _ in 0..restarts {
            let relay = holder.start(&args);
            thread::sleep(Duration::from_millis(fastrand::u64(50..300)));
            let Ledger { accepted, delivered, dead_lettered, queued } = relay.stop();
            assert_eq!((accepted, dead_lettered), (delivered + queued, 0));
        }
        let last = holder.start(&args);
        drop(over);
        let fates = running.into_iter().map(|client| client.join().unwrap()).collect();
        let ledger = last.stop();
        assert_eq!((ledger.queued, ledger.dead_lettered), (0, 0));
        fates
    });
    let troubles: Vec<&String> = fates.iter().flat_map(|fates| &fates.troubles).collect();
    assert!(troubles.is_empty(), "{} of them: {:?}", troubles.len(), &troubles[..troubles.len().min(10)]);
    let taken: BTreeSet<&String> = fates.iter().flat_map(|fates| &fates.taken).collect();
    assert!(taken.len() > restarts, "{}", taken.len());
    assert!(fates.iter().all(|fates| fates.connections > restarts / 2), "each met restarts");
    let arrived = sink.uuids();
    let lost: Vec<_> = taken.iter().filter(|uuid| !arrived.contains_key(**uuid)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(arrived.len(), taken.len(), "every request was answered, so nothing else can have come");
}

#[test]
fn restarts_under_load_refuse_nobody_and_lose_nothing() {
    let restarts = asked("POSTHASTE_RESTARTS", 30);
    restart("100ms", restarts * 2 / 3);
    // Even where it is given no time: who is just sending gets an answer.
    restart("0s", restarts / 3);
}

#[test]
fn the_second_socket_is_for_the_admin_interface() {
    let (sink, holder) = (Sink::start(), Holder::of(2));
    // What is passed on counts for more than what is said.
    let relay = holder.start(&[
        "--json",
        "-q",
        "--memory",
        "--upstream",
        &sink.url,
        "--listen",
        "1",
        "--admin",
        "none",
        "--drain-delay",
        "0s",
    ]);
    assert_eq!(relay.url, format!("http://{}/v1/events", holder.address(0)));
    let body = request("u");
    let at = body.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(crate::relays::post(&relay.url, "application/json", &body[at..]), 204);
    assert_eq!(relay.delivered(), Ledger { accepted: 1, delivered: 1, dead_lettered: 0, queued: 0 });
    let metrics = crate::support::get(&format!("http://{}/metrics", holder.address(1)));
    assert!(metrics.contains("posthaste_relay_requests_total"), "{metrics}");
    relay.stop();
}

#[test]
fn sockets_that_are_none_of_a_relays_are_an_error() {
    let files = Files::new();
    let (upstream, data) = (dead_endpoint(), files.path("data"));
    let args = ["relay", "--upstream", &upstream, "--data", &data, "--listen", "0", "--admin", "0"];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for (number, first, said) in [
        ("3", Stdio::null(), "there are 3"),
        ("1", Stdio::null(), "fd 3 is not a socket"),
        ("1", OwnedFd::from(stream).into(), "number 1 is a connection with 127.0.0.1:"),
    ] {
        let program = command(&args);
        let mut shell = Command::new("sh");
        let script = "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=$FDS exec \"$@\"";
        shell.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
        let ran: Ran = shell.env("FDS", number).stdin(first).output().unwrap().into();
        let stderr = &ran.ended(1).stderr;
        assert!(
            stderr.starts_with("posthaste: failed to take the sockets that LISTEN_FDS passes on: "),
            "{stderr}"
        );
        assert!(stderr.contains(said) && stderr.lines().count() == 1, "{stderr}");
    }
    assert!(!std::path::Path::new(&data).exists());
    // Sockets of another process are not taken.
    let mut other = command(&[&args[..], &["--json", "--drain-delay", "0s"]].concat());
    other.env("LISTEN_PID", "1").env("LISTEN_FDS", "3");
    Relay::of(other).stop();
    // An upstream that is the socket passed on is the relay itself.
    let holder = Holder(vec![listener]);
    let own = format!("http://{}/v1/events", holder.address(0));
    let ran: Ran = holder
        .command(&["--upstream", &own, "--memory", "--admin", "0"])
        .stderr(Stdio::piped())
        .output()
        .unwrap()
        .into();
    assert!(ran.ended(2).stdout.is_empty());
}
