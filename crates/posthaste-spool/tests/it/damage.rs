//! Whatever happens to the bytes of a spool costs the records whose frames were hit, and no others; each is counted once,
//! and every tool tells the same number. What is expected comes from the bytes, by the format's table.
//!
//! `POSTHASTE_SPOOL_STEP=1` flips every byte and tries every cut, not one of so many.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use posthaste_spool::{Batch, MemoryFilesystem, ProblemKind, inspect_with, repair_with};

use crate::{
    raw::{self, Files, disk_of},
    support::{ByHand, dir, env, path, read_all, small},
};

/// Unacknowledged records, by number.
type Truth = BTreeMap<u64, Vec<u8>>;

/// A spool on disk, and what is in it.
struct Sample {
    files: Files,
    truth: Truth,
    /// Everything that is in the files, acknowledged or not.
    all: Truth,
    id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Killed,
}

const ENDS: [End; 2] = [End::Closed, End::Killed];

/// Three segments, with batches, metadata, and acknowledgements here and there.
fn fill(log: &mut ByHand) -> Vec<u64> {
    for id in 0..9 {
        for part in 0..7 {
            log.add(format!("record {id}.{part} {}", "x".repeat(100 + 31 * part)));
        }
        let records = (0..3).map(|part| Bytes::from(format!("part {part} of batch {id}"))).collect();
        log.store(Batch { records, meta: Some(format!("position {id}").into()) }).expect("stored");
    }
    let acked = [1, 2, 3, 20, 21, 40];
    log.spool.ack(&acked);
    log.turn(2_000);
    acked.to_vec()
}

fn sample(end: End) -> Sample {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    let acked = fill(&mut log);
    if end == End::Closed {
        log.spool.close(std::time::Duration::ZERO).expect("written");
    } else {
        log.add("told, and killed");
    }
    let files = disk.files();
    drop(log);
    let id = raw::spool_id(&files, &dir()).expect("headers");
    let all = raw::held(&raw::segments(&files, &dir(), id));
    let mut truth = all.clone();
    truth.retain(|sequence, _| !acked.contains(sequence));
    assert_eq!(truth.len(), if end == End::Closed { 84 } else { 85 });
    Sample { files, truth, all, id }
}

fn is_segment(file: &Path) -> bool {
    raw::name(file, &dir()).is_some()
}

fn segments(files: &Files) -> Vec<PathBuf> {
    files.keys().filter(|file| is_segment(file)).cloned().collect()
}

/// Opens, inspects and repairs copies of what is left. `truth` is what should be there.
fn judge(sample: &Sample, files: &Files, truth: &Truth, case: &str) {
    let mut held = raw::held(&raw::segments(files, &dir(), sample.id));
    held.retain(|sequence, bytes| truth.get(sequence) == Some(bytes));
    let lost = (truth.len() - held.len()) as u64;

    let disk = disk_of(files);
    let mut look = inspect_with(Arc::new(disk.clone()), dir()).expect("a spool");
    let check = look.check(|_, _| {}).expect("readable");
    assert_eq!((check.lost - check.lost_before, check.unreadable), (lost, 0), "{case}: check {check:?}");
    let told: u64 = check
        .problems
        .iter()
        .map(|problem| match problem.kind {
            ProblemKind::Lost { lost, .. } => lost,
            _ => 0,
        })
        .sum();
    assert_eq!(told, lost, "{case}: each loss is told once: {check:?}");
    let mut look = inspect_with(Arc::new(disk.clone()), dir()).expect("a spool");
    let found: Truth = look.records().map(|record| record.expect("readable")).map(entry).collect();
    assert!(found == held, "{case}: an inspection reads {:?}, not {:?}", found.keys(), held.keys());
    assert!(disk.files() == *files, "{case}: looking changes nothing");

    let mut log = ByHand::open(&disk, small());
    let found: Truth = read_all(&log.spool).into_iter().map(entry).collect();
    assert!(found == held, "{case}: the owner reads {:?}, not {:?}", found.keys(), held.keys());
    let counters = log.spool.stats().counters;
    assert_eq!(counters.lost_records - counters.lost_before, lost, "{case}: the owner counts {counters:?}");
    let added = log.add("one more");
    assert!(sample.all.keys().all(|sequence| *sequence < added), "{case}: {added} was given out before");
    assert_eq!(read_all(&log.spool).len(), held.len() + 1, "{case}: and goes on");

    let disk = disk_of(files);
    let repaired = repair_with(Arc::new(disk.clone()), dir(), small(), |_, _| {}).expect("repaired");
    let counters = repaired.stats.counters;
    assert_eq!(counters.lost_records - counters.lost_before, lost, "{case}: repair counts {counters:?}");
    let mut look = inspect_with(Arc::new(disk), dir()).expect("a spool");
    let check = look.check(|_, _| {}).expect("readable");
    assert!(
        !check.problems.iter().any(|problem| problem.kind.costs_records()),
        "{case}: after repair {check:?}"
    );
    assert_eq!((check.lost, check.lost_before), (counters.lost_records, counters.lost_records), "{case}");
    let found: Truth = look.records().map(|record| record.expect("readable")).map(entry).collect();
    assert!(found == held, "{case}: after repair {:?}, not {:?}", found.keys(), held.keys());
}

