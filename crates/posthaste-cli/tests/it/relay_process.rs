//! A relay as a process of its own: how much memory it takes, and clients that talk to it over one connection each.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::Stdio,
    time::Duration,
};

use posthaste::{Clock, SystemClock};

use crate::{begun::Begun, support::LONG};

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;

/// It has free ports, and ends as soon as it is told to.
pub(crate) struct RelayProcess {
    begun: Begun,
    pub(crate) address: SocketAddr,
    /// From when it was started to when it listened.
    pub(crate) started_in: Duration,
    /// Events that it found in its folder.
    pub(crate) found: u64,
}

impl RelayProcess {
    pub(crate) fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Begun::command("none", args);
        command.envs(variables.iter().map(|(name, value)| (format!("POSTHASTE_RELAY_{name}"), value)));
        command.stderr(Stdio::null());
        let from = SystemClock.elapsed();
        let begun = Begun::of(command);
        let started_in = SystemClock.elapsed().checked_sub(from).unwrap();
        let address = begun.url().trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
        let found = begun.said["found"].as_u64().unwrap();
        Self { begun, address, started_in, found }
    }

    /// Bytes that it has in memory now.
    pub(crate) fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it ever had.
    pub(crate) fn resident_most(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.begun.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * KIB
    }

    /// Bytes that it has read of files and connections so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.begun.child.id())).unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    }

    pub(crate) fn client(&self) -> Poster {
        Poster { address: self.address, stream: None }
    }

    pub(crate) fn kill(mut self) {
        self.begun.kill();
    }

    pub(crate) fn stop(mut self) -> Option<i32> {
        self.begun.terminate();
        self.begun.child.wait().unwrap().code()
    }
}

/// A client that posts one body after the other, and connects again where its connection has ended.
pub(crate) struct Poster {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Poster {
    /// The status, and the head of the answer; 0: the connection ended without one.
    pub(crate) fn post(&mut self, headers: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.stream.take().unwrap_or_else(|| BufReader::new(connect(self.address)));
        let length = body.len();
        let head =
            format!("POST /v1/events HTTP/1.1\r\nhost: relay\r\n{headers}content-length: {length}\r\n\r\n");
        // It may be answered before all of it is sent.
        let sent = stream.get_mut().write_all(&[head.as_bytes(), body].concat());
        let answer = read_answer(&mut stream).unwrap_or_default();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        if sent.is_ok() && status != 0 && !answer.contains("connection: close") {
            self.stream = Some(stream);
        }
        (status, answer)
    }

    /// Posts until it is taken, and says how often it was refused.
    pub(crate) fn post_until_taken(&mut self, body: &[u8]) -> usize {
        let until = SystemClock.elapsed() + LONG;
        let mut refused = 0;
        loop {
            match self.post("", body) {
                (204, _) => return refused,
                (503, head) => assert!(head.contains("retry-after: "), "{head}"),
                other => panic!("{other:?}"),
            }
            refused += 1;
            assert!(SystemClock.elapsed() < until, "refused {refused} times");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
        head += &line;
    }
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some(head)
}

/// A body of one event, of about so many bytes.
pub(crate) fn body(uuid: &str, bytes: usize) -> Vec<u8> {
    let padding = "x".repeat(bytes.saturating_sub(160));
    format!(
        r#"{{"account_id":"1","project_id":"p","visitors":[{{"visitor_id":"v{padding}","snapshots":[{{"events":[{{"entity_id":"3","key":"buy","timestamp":1795559589561,"uuid":"{uuid}"}}]}}]}}]}}"#
    )
    .into()
}

/// The uuids in a body, however many visitors it has.
pub(crate) fn uuids(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.split(r#""uuid":""#).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Tells whoever runs the tests.
pub(crate) fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
