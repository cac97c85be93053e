//! `posthaste send --spool` and files that grow: a line is sent once it has its end, and once only, whatever is done to
//! the file and to who reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::{Read, Write},
    process::Child,
    thread,
    time::Duration,
};

use posthaste::{Clock, SystemClock};
use serde_json::Value;

use crate::support::{Files, LONG, Ran, Server, command, datafile, interrupt, run, signal};

/// A line that gets its uuid and its time from whoever sends it: sent twice, it counts twice.
fn line(user: &str) -> String {
    format!("{{\"type\":\"conversion\",\"user_id\":\"{user}\",\"event\":\"purchase\"}}\n")
}

fn add(path: &str, bytes: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(bytes.as_ref()).unwrap();
}

/// How many different events arrived of each visitor. An event that comes again after a kill has its old uuid.
fn arrived(server: &Server) -> BTreeMap<String, usize> {
    let mut events = BTreeMap::<String, BTreeSet<String>>::new();
    for body in server.bodies() {
        let body: Value = serde_json::from_slice(&body).unwrap();
        for visitor in body["visitors"].as_array().unwrap() {
            let uuid = visitor["snapshots"][0]["events"][0]["uuid"].as_str().unwrap();
            let id = visitor["visitor_id"].as_str().unwrap();
            events.entry(id.to_owned()).or_default().insert(uuid.to_owned());
        }
    }
    events.into_iter().map(|(id, uuids)| (id, uuids.len())).collect()
}

