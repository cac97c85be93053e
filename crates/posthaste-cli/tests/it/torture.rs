//! `posthaste torture`: what it counts agrees with what can be counted from outside, and a real loss is found.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{Files, Ran, run};

/// One at a time: each of these keeps a small machine busy, and others here look at the clock.
static TURN: Mutex<()> = Mutex::new(());

fn torture(dir: &str, rest: &[&str]) -> Ran {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    run(&[&["torture", "--dir", dir, "--json"], rest].concat())
}

#[track_caller]
fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report}"))
}

/// The visitors of the dead letters on disk.
fn dead(dir: &str) -> BTreeSet<String> {
    let ran = run(&["spool", "dead", dir]);
    let visitor = |line: &str| {
        let letter: Value = serde_json::from_str(line).unwrap();
        letter["event"]["visitors"][0]["visitor_id"].as_str().unwrap().to_owned()
    };
    ran.ended(0).stdout.lines().map(visitor).collect()
}

/// What holds of every report, whether or not something is wrong.
#[track_caller]
fn adds_up(report: &Value, dir: &str) {
    let number = |name| number(report, name);
    let kept = number("arrived") + number("dead") + number("waiting");
    assert!(kept + number("lost") >= number("acknowledged"), "{report}");
    assert!(kept <= number("claimed") + number("invented"), "{report}");
    assert!(number("stored") <= number("accepted") && number("accepted") <= number("claimed"), "{report}");
    assert_eq!(number("dead"), dead(dir).len() as u64, "{report}");
}

#[test]
fn nothing_is_lost_where_nothing_is_killed() {
    let files = Files::new();
    let dir = files.path("spool");
    let ran = torture(&dir, &["--events", "400", "--kills", "0", "--seed", "3"]);
    let report = ran.ended(0).json();
    adds_up(&report, &dir);
    assert_eq!(
        (&report["ok"], &report["fresh"], &report["seed"]),
        (&true.into(), &"flowed".into(), &3.into())
    );
    let number = |name| number(&report, name);
    assert_eq!([number("claimed"), number("accepted"), number("stored"), number("acknowledged")], [400; 4]);
    assert_eq!(number("arrived") + number("dead"), 400);
    assert_eq!(
        ["refused", "vanished", "waiting", "lost", "invented", "altered", "kills"].map(number),
        [0; 7]
    );
    assert_eq!(report["problems"], Value::Array(Vec::new()));
    assert!(number("dead") > 0 && ran.stderr.is_empty());
}

/// Kills, and checks that every promise was kept.
fn keeps_its_promises(events: u64, kills: u64) {
    let files = Files::new();
    let dir = files.path("spool");
    let ran = torture(&dir, &["--events", &events.to_string(), "--kills", &kills.to_string()]);
    let report = ran.ended(0).json();
    adds_up(&report, &dir);
    let number = |name| number(&report, name);
    assert_eq!((number("claimed"), number("kills")), (events, kills), "{report}");
    assert_eq!(["lost", "invented", "altered", "waiting", "false_damage"].map(number), [0; 5], "{report}");
    assert!(number("reads") > 0, "{report}");
    run(&["spool", "verify", &dir]).ended(0);
}

#[test]
fn nothing_promised_is_lost_to_kills() {
    keeps_its_promises(500, 5);
}

/// More events than the spool has room for.
#[test]
fn nothing_promised_is_lost_to_kills_of_a_full_spool() {
    keeps_its_promises(2_000, 5);
}

/// Takes every segment away, as long as the run goes on. Returns how many.
fn steal_segments(dir: &Path, is_over: &AtomicBool) -> usize {
    let mut stolen = 0;
    while !is_over.load(SeqCst) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("seg-")
                && fs::remove_file(entry.path()).is_ok()
            {
                stolen += 1;
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    stolen
}

#[test]
fn what_is_really_lost_is_found() {
    let files = Files::new();
    let dir = files.path("spool");
    let is_over = AtomicBool::new(false);
    let (ran, stolen) = thread::scope(|scope| {
        let thief = scope.spawn(|| steal_segments(Path::new(&dir), &is_over));
        let ran = torture(&dir, &["--events", "500", "--kills", "5", "--time", "20s"]);
        is_over.store(true, SeqCst);
        (ran, thief.join().unwrap())
    });
    assert!(stolen > 0);
    ran.ended(1);
    let report = ran.json();
    assert_eq!(report["ok"], false);
    assert!(number(&report, "lost") > 0, "{report}");
    assert!(ran.stdout.contains("was said to be stored, and is nowhere"), "{report}");
    assert_eq!((number(&report, "invented"), number(&report, "altered")), (0, 0), "{report}");
}

#[test]
fn people_read_a_table_and_the_seed() {
    let files = Files::new();
    let ran =
        run(&["torture", "--dir", &files.path("spool"), "--events", "50", "--kills", "1", "--seed", "7"]);
    ran.ended(0);
    assert!(ran.stderr.starts_with("seed 7: 50 events, 1 kill, in "), "{}", ran.stderr);
    for part in ["claimed             50  ", "kills                1  ", "Nothing is lost", "Seed 7, "] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let files = Files::new();
    let mine = files.write("mine", "precious");
    let dir = Path::new(&mine).parent().unwrap().display().to_string();
    let ran = torture(&dir, &["--events", "10"]);
    assert_eq!(ran.ended(1).stderr.lines().count(), 1);
    assert!(ran.stderr.contains("is not empty"), "{}", ran.stderr);
    assert_eq!((files.read("mine"), fs::read_dir(&dir).unwrap().count()), (b"precious".to_vec(), 1));
}

#[test]
fn time_is_a_bound() {
    let files = Files::new();
    let ran = torture(&files.path("spool"), &["--events", "5000000", "--kills", "3", "--time", "2s"]);
    let report = ran.json();
    assert!(report["seconds"].as_f64().unwrap() < 15.0, "{report}");
    assert_eq!((number(&report, "invented"), number(&report, "altered")), (0, 0), "{report}");
}
