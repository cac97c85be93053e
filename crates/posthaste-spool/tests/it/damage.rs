//! Every byte of a spool flipped, every file cut at every length: at most the record that was hit is lost, it is
//! counted and kept aside, and everything goes on. `POSTHASTE_SPOOL_BITS` flips more bits of each byte, up to eight.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use posthaste_spool::{Batch, MemoryFilesystem, Record, inspect_with, repair_with};

use crate::support::{dir, env, name_of, open, path, read_all, small};

const ACKED: u64 = 2;

/// A spool of two segments, with a batch, metadata and acknowledgements, closed as it should be.
fn sample() -> (BTreeMap<PathBuf, Vec<u8>>, Vec<Record>) {
    let disk = MemoryFilesystem::new();
    let mut log = open(&disk, small());
    for id in 0..8 {
        log.add(format!("record {id} {}", "x".repeat(300))).expect("written");
    }
    log.write(&[
        Batch {
            records: (0..3).map(|part| Bytes::from(format!("part {part} of the batch"))).collect(),
            meta: Some(Bytes::from_static(b"the metadata")),
        },
        Batch::record("the last record"),
    ]);
    assert_eq!(log.stats().segments, 2);
    let records = log.read(0, 100, 1 << 20).expect("readable");
    log.ack_up_to(ACKED);
    log.sync().expect("synced");
    log.ack_up_to(ACKED);
    log.sync().expect("synced");
    drop(log);
    (disk.files(), records)
}

fn disk_of(files: &BTreeMap<PathBuf, Vec<u8>>) -> MemoryFilesystem {
    let disk = MemoryFilesystem::new();
    for (path, bytes) in files {
        disk.put(path, bytes.clone());
    }
    disk
}

fn is_part_of_the_spool(path: &std::path::Path) -> bool {
    name_of(path) != "lock"
}

#[test]
fn one_flipped_bit_anywhere_costs_at_most_the_record_it_hit() {
    let (files, records) = sample();
    let bits = usize::try_from(env("POSTHASTE_SPOOL_BITS", 1)).expect("up to eight");
    for (file, content) in files.iter().filter(|(path, _)| is_part_of_the_spool(path)) {
        // What lies behind the last frame is the same zeros over and over.
        let meant = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 9).min(content.len());
        for at in 0..meant {
            for bit in (at..at + bits).map(|bit| bit % 8) {
                let mut spoiled = files.clone();
                spoiled.get_mut(file).expect("there")[at] ^= 1 << bit;
                let case = format!("bit {bit} of {} at {at}", name_of(file));
                check_flip(&disk_of(&spoiled), &records, &case);
            }
        }
    }
}

fn check_flip(disk: &MemoryFilesystem, records: &[Record], case: &str) {
    let mut log = open(disk, small());
    let found = read_all(&mut log);
    let expected: Vec<_> = records.iter().filter(|record| record.sequence > ACKED).collect();
    let lost = expected.iter().filter(|record| !found.contains(record)).count();
    assert!(lost <= 1, "{case}: lost {lost}");
    assert!(found.iter().all(|record| records.contains(record)), "{case}: wrong data");
    assert!(found.is_sorted_by_key(|record| record.sequence), "{case}: order");
    let counters = log.stats().counters;
    assert_eq!(counters.damaged_records, lost as u64, "{case}: {counters:?}");
    let kept = disk.files().keys().filter(|path| name_of(path).starts_with("damaged/")).count();
    assert!(kept >= lost, "{case}: nothing kept");
    assert_eq!(log.meta().expect("metadata"), "the metadata", "{case}");
    let added = log.add("one more").expect("written");
    assert_eq!(added, 13, "{case}");
    assert_eq!(read_all(&mut log).len(), found.len() + 1, "{case}");
}

#[test]
fn a_file_cut_anywhere_costs_only_what_was_cut() {
    let (files, records) = sample();
    let segments: Vec<_> = files.keys().filter(|path| name_of(path).starts_with("seg-")).collect();
    for (file, content) in files.iter().filter(|(path, _)| is_part_of_the_spool(path)) {
        let meant = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 9).min(content.len());
        let ends = frame_ends(&records, content);
        for length in 0..meant {
            let mut spoiled = files.clone();
            spoiled.get_mut(file).expect("there").truncate(length);
            let case = format!("{} cut at {length}", name_of(file));
            let cut = |sequence| ends.iter().any(|(of, end)| *of == sequence && *end > length);
            let mut safe: BTreeSet<u64> =
                records.iter().map(|record| record.sequence).filter(|sequence| !cut(*sequence)).collect();
            if segments.last() == Some(&file) && !safe.contains(&11) {
                // The last thing in the log is part of a batch: it counts as a whole or not at all.
                safe.retain(|sequence| *sequence < 9);
            }
            check_cut(&disk_of(&spoiled), &records, &safe, &case);
        }
    }
}

