//! Running the binary, a collector for it to talk to, and a server that answers what a test wants.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::begun::Begun;

/// Longer than anything takes on the slowest machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent).unwrap()
}

/// A folder of target/, which the script of its name fills.
#[track_caller]
pub(crate) fn installed(name: &str) -> PathBuf {
    let folder = repository().join("target").join(name);
    assert!(
        folder.join("installed").exists(),
        "target/{name} is not installed: run scripts/{name}, or scripts/test, which does"
    );
    folder
}

pub(crate) fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../posthaste/tests/vectors").join(name)
}

pub(crate) fn datafile() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../posthaste/tests/vectors/larkspur.json")
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command.args(args).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["POSTHASTE_LOG", "POSTHASTE_DATAFILE", "POSTHASTE_ENDPOINT", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// Runs to the end.
pub(crate) fn run(args: &[&str]) -> Ran {
    command(args).output().unwrap().into()
}

/// Runs to the end with this on standard input.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Ran {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // A program that refuses its arguments reads nothing.
        let _ = stdin.write_all(&input);
    });
    let ran = child.wait_with_output().unwrap().into();
    writer.join().unwrap();
    ran
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The last line of stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn ended(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// A folder for the files of one test.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.0.path().join(name), content).unwrap();
        self.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// `posthaste collect` on a free port.
pub(crate) struct Collector {
    begun: Begun,
    /// Where events are posted to.
    pub(crate) url: String,
}

impl Collector {
    pub(crate) fn start(args: &[&str]) -> Self {
        let listen: &[&str] = if args.contains(&"--listen") { &[] } else { &["--listen", "0"] };
        let args = [&["collect", "--json"], listen, args].concat();
        let mut command = command(&args);
        command.stderr(Stdio::null());
        let begun = Begun::of(command);
        Self { url: begun.url().to_owned(), begun }
    }

    /// The URL of another path than that of events.
    pub(crate) fn at(&self, path: &str) -> String {
        self.url.strip_suffix("/v1/events").unwrap().to_owned() + path
    }

    /// HOST:PORT.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().split('/').next().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        serde_json::from_str(&get(&self.at(path))).unwrap()
    }

    /// Every good event; a page holds 10,000.
    pub(crate) fn good(&self) -> Vec<Value> {
        self.get("/good?limit=10000").as_array().unwrap().clone()
    }

    /// What arrived, but for when.
    pub(crate) fn arrived(&self) -> Vec<String> {
        let mut good = self.good();
        for event in &mut good {
            for when in ["received_ms", "id", "request"] {
                event[when] = 0.into();
            }
        }
        let mut good: Vec<String> = good.iter().map(Value::to_string).collect();
        good.sort();
        good
    }

    /// Stops it, and returns the ledger that it prints.
    pub(crate) fn stop(mut self) -> Value {
        interrupt(&self.begun.child);
        let ledger = read_json(&mut self.begun.stdout);
        assert!(self.begun.child.wait().unwrap().success());
        ledger
    }
}

/// The next line.
pub(crate) fn read_json(reader: &mut impl BufRead) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

/// Ctrl-C.
pub(crate) fn interrupt(child: &Child) {
    signal(child, rustix::process::Signal::INT);
}

pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

/// The body of the answer to a GET.
pub(crate) fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Status and text of the answer.
pub(crate) fn post(url: &str, body: &[u8], strict: Option<&str>) -> (u16, String) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let strict = strict.map_or_else(String::new, |strict| format!("X-Optimizely-Strict: {strict}\r\n"));
    let length = body.len();
    let head = format!("POST /{path} HTTP/1.0\r\nHost: {host}\r\n{strict}Content-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// A server that answers each body with the status a test chooses, and keeps the bodies.
pub(crate) struct Server {
    pub(crate) url: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    hits: Arc<AtomicUsize>,
}

impl Server {
    /// `answer` may block: every connection has its own thread.
    pub(crate) fn start(keep: bool, answer: impl Fn(&[u8]) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/events", listener.local_addr().unwrap());
        let (bodies, hits) = (Arc::<Mutex<Vec<Vec<u8>>>>::default(), Arc::<AtomicUsize>::default());
        let (kept, counted, answer) = (Arc::clone(&bodies), Arc::clone(&hits), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, counted, answer) = (Arc::clone(&kept), Arc::clone(&counted), Arc::clone(&answer));
                thread::spawn(move || {
                    let Ok(stream) = stream else { return };
                    stream.set_nodelay(true).unwrap();
                    let mut reader = BufReader::new(stream);
                    while let Some(body) = read_request(&mut reader) {
                        counted.fetch_add(1, SeqCst);
                        let status = answer(&body);
                        if keep {
                            kept.lock().unwrap().push(body);
                        }
                        let head = format!("HTTP/1.1 {status} X\r\n");
                        let rest = if status == 204 { "\r\n" } else { "content-length: 7\r\n\r\nrefused" };
                        if reader.get_mut().write_all((head + rest).as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, bodies, hits }
    }

    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().unwrap().clone()
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.load(SeqCst)
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// HOST:PORT where nobody listens now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Where events could be posted to, if somebody listened there.
pub(crate) fn dead_endpoint() -> String {
    format!("http://{}/v1/events", free_address())
}

/// A line that `send` takes.
pub(crate) fn impression(user: &str) -> String {
    serde_json::json!({
        "type": "impression", "user_id": user, "experiment": "checkout_button", "variation": "control",
        "timestamp": 1_795_500_003_394_i64, "uuid": format!("uuid-of-{user}"),
    })
    .to_string()
        + "\n"
}

/// The bodies of recorded requests, one a line.
pub(crate) fn recorded_bodies(name: &str) -> Vec<String> {
    let text = fs::read_to_string(vector(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["body"].as_str().unwrap().to_owned())
        .collect()
}
