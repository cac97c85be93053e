//! Real NATS servers for tests: started on free loopback ports with folders of their own, killed, started again, and
//! stopped by pid, whatever becomes of the test.
//!
//! A small shell stands between: it kills its server when its standard input ends, so that no server outlives a test that
//! was itself killed.

#![allow(dead_code, reason = "each test binary that has this module uses its own part of it")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to start; a cluster elects first.
const START: Duration = Duration::from_secs(60);

const SHELL: &str = r#""$0" -c "$1" >"$2" 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null; wait"#;

/// Some servers: one, or a cluster.
#[derive(Debug)]
pub(crate) struct Servers {
    servers: Vec<Server>,
    folder: TempDir,
}

#[derive(Debug)]
struct Server {
    name: String,
    port: u16,
    monitor: u16,
    cluster: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    shell: Child,
    pid: u32,
}

/// What a cluster's servers have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) count: usize,
    /// Lines for each server's file.
    pub(crate) lines: String,
    pub(crate) syncs_always: bool,
}

/// The server that `scripts/nats` has installed.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/nats/nats-server");
    assert!(program.exists(), "{} is not there: run scripts/nats", program.display());
    program
}

/// A port that nobody has, and below those that the system gives away by itself.
fn free_port() -> u16 {
    (0..1_000)
        .map(|_| fastrand::u16(12_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

impl Servers {
    pub(crate) fn one() -> Self {
        Self::start(&Config { count: 1, ..Config::default() })
    }

    pub(crate) fn three() -> Self {
        Self::start(&Config { count: 3, ..Config::default() })
    }

    pub(crate) fn with(lines: &str) -> Self {
        Self::start(&Config { count: 1, lines: lines.to_owned(), ..Config::default() })
    }

    pub(crate) fn start(config: &Config) -> Self {
        let mut servers = Self::prepared(config);
        for at in 0..config.count {
            servers.run(at);
        }
        for at in 0..config.count {
            servers.wait_until_ready(at);
        }
        servers
    }

    /// They have their places, and do not run yet.
    pub(crate) fn prepared(config: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let new = |at: usize| Server {
            name: format!("n{}", at + 1),
            port: free_port(),
            monitor: free_port(),
            cluster: free_port(),
            running: None,
        };
        let servers = Self { servers: (0..config.count).map(new).collect(), folder };
        for at in 0..config.count {
            fs::write(servers.file(at, "conf"), servers.text(at, config)).unwrap();
        }
        servers
    }

    fn text(&self, at: usize, config: &Config) -> String {
        let Server { name, port, monitor, cluster, .. } = &self.servers[at];
        let store = self.file(at, "store").display().to_string();
        let sync = if config.syncs_always { "sync_interval: always" } else { "" };
        let routes: Vec<String> =
            self.servers.iter().map(|server| format!("\"nats://127.0.0.1:{}\"", server.cluster)).collect();
        let routes = routes.join(", ");
        let cluster = match config.count {
            1 => String::new(),
            _ => format!("cluster {{ name: test, listen: \"127.0.0.1:{cluster}\", routes: [{routes}] }}\n"),
        };
        format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
             jetstream {{ store_dir: \"{store}\", max_file: 4GB, {sync} }}\n{cluster}{}\n",
            config.lines
        )
    }

    fn file(&self, at: usize, what: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{what}", self.servers[at].name))
    }

    pub(crate) fn run(&mut self, at: usize) {
        let mut shell = Command::new("sh")
            .args(["-c", SHELL])
            .arg(program())
            .args([self.file(at, "conf"), self.file(at, "log")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().unwrap();
        self.servers[at].running = Some(Running { shell, pid });
    }

    /// Waits until it says that it is healthy, with everything that it stores.
    pub(crate) fn wait_until_ready(&self, at: usize) {
        let until = Instant::now() + START;
        while !self.is_ready(at) {
            let log = || fs::read_to_string(self.file(at, "log")).unwrap_or_default();
            assert!(Instant::now() < until, "server {at} does not start:\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self, at: usize) -> bool {
        self.get(at, "/healthz").is_some_and(|answer| answer.starts_with("HTTP/1.0 200"))
    }

    /// What a server says at its monitoring address.
    pub(crate) fn get(&self, at: usize, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.servers[at].monitor)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// SIGKILL, and nothing else.
    pub(crate) fn kill(&mut self, at: usize) {
        drop(self.servers[at].running.take());
    }

    pub(crate) fn kill_all(&mut self) {
        // At once: all shells are told before any is waited for.
        for server in &mut self.servers {
            if let Some(running) = &mut server.running {
                running.kill();
            }
        }
        (0..self.servers.len()).for_each(|at| self.kill(at));
    }

    pub(crate) fn restart(&mut self, at: usize) {
        self.run(at);
        self.wait_until_ready(at);
    }

    pub(crate) fn restart_all(&mut self) {
        (0..self.servers.len()).for_each(|at| self.run(at));
        (0..self.servers.len()).for_each(|at| self.wait_until_ready(at));
    }

    /// Which of them leads the stream's replicas.
    pub(crate) fn leader_named(&self, name: &str) -> Option<usize> {
        self.servers.iter().position(|server| server.name == name)
    }

    /// As one address: all of them.
    pub(crate) fn address(&self, stream: &str) -> String {
        self.address_of("", stream)
    }

    /// The same, with a user or token before the first (`who@`).
    pub(crate) fn address_of(&self, who: &str, stream: &str) -> String {
        let ports: Vec<String> =
            self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("nats://{who}{}/{stream}", ports.join(","))
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("nats://127.0.0.1:{}", server.port)).collect()
    }

    pub(crate) fn monitors(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("http://127.0.0.1:{}", server.monitor)).collect()
    }

    pub(crate) fn port(&self, at: usize) -> u16 {
        self.servers[at].port
    }
}

impl Running {
    fn kill(&mut self) {
        // The shell does the same as soon as its input ends; this is sooner.
        let killed = Command::new("kill").args(["-9", &self.pid.to_string()]).stderr(Stdio::null()).status();
        drop(killed);
        drop(self.shell.stdin.take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        drop(self.shell.wait());
    }
}