#[expect(clippy::needless_pass_by_value, reason = "to be mapped with")]
fn entry(record: posthaste_spool::Record) -> (u64, Vec<u8>) {
    (record.sequence, record.bytes.to_vec())
}

/// Where something is, with a bit of what lies behind.
fn meant(content: &[u8]) -> usize {
    content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 9).min(content.len())
}

fn step() -> usize {
    usize::try_from(env("POSTHASTE_SPOOL_STEP", if cfg!(debug_assertions) { 701 } else { 61 }))
        .expect("small")
}

#[test]
fn a_flipped_byte_costs_the_record_it_hit() {
    for end in ENDS {
        let sample = sample(end);
        judge(&sample, &sample.files, &sample.truth, "nothing hurt");
        for (file, content) in
            sample.files.iter().filter(|(file, _)| is_segment(file) || file.ends_with("cursor"))
        {
            for at in (0..meant(content)).step_by(step()) {
                let mut files = sample.files.clone();
                files.get_mut(file).expect("there")[at] ^= 0x10;
                judge(&sample, &files, &sample.truth, &format!("{end:?}, byte {at} of {}", file.display()));
            }
        }
    }
}

#[test]
fn a_cut_costs_what_lay_behind_it() {
    for end in ENDS {
        let sample = sample(end);
        for file in segments(&sample.files) {
            for at in (0..=meant(&sample.files[&file])).step_by(step()) {
                let mut files = sample.files.clone();
                files.get_mut(&file).expect("there").truncate(at);
                judge(&sample, &files, &sample.truth, &format!("{end:?}, {} cut at {at}", file.display()));
            }
        }
    }
}

#[test]
fn a_segment_that_is_gone_empty_or_anothers_costs_its_records() {
    let stranger = {
        let disk = MemoryFilesystem::new();
        fill(&mut ByHand::open(&disk, small()));
        disk.files()
    };
    let strangers = segments(&stranger);
    for end in ENDS {
        let sample = sample(end);
        let own = segments(&sample.files);
        for (index, file) in own.iter().enumerate() {
            let case = |what: &str| format!("{end:?}, {} {what}", file.display());
            let mut files = sample.files.clone();
            files.remove(file);
            judge(&sample, &files, &sample.truth, &case("removed"));
            files.insert(file.clone(), Vec::new());
            judge(&sample, &files, &sample.truth, &case("emptied"));
            files.insert(file.clone(), stranger[&strangers[index]].clone());
            judge(&sample, &files, &sample.truth, &case("replaced"));
            for other in &own[index + 1..] {
                let mut files = sample.files.clone();
                files.insert(file.clone(), sample.files[other].clone());
                files.insert(other.clone(), sample.files[file].clone());
                judge(&sample, &files, &sample.truth, &case("swapped"));
            }
        }
    }
}

#[test]
fn a_page_written_to_the_wrong_place_costs_what_it_covers() {
    const PAGE: usize = 4_096;
    for end in ENDS {
        let sample = sample(end);
        let own = segments(&sample.files);
        let pages = || own.iter().flat_map(|file| (0..4).map(move |page| (file, page * PAGE)));
        for (file, at) in pages() {
            for (other, from) in pages().filter(|place| *place != (file, at)) {
                let mut files = sample.files.clone();
                let page = sample.files[other][from..from + PAGE].to_vec();
                files.get_mut(file).expect("there")[at..at + PAGE].copy_from_slice(&page);
                let case = format!("{end:?}, {} at {at} from {} at {from}", file.display(), other.display());
                judge(&sample, &files, &sample.truth, &case);
            }
        }
    }
}

