//! Disks that refuse: what was taken stays, is told, and goes on once there is room again.

use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{Clock, SystemClock};
use serde_json::Value;

use crate::support::{Files, LONG, Ran, Server, command, datafile, impression, interrupt, run, vector};

fn status(spool: &str) -> Option<Value> {
    let ran = run(&["spool", "status", "--json", spool]);
    (ran.code == Some(0)).then(|| ran.json())
}

fn wait_until(spool: &str, is_so: impl Fn(&Value) -> bool) {
    let started = SystemClock.elapsed();
    while !status(spool).is_some_and(|status| is_so(&status)) {
        assert!(SystemClock.elapsed() < started + LONG, "{:?}", status(spool));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send<'a>(spool: &'a str, endpoint: &'a str, input: &'a str) -> Vec<&'a str> {
    let to = ["--datafile", datafile(), "--endpoint", endpoint, "--batch-size", "100"];
    [&["send", "--json", "--spool", spool, "--spool-size", "2MiB"], &to[..], &[input]].concat()
}

/// A server whose answer a test changes.
fn server(status: u16) -> (Server, Arc<AtomicU16>) {
    let answer = Arc::new(AtomicU16::new(status));
    let says = Arc::clone(&answer);
    (Server::start(true, move |_| says.load(SeqCst)), answer)
}

#[test]
fn an_event_stays_until_its_dead_letter_is_stored() {
    let files = Files::new();
    let (spool, (server, _)) = (files.path("spool"), server(400));
    let input = files.write("in.jsonl", ["ann", "bob", "cid"].map(impression).concat());
    // In the place of the folder.
    fs::create_dir(&spool).unwrap();
    fs::write(Path::new(&spool).join("dead"), "in the way").unwrap();
    let ran = run(&[&send(&spool, &server.url, &input)[..], &["--max-time", "3s"]].concat());
    let total = ran.ended(1).json()["total"].clone();
    assert_eq!((&total["dead_lettered"], &total["left"]), (&0.into(), &3.into()), "{ran:?}");
    assert!(ran.stderr.contains("failed to keep a dead letter"), "{}", ran.stderr);
    assert!(ran.stderr.contains("3 events stay in"), "{}", ran.stderr);
    assert_eq!(status(&spool).unwrap()["records"], 3);

    fs::remove_file(Path::new(&spool).join("dead")).unwrap();
    let ran = run(&["spool", "drain", "--json", &spool, "--endpoint", &server.url]);
    assert_eq!(ran.ended(1).json()["total"]["dead_lettered"], 3, "{ran:?}");
    assert!(ran.stderr.is_empty() || !ran.stderr.contains("lost"), "{}", ran.stderr);
    assert_eq!(run(&["spool", "dead", &spool]).ended(0).stdout.lines().count(), 3);
    assert_eq!(status(&spool).unwrap()["records"], 0);
}

#[test]
fn a_renamed_spool_is_finished_where_it_is_and_its_successor_is_left_alone() {
    let files = Files::new();
    let (spool, old) = (files.path("spool"), files.path("old"));
    let (first, second) = (server(503), server(503));
    let input = vector("larkspur.events.jsonl").display().to_string();
    let child = command(&send(&spool, &first.0.url, &input)).spawn().unwrap();
    wait_until(&spool, |status| status["records"] == 1_699);
    fs::rename(&spool, &old).unwrap();

    let other = files.write("other.jsonl", ["ann", "bob", "cid"].map(impression).concat());
    run(&[&send(&spool, &second.0.url, &other)[..], &["--max-time", "1s"]].concat()).ended(1);
    assert_eq!(status(&spool).unwrap()["records"], 3);

    first.1.store(204, SeqCst);
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.json()["total"]["delivered"], 1_699, "{ran:?}");
    assert!(ran.stderr.contains("no longer leads to this spool"), "{}", ran.stderr);
    assert_eq!(
        (&status(&old).unwrap()["records"], &status(&spool).unwrap()["records"]),
        (&0.into(), &3.into())
    );
    second.1.store(204, SeqCst);
    let total = run(&["spool", "drain", "--json", &spool, "--endpoint", &second.0.url]).ended(0).json();
    assert_eq!(total["total"]["delivered"], 3);
}

