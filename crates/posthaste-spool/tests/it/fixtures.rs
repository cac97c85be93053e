//! Spools of format version 2, checked in: what was written then is read now and ever after. And one of the layout before
//! the first release, which is refused by name.
//!
//! They were made by [`write_all`], which runs only when `POSTHASTE_SPOOL_WRITE_FIXTURES` is set, and never again for a
//! version that was released. A new version gets a folder of its own beside them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use posthaste_spool::{Check, OpenError, ProblemKind, Spool, inspect, repair};

use crate::support::{read_all, small};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A copy of a fixture, because opening changes it.
fn copy_of(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    copy_dir(&folder().join(name), copy.path());
    copy
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("checked in") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

fn numbers(spool: &Spool) -> Vec<u64> {
    read_all(spool).iter().map(|record| record.sequence).collect()
}

fn check(dir: &Path) -> Check {
    inspect(dir).expect("a spool").check(|_, _| {}).expect("readable")
}

const SOUND: [u64; 37] = {
    let mut numbers = [0; 37];
    let (mut number, mut at) = (3, 0);
    while at < 37 {
        if number != 5 {
            numbers[at] = number;
            at += 1;
        }
        number += 1;
    }
    numbers
};

#[test]
fn a_sound_spool_is_read() {
    let copy = copy_of("v2/sound");
    assert_eq!(check(copy.path()), Check::default());
    let look = inspect(copy.path()).expect("a spool");
    assert_eq!(look.dead().expect("opens").expect("there").records().count(), 1);
    let spool = Spool::open(copy.path(), small()).expect("opens");
    assert_eq!(numbers(&spool), SOUND);
    let records = read_all(&spool);
    assert_eq!(records[0].bytes, vec![b'2'; 300]);
    assert_eq!(records[36].bytes, "third of the batch");
    assert_eq!(spool.meta().expect("metadata"), "position 42");
    let letters = spool.dead().list(0, 10, 10_000).expect("readable").records;
    assert_eq!(letters[0].bytes, "a dead letter");
    assert_eq!(spool.add("more").expect("taken").wait().expect("stored"), 41);
}

#[test]
fn a_damaged_spool_loses_what_was_hit() {
    for (name, lost) in [
        ("flipped-header", vec![]),
        ("flipped-head", vec![7]),
        ("flipped-payload", vec![6]),
        ("removed-front", (3..=36).filter(|number| *number != 5).collect()),
    ] {
        let copy = copy_of(&format!("v2/{name}"));
        let found = check(copy.path());
        assert_eq!((found.lost, found.lost_before), (lost.len() as u64, 0), "{name}: {found:?}");
        assert_eq!(found.problems.len(), 1, "{name}: {found:?}");
        let repaired = copy_of(&format!("v2/{name}"));
        let stats = repair(repaired.path(), small(), |_, _| {}).expect("repaired").stats;
        assert_eq!(stats.counters.lost_records, lost.len() as u64, "{name}");
        assert_eq!(check(repaired.path()).problems, [], "{name}");
        let spool = Spool::open(copy.path(), small()).expect("opens");
        let left: Vec<u64> = SOUND.into_iter().filter(|number| !lost.contains(number)).collect();
        assert_eq!(numbers(&spool), left, "{name}");
        assert_eq!(spool.stats().counters.lost_records, lost.len() as u64, "{name}");
        assert_eq!(spool.meta().expect("metadata"), "position 42", "{name}");
    }
}

#[test]
fn a_torn_spool_keeps_what_was_whole() {
    let copy = copy_of("v2/torn");
    let found = check(copy.path());
    assert_eq!(found.lost, 0);
    let kinds: Vec<_> = found.problems.iter().map(|problem| &problem.kind).collect();
    assert!(
        matches!(kinds[..], [ProblemKind::Cursor("it is not there"), ProblemKind::Unfinished { .. }]),
        "{found:?}"
    );
    let spool = Spool::open(copy.path(), small()).expect("opens");
    assert_eq!(numbers(&spool), (1..=37).collect::<Vec<u64>>(), "without its cursor, everything comes again");
    assert_eq!(spool.meta(), None);
    assert_eq!(spool.stats().counters.unfinished_records, 2);
}

#[test]
fn a_cursor_of_another_spool_is_not_used() {
    let copy = copy_of("v2/foreign-cursor");
    let found = check(copy.path());
    assert!(found.problems.iter().any(|problem| matches!(problem.kind, ProblemKind::Cursor(_))), "{found:?}");
    assert_eq!(found.lost, 0);
    let spool = Spool::open(copy.path(), small()).expect("opens");
    assert_eq!(numbers(&spool), (1..=40).collect::<Vec<u64>>());
    assert_eq!(spool.meta().expect("metadata"), "position 42");
}

#[test]
fn the_layout_before_the_first_release_is_refused_by_name() {
    let copy = copy_of("v1/sound");
    let error = Spool::open(copy.path(), small()).expect_err("old");
    assert!(matches!(error, OpenError::OldLayout { .. }), "{error}");
    assert!(matches!(inspect(copy.path()), Err(OpenError::OldLayout { .. })));
    assert!(matches!(repair(copy.path(), small(), |_, _| {}), Err(OpenError::OldLayout { .. })));
    for entry in fs::read_dir(folder().join("v1/sound")).expect("checked in") {
        let entry = entry.expect("readable").path();
        if entry.is_file() {
            let copied = copy.path().join(entry.file_name().expect("a name"));
            assert_eq!(
                fs::read(copied).expect("there"),
                fs::read(&entry).expect("there"),
                "it is left as it is"
            );
        }
    }
}

#[test]
fn write_all() {
    if std::env::var_os("POSTHASTE_SPOOL_WRITE_FIXTURES").is_none() {
        return;
    }
    let v2 = folder().join("v2");
    let _ = fs::remove_dir_all(&v2);
    let sound = v2.join("sound");
    write_sound(&sound);
    let foreign = tempfile::tempdir().expect("a folder");
    write_sound(foreign.path());
    // Alone, each of the others needs one kind of file only.
    for name in
        ["flipped-header", "flipped-head", "flipped-payload", "removed-front", "torn", "foreign-cursor"]
    {
        copy_dir(&sound, &v2.join(name));
        let _ = fs::remove_dir_all(v2.join(name).join("dead"));
    }
    flip(&v2.join("flipped-header"), |_| 30);
    flip(&v2.join("flipped-head"), |bytes| find(bytes, &[b'6'; 300]) - 32 + 9);
    flip(&v2.join("flipped-payload"), |bytes| find(bytes, &[b'5'; 300]) + 10);
    fs::remove_file(&segments(&v2.join("removed-front"))[0]).expect("removed");
    let last = segments(&v2.join("torn")).pop().expect("there");
    let mut bytes = fs::read(&last).expect("readable");
    let at = find(&bytes, b"third of");
    bytes[at + 5..].fill(0);
    fs::write(&last, bytes).expect("written");
    // An unfinished write has no cursor that knows of it.
    fs::remove_file(v2.join("torn/cursor")).expect("removed");
    fs::copy(foreign.path().join("cursor"), v2.join("foreign-cursor/cursor")).expect("copied");
}

fn write_sound(dir: &Path) {
    let spool = Spool::open(dir, small().spare_segments_max(0)).expect("opens");
    for id in 0..37_u8 {
        spool.add(vec![b'0' + id; 300]).expect("taken").wait().expect("stored");
    }
    let records = ["first", "second", "third"].map(|name| Bytes::from(format!("{name} of the batch")));
    let meta = Some(Bytes::from_static(b"position 42"));
    spool.add_batch(records.to_vec(), meta).expect("taken").wait().expect("stored");
    spool.ack(&[1, 2, 5]);
    let (sender, stored) = std::sync::mpsc::sync_channel(1);
    spool.dead().add(None, b"a dead letter", move |result| drop(sender.send(result))).expect("taken");
    stored.recv().expect("told").expect("stored");
    spool.close(std::time::Duration::from_secs(10)).expect("written");
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).expect("there").map(|entry| entry.expect("there").path()).collect();
    paths.retain(|path| path.to_string_lossy().contains("seg-"));
    paths.sort();
    paths
}

/// Flips a bit of the first segment.
fn flip(dir: &Path, place: impl Fn(&[u8]) -> usize) {
    let first = segments(dir).remove(0);
    let mut bytes = fs::read(&first).expect("readable");
    let at = place(&bytes);
    bytes[at] ^= 0x10;
    fs::write(&first, bytes).expect("written");
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("it is there")
}
