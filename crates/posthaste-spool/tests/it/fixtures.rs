//! Spools of format version 1, checked in: what was written then is read now and ever after.
//!
//! They were made by [`write_all`], which runs only when `POSTHASTE_SPOOL_WRITE_FIXTURES` is set, and never again for a
//! version that was released. A new version gets a folder of its own beside them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use posthaste_spool::{Log, Spool, inspect};

use crate::support::small;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
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

#[test]
fn a_sound_spool_of_version_1_is_read() {
    let copy = copy_of("sound");
    let mut inspection = inspect(copy.path()).expect("readable");
    assert_eq!(inspection.verify().expect("readable"), []);
    assert_eq!(inspection.records().count(), 10);
    let spool = Spool::open(copy.path(), small()).expect("opens");
    let records = spool.read(0, 100, 100_000).expect("readable");
    let sequences: Vec<u64> = records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [3, 4, 6, 7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(records[0].bytes.len(), 300);
    assert_eq!(records[9].bytes, "third of the batch");
    assert_eq!(spool.meta().expect("metadata"), "position 42");
    let letters = spool.dead().list(0, 10, 10_000).expect("readable");
    assert_eq!(letters[0].bytes, "a dead letter");
    assert_eq!(spool.add("more").expect("taken").wait().expect("written"), 14);
}

#[test]
fn damaged_spools_of_version_1_lose_only_what_was_hit() {
    for (name, lost) in
        [("flipped-payload", vec![6]), ("flipped-length", vec![7]), ("flipped-header", vec![])]
    {
        let copy = copy_of(name);
        assert!(!inspect(copy.path()).expect("readable").verify().expect("readable").is_empty(), "{name}");
        let mut log = Log::open(copy.path(), small()).expect("opens");
        let sequences: Vec<u64> =
            log.read(0, 100, 100_000).expect("readable").iter().map(|record| record.sequence).collect();
        let expected: Vec<u64> = [3, 4, 6, 7, 8, 9, 10, 11, 12, 13]
            .into_iter()
            .filter(|sequence| !lost.contains(sequence))
            .collect();
        assert_eq!(sequences, expected, "{name}");
        assert_eq!(log.stats().counters.damaged_records, lost.len() as u64, "{name}");
        assert_eq!(log.meta().expect("metadata"), "position 42", "{name}");
    }
}

#[test]
fn a_torn_spool_of_version_1_keeps_what_was_whole() {
    let copy = copy_of("torn");
    let mut log = Log::open(copy.path(), small()).expect("opens");
    let sequences: Vec<u64> =
        log.read(0, 100, 100_000).expect("readable").iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, (1..=10).collect::<Vec<u64>>(), "without its cursor, everything comes again");
    assert_eq!(log.meta(), None);
    assert!(log.stats().counters.torn_pieces > 0);
}

#[test]
fn write_all() {
    if std::env::var_os("POSTHASTE_SPOOL_WRITE_FIXTURES").is_none() {
        return;
    }
    let sound = folder().join("sound");
    let _ = fs::remove_dir_all(folder());
    let spool = Spool::open(&sound, small()).expect("opens");
    for id in 0..10_u8 {
        spool.add(vec![b'0' + id; 300]).expect("taken").wait().expect("written");
    }
    let records = ["first", "second", "third"].map(|name| Bytes::from(format!("{name} of the batch")));
    let meta = Some(Bytes::from_static(b"position 42"));
    spool.add_batch(records.to_vec(), meta).expect("taken").wait().expect("written");
    spool.ack(&[1, 2, 5]);
    spool.dead().add("a dead letter").expect("kept");
    drop(spool);
    let _ = fs::remove_file(sound.join("lock"));
    let _ = fs::remove_file(sound.join("dead/lock"));
    for name in ["flipped-payload", "flipped-length", "flipped-header", "torn"] {
        copy_dir(&sound, &folder().join(name));
        let _ = fs::remove_dir_all(folder().join(name).join("dead"));
    }
    spoil("flipped-payload", |segments| flip(segments, |bytes| find(bytes, b"5555") + 10));
    spoil("flipped-length", |segments| flip(segments, |bytes| find(bytes, b"6666") - 40 + 24));
    spoil("flipped-header", |segments| flip(segments, |_| 30));
    spoil("torn", |segments| {
        let last = segments.last_mut().expect("there");
        let at = find(&last.1, b"third of");
        last.1.truncate(at + 5);
    });
    // An unfinished write has no cursor that knows of it.
    let _ = fs::remove_file(folder().join("torn/cursor"));
}

type Segments = Vec<(PathBuf, Vec<u8>)>;

fn spoil(name: &str, change: impl FnOnce(&mut Segments)) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder().join(name)).expect("there").map(|entry| entry.expect("there").path()).collect();
    paths.retain(|path| path.to_string_lossy().contains("seg-"));
    paths.sort();
    let mut segments: Segments =
        paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("readable"))).collect();
    change(&mut segments);
    for (path, bytes) in segments {
        fs::write(path, bytes).expect("written");
    }
}

/// Flips a bit in the first segment for which there is a place.
fn flip(segments: &mut Segments, place: impl Fn(&[u8]) -> usize) {
    let (_, bytes) =
        segments.iter_mut().find(|(_, bytes)| place(bytes) < bytes.len()).expect("a segment has the place");
    let at = place(bytes);
    bytes[at] ^= 0x10;
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).unwrap_or(usize::MAX >> 1)
}
