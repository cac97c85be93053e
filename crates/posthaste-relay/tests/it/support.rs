//! What tests of the relay share: a relay in this process, an upstream that counts by itself, and a raw client.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use posthaste_relay::{Config, Relay, Report, Stop};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Long enough for anything that is to happen at all, on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A relay that serves, in this process.
pub(crate) struct Running {
    pub(crate) relay: Relay,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: Stop,
    served: JoinHandle<Report>,
}

impl Running {
    pub(crate) async fn start(config: Config) -> Self {
        Self::of(Relay::open(Config { drain_delay: Duration::ZERO, ..config }).unwrap()).await
    }

    /// Serves one that is open.
    pub(crate) async fn of(relay: Relay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, admin) = (listener.local_addr().unwrap(), admin_listener.local_addr().unwrap());
        let stop = Stop::new();
        let (serving, stopping) = (relay.clone(), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "its handle is waited for in `end`")]
        let served =
            tokio::spawn(async move { serving.serve(listener, Some(admin_listener), &stopping).await });
        Self { relay, address, admin, stop, served }
    }

    pub(crate) async fn end(self) -> Report {
        self.stop.stop();
        self.served.await.unwrap()
    }

    /// Nobody waits for it any longer.
    pub(crate) fn abandon(self) {
        self.served.abort();
    }

    /// Waits until nothing is queued.
    pub(crate) async fn delivered(&self) {
        until(|| self.relay.ledgers().iter().all(|(_, ledger)| ledger.queued == 0)).await;
    }
}

/// Tells whoever runs the tests.
pub(crate) fn say(what: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "{what}"));
}

/// What chance hangs on, told so that a test can do the same again.
pub(crate) fn seed() -> u64 {
    let seed =
        std::env::var("POSTHASTE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    say(&format!("POSTHASTE_SEED={seed} does the same again"));
    seed
}

/// Waits until it is so; where that does not come, says who waited.
#[track_caller]
pub(crate) fn until(mut is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let who = std::panic::Location::caller();
    async move {
        let waiting = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "what {who} waits for has not come");
    }
}

/// What an upstream answers to a body.
pub(crate) type Answering = Box<dyn FnMut(&[u8]) -> u16 + Send>;

/// An upstream that counts by itself what it has taken.
pub(crate) struct Sink {
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<Bytes>>>,
    answering: Arc<Mutex<Answering>>,
    asked: Arc<AtomicUsize>,
    _serving: JoinHandle<()>,
}

impl Sink {
    pub(crate) async fn start(answering: impl FnMut(&[u8]) -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/events", listener.local_addr().unwrap());
        let taken: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let answering: Arc<Mutex<Answering>> = Arc::new(Mutex::new(Box::new(answering)));
        let asked = Arc::<AtomicUsize>::default();
        let serving = Self::serve(listener, Arc::clone(&taken), Arc::clone(&answering), Arc::clone(&asked));
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        let serving = tokio::spawn(serving);
        Self { url, taken, answering, asked, _serving: serving }
    }

    /// One that takes everything.
    pub(crate) async fn taking() -> Self {
        Self::start(|_| 204).await
    }

    async fn serve(
        listener: TcpListener,
        taken: Arc<Mutex<Vec<Bytes>>>,
        answering: Arc<Mutex<Answering>>,
        asked: Arc<AtomicUsize>,
    ) {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (taken, answering, asked) = (Arc::clone(&taken), Arc::clone(&answering), Arc::clone(&asked));
            let answer = service_fn(move |request: Request<Incoming>| {
                let (taken, answering, asked) =
                    (Arc::clone(&taken), Arc::clone(&answering), Arc::clone(&asked));
                async move {
                    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
                    let mut answer = Response::new(Full::<Bytes>::default());
                    let Ok(body) = body else { return Ok(answer) };
                    asked.fetch_add(1, SeqCst);
                    let status = (answering.lock())(&body);
                    if status / 100 == 2 {
                        taken.lock().push(body);
                    }
                    if status == 429 {
                        answer.headers_mut().insert("retry-after", HeaderValue::from_static("86400"));
                    }
                    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                    Ok::<_, Infallible>(answer)
                }
            });
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    }