/// A disk of its own, unmounted at the end.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Only where the kernel refuses to mount is there nothing to test, and that is said.
    pub(crate) fn mount(size: &str) -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let size = format!("size={size}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(disk.0.path()).output();
        let mounted = mount.expect("mount is there");
        if mounted.status.success() {
            return Some(disk);
        }
        let said = String::from_utf8_lossy(&mounted.stderr).into_owned();
        assert!(!rustix::process::geteuid().is_root() || said.contains("permission denied"), "{said}");
        let _ =
            writeln!(std::io::stderr(), "not tested: this user may not mount a small disk ({})", said.trim());
        None
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Nobody may write there any more.
    pub(crate) fn seal(&self) {
        let sealed = Command::new("mount").args(["-o", "remount,ro"]).arg(self.0.path()).status();
        assert!(sealed.expect("mount is there").success());
    }

    /// Leaves no room at all.
    pub(crate) fn fill(&self) {
        let mut ballast = fs::File::create(self.path("ballast")).unwrap();
        while ballast.write_all(&[1; 4_096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a failing test may leave files open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_makes_the_reader_wait_and_nothing_is_lost_or_sent_twice() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let files = Files::new();
    let (spool, (server, answer)) = (disk.path("spool"), server(503));
    let text = fs::read_to_string(vector("larkspur.events.jsonl")).unwrap();
    let text: String =
        (0..5).map(|copy| text.replace("\"uuid\": \"", &format!("\"uuid\": \"{copy}-"))).collect();
    let input = files.write("in.jsonl", &text);
    let size = ["--spool-size", "64MiB"];
    let args = ["send", "--json", "--spool", &spool, "--datafile", datafile(), "--endpoint", &server.url];
    let args = [&args[..], &size, &["--batch-size", "100", &input]].concat();
    let child = command(&args).spawn().unwrap();
    // It has filled the disk once it reads no further.
    let mut before = 0;
    wait_until(&spool, |status| status["records"].as_u64() > Some(1_000));
    loop {
        std::thread::sleep(Duration::from_millis(700));
        let records = status(&spool).unwrap()["records"].as_u64().unwrap();
        if records == before {
            break;
        }
        before = records;
    }
    assert!(before < 5 * 1_699, "{before}");
    run(&["spool", "verify", &spool]).ended(0);
    answer.store(204, SeqCst);
    let ran: Ran = child.wait_with_output().unwrap().into();
    let total = &ran.ended(0).json()["total"];
    assert_eq!(
        (&total["accepted"], &total["delivered"]),
        (&(5 * 1_699).into(), &(5 * 1_699).into()),
        "{total}"
    );
}

#[test]
fn a_full_disk_can_be_drained_and_keeps_its_dead_letters() {
    let Some(disk) = SmallDisk::mount("8m") else { return };
    let (spool, (server, answer)) = (disk.path("spool"), server(503));
    let input = vector("larkspur.events.jsonl").display().to_string();
    let child = command(&send(&spool, &server.url, &input)).spawn().unwrap();
    wait_until(&spool, |status| status["records"] == 1_699);
    interrupt(&child);
    interrupt(&child);
    drop(child.wait_with_output().unwrap());
    disk.fill();
    answer.store(400, SeqCst);
    let drain = ["spool", "drain", "--json", &spool, "--endpoint", &server.url, "--batch-size", "1"];
    let ran = run(&[&drain[..], &["--max-time", "6s"]].concat());
    let total = &ran.ended(1).json()["total"];
    let number = |name: &str| total[name].as_u64().unwrap();
    let (dead, left) = (number("dead_lettered"), number("left"));
    assert_eq!((number("recovered"), number("lost"), dead + left), (1_699, 0, 1_699), "{total}");
    assert!(dead > 0, "there is room for some: {total}");
    assert_eq!(run(&["spool", "dead", &spool]).ended(0).stdout.lines().count() as u64, dead);

    fs::remove_file(disk.path("ballast")).unwrap();
    let ran = run(&drain);
    assert_eq!(ran.ended(1).json()["total"]["dead_lettered"], left, "{ran:?}");
    assert_eq!(run(&["spool", "dead", &spool]).ended(0).stdout.lines().count(), 1_699);
}