/// Where in a file each record's frame ends; none for records in other files.
fn frame_ends(records: &[Record], content: &[u8]) -> Vec<(u64, usize)> {
    let end_of = |record: &Record| {
        let at = content.windows(record.bytes.len()).position(|window| window == record.bytes)?;
        Some((record.sequence, (at + record.bytes.len()).next_multiple_of(8)))
    };
    records.iter().filter_map(end_of).collect()
}

fn check_cut(disk: &MemoryFilesystem, records: &[Record], safe: &BTreeSet<u64>, case: &str) {
    let mut log = open(disk, small());
    let found = read_all(&mut log);
    for record in records.iter().filter(|record| record.sequence > ACKED && safe.contains(&record.sequence)) {
        assert!(found.contains(record), "{case}: lost {}", record.sequence);
    }
    assert!(found.iter().all(|record| records.contains(record)), "{case}: wrong data");
    let added = log.add("one more").expect("written");
    assert_eq!(added, 13, "{case}: no number is given out twice");
    drop(log);
    let again = read_all(&mut open(disk, small()));
    assert_eq!(again.last().expect("added").bytes, "one more", "{case}");
    assert_eq!(again.len(), found.len() + 1, "{case}");
}

#[test]
fn verify_names_the_damage_and_repair_ends_it() {
    let (mut files, records) = sample();
    let first = path("seg-00000000000000000002.log");
    let content = files.get_mut(&first).expect("there");
    let at = content.windows(8).position(|window| window == b"record 3").expect("there");
    content[at + 3] ^= 4;
    content[5_000] ^= 1;
    let disk = disk_of(&files);
    let look = || inspect_with(Arc::new(disk.clone()), dir()).expect("a spool");
    let problems = look().verify().expect("readable");
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("one copy of the segment's header"), "{texts:?}");
    assert_eq!(problems[1].sequence, Some(4));
    assert!(texts[1].ends_with("bytes are damaged"), "{texts:?}");
    assert_eq!(disk.files(), files, "looking changes nothing");

    let repair = repair_with(Arc::new(disk.clone()), dir(), small()).expect("repaired");
    assert_eq!(repair.covered_pieces, 1);
    assert_eq!((repair.stats.counters.damaged_records, repair.stats.counters.healed), (1, 1));
    assert_eq!(look().verify().expect("readable"), []);
    let left: Vec<_> = look().records().map(|record| record.expect("readable").sequence).collect();
    let sound = |sequence: &u64| *sequence > ACKED && *sequence != 4;
    assert_eq!(left, records.iter().map(|record| record.sequence).filter(sound).collect::<Vec<_>>());
    assert_eq!(look().status().damaged_files, 1);
}

#[test]
fn a_segment_without_a_header_is_moved_aside_and_its_records_are_counted() {
    let (mut files, records) = sample();
    files.get_mut(&path("seg-00000000000000000002.log")).expect("there")[..8_192].fill(0);
    let disk = disk_of(&files);
    let look = inspect_with(Arc::new(disk.clone()), dir()).expect("a spool");
    assert_eq!(look.status().unreadable_segments, 1);
    let mut log = open(&disk, small());
    let found = read_all(&mut log);
    let lost = records.len() as u64 - ACKED - found.len() as u64;
    assert!(lost > 0 && !found.is_empty());
    assert_eq!(log.stats().counters.damaged_records, lost);
    assert!(disk.files().contains_key(&path("damaged/seg-00000000000000000002.log")));
}

#[test]
fn bytes_inside_a_record_never_pass_for_a_record() {
    let (files, _) = sample();
    let content = &files[&path("seg-00000000000000000002.log")];
    // A record that holds the frames of another segment, and then loses its own header.
    let inner = Bytes::copy_from_slice(&content[8_192..8_192 + 380]);
    let disk = MemoryFilesystem::new();
    let mut log = open(&disk, small());
    log.add(inner.clone()).expect("written");
    log.add("after it").expect("written");
    drop(log);
    let mut files = disk.files();
    files.get_mut(&path("seg-00000000000000000002.log")).expect("there")[8_192 + 9] ^= 1;
    let mut log = open(&disk_of(&files), small());
    let found = read_all(&mut log);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].sequence, &*found[0].bytes), (2, &b"after it"[..]));
}