    /// Answers like this from now on.
    pub(crate) fn answers(&self, answering: impl FnMut(&[u8]) -> u16 + Send + 'static) {
        *self.answering.lock() = Box::new(answering);
    }

    /// How many requests it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// The bodies that it has taken.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.taken.lock().clone()
    }

    /// How often each event came, by uuid.
    pub(crate) fn uuids(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for body in self.bodies() {
            for uuid in uuids(&serde_json::from_slice(&body).unwrap()) {
                *found.entry(uuid).or_default() += 1;
            }
        }
        found
    }
}

/// The uuids of a body's events.
pub(crate) fn uuids(body: &Value) -> Vec<String> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let snapshots =
        list(body, "visitors").iter().flat_map(|visitor| list(visitor, "snapshots")).collect::<Vec<_>>();
    let events = snapshots.iter().flat_map(|snapshot| list(snapshot, "events"));
    events.filter_map(|event| event["uuid"].as_str().map(str::to_owned)).collect()
}

/// A body with an event of this uuid, of this account.
pub(crate) fn body(account: &str, uuid: &str) -> String {
    format!(
        r#"{{"account_id":"{account}","project_id":"p","revision":"1","visitors":[{{"visitor_id":"v-{uuid}","snapshots":[{{"events":[{{"entity_id":"3","key":"buy","timestamp":1795559589561,"uuid":"{uuid}"}}]}}]}}]}}"#
    )
}

/// What came back over a connection: all bytes until it closed, or until this much time had passed.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) text: String,
    pub(crate) closed: bool,
}

impl Back {
    /// The statuses of the answers, in order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let heads = self.text.split("HTTP/1.1 ").skip(1);
        heads.filter_map(|head| head.get(..3)?.parse().ok()).collect()
    }
}

/// Sends these bytes over a connection of their own, and reads what comes back for this long at most.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8], within: Duration) -> Back {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The relay may answer, and close, before everything is sent.
    drop(stream.write_all(bytes).await);
    read(&mut stream, within).await
}

pub(crate) async fn read(stream: &mut TcpStream, within: Duration) -> Back {
    let (mut text, mut buffer) = (Vec::new(), [0; 4_096]);
    let reading = async {
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(read) => text.extend_from_slice(&buffer[..read]),
            }
        }
    };
    let closed = tokio::time::timeout(within, reading).await.is_ok();
    Back { text: String::from_utf8_lossy(&text).into_owned(), closed }
}

/// Posts a body on a connection that is kept, made where there is none, and returns the status and the head of the
/// answer; status 0: the connection ended without one.
pub(crate) async fn exchange(
    stream: &mut Option<TcpStream>,
    address: SocketAddr,
    body: &str,
) -> (u16, String) {
    let mut on = match stream.take() {
        Some(stream) => stream,
        None => TcpStream::connect(address).await.unwrap(),
    };
    let head = format!("POST /v1/events HTTP/1.1\r\nhost: relay\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut answer = Vec::new();
    let is_whole = on.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.is_ok()
        && read_answer(&mut on, &mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    if is_whole && !text.contains("connection: close") {
        *stream = Some(on);
    }
    (text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default(), text)
}

/// Reads one answer; false: the connection ended before.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 1_024];
    loop {
        let text = String::from_utf8_lossy(answer);
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if rest.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return true;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Posts a body with these header lines, and returns the status and the text of the answer.
pub(crate) async fn post(address: SocketAddr, headers: &str, body: &[u8]) -> (u16, String) {
    post_to(address, "/v1/events", headers, body).await
}

pub(crate) async fn post_to(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    let back = raw(address, &[head.as_bytes(), body].concat(), PATIENCE).await;
    (back.statuses().first().copied().unwrap_or_default(), back.text)
}