#[test]
fn without_its_cursor_everything_that_is_there_comes_again() {
    let sample = sample(End::Closed);
    let stranger = {
        let disk = MemoryFilesystem::new();
        fill(&mut ByHand::open(&disk, small()));
        disk.files()
    };
    let garbage: Vec<u8> =
        (0..24_576_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let cursors = [
        ("removed", None),
        ("empty", Some(Vec::new())),
        ("garbage", Some(garbage)),
        ("another spool's", Some(stranger[&path("cursor")].clone())),
    ];
    for (case, cursor) in cursors {
        let mut files = sample.files.clone();
        files.remove(&path("cursor"));
        if let Some(cursor) = cursor {
            files.insert(path("cursor"), cursor);
        }
        judge(&sample, &files, &sample.all, case);
        // And what is settled from then on stays so: the old cursor is not found again.
        let disk = disk_of(&files);
        let mut log = ByHand::open(&disk, small());
        log.spool.ack_up_to(30);
        log.turn(2_000);
        drop(log);
        let log = ByHand::open(&disk, small());
        assert!(read_all(&log.spool).iter().all(|record| record.sequence > 30), "{case}");
    }
}

#[test]
fn a_cursor_of_a_later_copy_hides_nothing_that_is_there() {
    let sample = sample(End::Closed);
    let later = disk_of(&sample.files);
    let mut log = ByHand::open(&later, small());
    for id in 0..100 {
        log.add(format!("later {id} {}", "x".repeat(200)));
    }
    log.spool.ack_up_to(u64::MAX);
    log.spool.close(std::time::Duration::ZERO).expect("written");
    let mut files = sample.files.clone();
    files.insert(path("cursor"), later.files()[&path("cursor")].clone());
    let disk = disk_of(&files);
    let mut look = inspect_with(Arc::new(disk.clone()), dir()).expect("a spool");
    let check = look.check(|_, _| {}).expect("readable");
    assert!(check.problems.iter().any(|problem| matches!(problem.kind, ProblemKind::Cursor(_))), "{check:?}");
    let log = ByHand::open(&disk, small());
    let found: Truth = read_all(&log.spool).into_iter().map(entry).collect();
    assert!(found == sample.all, "{:?}", found.keys());
}

#[test]
fn a_last_commit_that_nobody_was_told_of_is_unfinished_where_it_is_cut() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    for id in 0..5 {
        log.add(format!("record {id} of those before"));
    }
    log.spool.sync().forget();
    log.turn(0);
    let known = disk.files()[&path("cursor")].clone();
    let records = (0..4).map(|part| Bytes::from(format!("part {part} of the last batch"))).collect();
    log.store(Batch { records, meta: None }).expect("stored");
    let mut files = disk.files();
    // As before the last commit: a power cut takes the note of it along.
    files.insert(path("cursor"), known);
    let file = segments(&files).pop().expect("one");
    let id = raw::spool_id(&files, &dir()).expect("a header");
    let last = raw::segments(&files, &dir(), id).pop().expect("one").frames;
    let (start, end) = (last[last.len() - 4].offset, last[last.len() - 1].end());
    for cut in start..end {
        let mut torn = files.clone();
        torn.get_mut(&file).expect("there")[cut..].fill(0);
        let is_whole = raw::held(&raw::segments(&torn, &dir(), id)).len() == 9;
        let log = ByHand::open(&disk_of(&torn), small());
        let counters = log.spool.stats().counters;
        assert_eq!(counters.lost_records, 0, "cut at {cut}");
        assert_eq!(
            read_all(&log.spool).len(),
            if is_whole { 9 } else { 5 },
            "cut at {cut}: whole or not at all"
        );
    }
}

#[test]
fn beside_a_live_owner_damage_costs_the_same() {
    for at in (4_096..15_000_u64).step_by(step() * 5) {
        let disk = MemoryFilesystem::new();
        let mut log = ByHand::open(&disk, small());
        let acked = fill(&mut log);
        let file = segments(&disk.files())[1].clone();
        let old = disk.files()[&file][usize::try_from(at).expect("small")];
        disk.overwrite(&file, at, &[old ^ 1]).expect("there");
        let files = disk.files();
        let id = raw::spool_id(&files, &dir()).expect("headers");
        let mut held = raw::held(&raw::segments(&files, &dir(), id));
        held.retain(|sequence, _| !acked.contains(sequence));
        let lost = 84 - held.len() as u64;
        let mut look = inspect_with(Arc::new(disk.clone()), dir()).expect("a spool");
        assert!(look.is_owned());
        assert_eq!(look.check(|_, _| {}).expect("readable").lost, lost, "byte {at}");
        let found: Truth = read_all(&log.spool).into_iter().map(entry).collect();
        assert!(found == held, "byte {at}");
        assert_eq!(log.spool.stats().counters.lost_records, lost, "byte {at}");
    }
}