fn once(users: &[&str]) -> BTreeMap<String, usize> {
    users.iter().map(|user| ((*user).to_owned(), 1)).collect()
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = SystemClock.elapsed();
    while !is_so() {
        assert!(SystemClock.elapsed() < started + LONG, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn send(spool: &str, url: &str, rest: &[&str]) -> Ran {
    run(&[&["send", "--json", "--spool", spool, "--datafile", datafile(), "--endpoint", url], rest].concat())
}

/// A log, and who follows it.
struct Log {
    files: Files,
    server: Server,
    path: String,
    spool: String,
    follower: Option<Child>,
}

impl Log {
    fn new(content: &str) -> Self {
        let files = Files::new();
        let (path, spool) = (files.write("log.jsonl", content), files.path("spool"));
        Self { files, server: Server::start(true, |_| 204), path, spool, follower: None }
    }

    /// Follows it, as soon as the place is stored.
    fn followed(content: &str) -> Self {
        let mut log = Self::new(content);
        log.follow();
        wait_until("a position is stored", || log.position() != Value::Null);
        log
    }

    fn follow(&mut self) {
        let fixed = ["send", "--json", "--follow", "--spool", &self.spool, "--datafile", datafile()];
        let args = [&fixed[..], &["--endpoint", &self.server.url, &self.path]].concat();
        self.follower = Some(command(&args).spawn().unwrap());
    }

    fn position(&self) -> Value {
        let ran = run(&["spool", "status", "--json", &self.spool]);
        if ran.code == Some(0) { ran.json()["position"].clone() } else { Value::Null }
    }

    fn aside(&self, number: usize) -> String {
        self.files.path(&format!("log.jsonl.{number}"))
    }

    /// Renames the log, after those that were renamed before.
    fn rotate(&self) {
        let last = (1..1_000).find(|number| !fs::exists(self.aside(*number)).unwrap()).unwrap();
        for number in (1..last).rev() {
            fs::rename(self.aside(number), self.aside(number + 1)).unwrap();
        }
        fs::rename(&self.path, self.aside(1)).unwrap();
    }

    #[track_caller]
    fn has(&self, users: &[&str]) {
        wait_until(&format!("{users:?} arrive"), || arrived(&self.server).len() >= users.len());
        assert_eq!(arrived(&self.server), once(users));
    }

    fn kill(&mut self) {
        if let Some(mut follower) = self.follower.take() {
            follower.kill().unwrap();
            follower.wait().unwrap();
        }
    }

    /// Stops it as a service manager does.
    fn stop(&mut self) -> Ran {
        let follower = self.follower.take().unwrap();
        signal(&follower, rustix::process::Signal::TERM);
        follower.wait_with_output().unwrap().into()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_half_written_last_line_waits_for_the_next_run() {
    let last = line("bøb");
    let whole = last.trim_end().len();
    let start = last.find('ø').unwrap();
    for cut in [0, 1, start, start + 1, whole - 1, whole, last.len()] {
        let log = Log::new(&line("ann"));
        add(&log.path, &last.as_bytes()[..cut]);
        let ran = send(&log.spool, &log.server.url, &[&log.path]);
        let report = ran.ended(0).json();
        let is_left = cut > 0 && cut < whole;
        assert_eq!(report["unfinished_line"], if is_left { 2.into() } else { Value::Null }, "cut at {cut}");
        let told = ran.stderr.lines().filter(|line| line.contains("log.jsonl:2: this line has no end yet"));
        assert_eq!(told.count(), usize::from(is_left), "cut at {cut}: {}", ran.stderr);
        add(&log.path, &last.as_bytes()[cut..]);
        add(&log.path, line("cid"));
        let position = send(&log.spool, &log.server.url, &[&log.path]).ended(0).json();
        assert_eq!(position["rejected"], 0, "cut at {cut}");
        assert_eq!(arrived(&log.server), once(&["ann", "bøb", "cid"]), "cut at {cut}");
        assert_eq!(log.position()["lines"], 3, "cut at {cut}");
    }
}

#[test]
fn a_line_that_went_on_after_it_was_sent_is_told_by_its_number() {
    let log = Log::new(&(line("ann") + line("bob").trim_end()));
    send(&log.spool, &log.server.url, &[&log.path]).ended(0);
    add(&log.path, line("joined") + &line("cid"));
    let rejects = log.files.path("rejects");
    let ran = send(&log.spool, &log.server.url, &["--rejects", &rejects, &log.path]);
    assert_eq!(ran.ended(1).json()["rejected"], 1);
    assert!(ran.stderr.contains("log.jsonl:2: this line was sent before it had its end"), "{}", ran.stderr);
    assert_eq!(String::from_utf8(log.files.read("rejects")).unwrap(), line("joined"));
    assert_eq!(arrived(&log.server), once(&["ann", "bob", "cid"]));
    send(&log.spool, &log.server.url, &[&log.path]).ended(0);
    assert_eq!(arrived(&log.server), once(&["ann", "bob", "cid"]));
}

#[test]
fn a_follower_sends_what_is_added_at_once_and_ends_well_when_it_is_told_to() {
    let mut log = Log::followed(&line("ann"));
    log.has(&["ann"]);
    add(&log.path, line("bob") + &line("cid")[..20]);
    log.has(&["ann", "bob"]);
    assert_eq!(log.position()["lines"], 2);
    add(&log.path, &line("cid")[20..]);
    log.has(&["ann", "bob", "cid"]);
    let report = log.stop().ended(0).json();
    assert_eq!((&report["lines"], &report["total"]["delivered"]), (&3.into(), &3.into()));
    assert_eq!(report["stopped"], Value::Null);

    log.follow();
    add(&log.path, line("dan"));
    log.has(&["ann", "bob", "cid", "dan"]);
    interrupt(log.follower.as_ref().unwrap());
    let ran: Ran = log.follower.take().unwrap().wait_with_output().unwrap().into();
    assert_eq!(ran.ended(0).json()["lines"], 1);
}

#[test]
fn a_rotation_is_followed_also_by_who_was_away() {
    let mut log = Log::followed(&line("ann"));
    log.has(&["ann"]);
    log.rotate();
    add(&log.aside(1), line("bob"));
    add(&log.path, line("cid"));
    log.has(&["ann", "bob", "cid"]);
    wait_until("the new file's place is stored", || log.position()["lines"] == 1);
    log.kill();
    add(&log.path, line("dan"));
    log.rotate();
    add(&log.path, line("eve") + "half");
    log.rotate();
    add(&log.path, line("fay"));
    log.follow();
    log.has(&["ann", "bob", "cid", "dan", "eve", "fay"]);
    let ran = log.stop();
    let report = ran.ended(1).json();
    assert_eq!((&report["rejected"], &report["lines"]), (&1.into(), &4.into()), "the half line is counted");
    assert!(
        ran.stderr.contains("taking up") && ran.stderr.contains("log.jsonl.2 behind line 1"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("log.jsonl.1:2: not JSON"), "{}", ran.stderr);
}

#[test]
fn a_truncated_log_is_read_from_its_start() {
    let mut log = Log::followed(&(line("ann") + &line("bob")));
    log.has(&["ann", "bob"]);
    fs::write(&log.path, line("cid")).unwrap();
    log.has(&["ann", "bob", "cid"]);
    // As long as before, and away meanwhile.
    log.kill();
    fs::write(&log.path, line("dan")).unwrap();
    log.follow();
    log.has(&["ann", "bob", "cid", "dan"]);
    let ran = log.stop();
    assert!(ran.ended(0).stderr.contains("was truncated or written anew"), "{}", ran.stderr);
}

#[test]
fn lines_that_were_only_in_a_copy_are_read_there() {
    let mut log = Log::followed(&line("ann"));
    log.has(&["ann"]);
    log.kill();
    add(&log.path, line("bob"));
    fs::copy(&log.path, log.aside(1)).unwrap();
    fs::write(&log.path, line("cid")).unwrap();
    log.follow();
    log.has(&["ann", "bob", "cid"]);
    log.stop().ended(0);
}

#[test]
fn an_old_file_that_is_gone_is_told_aloud() {
    let mut log = Log::followed(&(line("ann") + &line("bob")));
    log.has(&["ann", "bob"]);
    log.kill();
    fs::remove_file(&log.path).unwrap();
    add(&log.files.path("taken-first.jsonl"), "keeps the inode busy");
    add(&log.path, line("cid"));
    log.follow();
    log.has(&["ann", "bob", "cid"]);
    let ran = log.stop();
    let told = "lines that were added to the old file after line 2 are not sent";
    assert!(ran.ended(0).stderr.contains(told), "{}", ran.stderr);
}

#[test]
fn a_log_that_is_not_there_yet_is_waited_for() {
    let mut log = Log::new("");
    fs::remove_file(&log.path).unwrap();
    log.follow();
    let stderr = log.follower.as_mut().unwrap().stderr.as_mut().unwrap();
    let mut said = [0; 21];
    stderr.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"posthaste: waiting fo");
    add(&log.path, line("ann"));
    log.has(&["ann"]);
    log.stop().ended(0);
    // Without --follow there is nothing to wait for.
    let ran = send(&log.files.path("other"), &log.server.url, &[&log.files.path("nowhere")]);
    assert!(ran.ended(1).stderr.contains("failed to read"), "{}", ran.stderr);
}

#[test]
fn without_follow_a_rotated_file_is_named_before_its_lines_are_lost() {
    let log = Log::new(&line("ann"));
    send(&log.spool, &log.server.url, &[&log.path]).ended(0);
    add(&log.path, line("bob"));
    log.rotate();
    add(&log.path, line("cid"));
    log.rotate();
    add(&log.path, line("dan"));
    // First the rest of the file that was read, then the one after it.
    for unread in [2, 1] {
        let ran = send(&log.spool, &log.server.url, &[&log.path]);
        let first = format!("Run the same command with {} first", log.aside(unread));
        assert!(ran.ended(1).stderr.contains(&first), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        send(&log.spool, &log.server.url, &[&log.aside(unread)]).ended(0);
    }
    send(&log.spool, &log.server.url, &[&log.path]).ended(0);
    assert_eq!(arrived(&log.server), once(&["ann", "bob", "cid", "dan"]));
}

#[test]
fn lines_of_a_rotated_file_can_be_given_up() {
    let log = Log::new(&line("ann"));
    send(&log.spool, &log.server.url, &[&log.path]).ended(0);
    add(&log.path, line("given up"));
    log.rotate();
    add(&log.path, line("bob"));
    assert!(
        send(&log.spool, &log.server.url, &[&log.path]).ended(1).stderr.contains("posthaste spool drain")
    );
    run(&["spool", "drain", &log.spool, "--endpoint", &log.server.url]).ended(0);
    send(&log.spool, &log.server.url, &[&log.path]).ended(0);
    assert_eq!(arrived(&log.server), once(&["ann", "bob"]));
}

/// Random deeds on a log that is followed by a process that is killed now and then.
struct Drill {
    log: Log,
    random: fastrand::Rng,
    written: usize,
    /// What is left to write of a line, and whether its file has been renamed meanwhile.
    rest: Vec<u8>,
    is_aside: bool,
}

impl Drill {
    fn write(&mut self) {
        if self.rest.is_empty() {
            let end = if self.random.bool() { "\n" } else { "\r\n" };
            self.rest = line(&format!("é{}", self.written)).replace('\n', end).into_bytes();
            self.written += 1;
        }
        let cut = if self.random.bool() { self.rest.len() } else { self.random.usize(1..=self.rest.len()) };
        let path = if self.is_aside { self.log.aside(1) } else { self.log.path.clone() };
        add(&path, self.rest.drain(..cut).collect::<Vec<u8>>());
        self.is_aside &= !self.rest.is_empty();
    }

    fn finish_line(&mut self) {
        while !self.rest.is_empty() {
            self.write();
        }
    }

    /// Who writes finishes its line where it began it.
    fn rotate(&mut self) {
        if self.is_aside || !fs::exists(&self.log.path).unwrap() {
            self.finish_line();
            add(&self.log.path, "");
        }
        self.log.rotate();
        self.is_aside = !self.rest.is_empty();
        if self.random.bool() {
            add(&self.log.path, "");
        }
    }

    /// Only once everything has been read: what is cut off before is lost to everybody.
    fn truncate(&mut self) {
        self.finish_line();
        if self.log.follower.is_none() {
            self.log.follow();
        }
        self.arrive();
        fs::write(&self.log.path, "").unwrap();
    }

    fn arrive(&self) {
        wait_until("everything arrives", || arrived(&self.log.server).len() >= self.written);
    }

    fn step(&mut self) {
        match self.random.u8(..100) {
            0..60 => self.write(),
            60..72 => thread::sleep(Duration::from_millis(self.random.u64(..700))),
            72..80 => self.log.kill(),
            80..90 if self.log.follower.is_none() => self.log.follow(),
            90..97 => self.rotate(),
            97.. => self.truncate(),
            _ => {}
        }
    }
}

fn drill(seed: u64) {
    let random = fastrand::Rng::with_seed(seed);
    let log = Log::followed("");
    let mut drill = Drill { log, random, written: 0, rest: Vec::new(), is_aside: false };
    for _ in 0..120 {
        drill.step();
    }
    drill.finish_line();
    drill.write();
    drill.finish_line();
    if drill.log.follower.is_none() {
        drill.log.follow();
    }
    drill.arrive();
    let ran = drill.log.stop();
    let expected: BTreeMap<_, _> = (0..drill.written).map(|user| (format!("é{user}"), 1)).collect();
    assert_eq!(arrived(&drill.log.server), expected, "{}", ran.stderr);
    ran.ended(0);
}

#[test]
fn every_line_arrives_once_over_appends_rotations_truncations_and_kills() {
    let seeds = std::env::var("SEED").ok().map(|seed| vec![seed.parse().unwrap()]);
    let drills = seeds.unwrap_or_else(|| vec![fastrand::u64(..), fastrand::u64(..), fastrand::u64(..)]);
    let drills =
        drills.into_iter().map(|seed| (seed, thread::spawn(move || drill(seed)))).collect::<Vec<_>>();
    for (seed, drill) in drills {
        assert!(drill.join().is_ok(), "again with SEED={seed}");
    }
}
