//! A crash after every single operation of everything a spool does, with the operation itself torn at several
//! lengths, and the power failing or not: it opens again, and the promise holds.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use bytes::Bytes;
use fastrand::Rng;
use posthaste_spool::{Batch, FaultyFilesystem, Log, MemoryFilesystem, SpoolOptions, repair_with};

use crate::support::{dir, open, path, read_all, small};

/// What a scenario may rely on, and what it was promised while it ran.
#[derive(Default)]
struct Promises {
    stored: BTreeMap<u64, Bytes>,
    offered: Vec<Bytes>,
}

impl Promises {
    fn add(&mut self, log: &mut Log, length: usize) {
        let record = Bytes::from(format!("record {} {}", self.offered.len(), "x".repeat(length)));
        self.offered.push(record.clone());
        if let Ok(sequence) = log.add(record.clone()) {
            self.stored.insert(sequence, record);
        }
    }

    fn ack(&mut self, log: &mut Log, up_to: u64) {
        self.stored.retain(|sequence, _| *sequence > up_to);
        log.ack_up_to(up_to);
    }
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Runs `act` on copies of the disk that `prepare` made, crashing at each operation in turn.
fn crash_everywhere(
    prepare: impl Fn(&mut Log, &mut Promises),
    spoil: impl Fn(&mut Files),
    act: impl Fn(&FaultyFilesystem, &mut Promises),
) {
    let start = || {
        let disk = MemoryFilesystem::new();
        let mut promises = Promises::default();
        prepare(&mut open(&disk, small()), &mut promises);
        let mut files = disk.files();
        spoil(&mut files);
        let copy = MemoryFilesystem::new();
        for (path, bytes) in files {
            copy.put(&path, bytes);
        }
        (FaultyFilesystem::new(copy.clone()), copy, promises)
    };
    let (faulty, _, mut promises) = start();
    act(&faulty, &mut promises);
    let operations = faulty.operations();
    assert!(operations > 3, "the scenario does something");
    for number in 0..operations {
        for torn in [0, 1, 39, 40, 100, 400, 5_000] {
            for power in [false, true] {
                let (faulty, disk, mut promises) = start();
                faulty.crash_at(number, torn);
                act(&faulty, &mut promises);
                if power {
                    disk.crash(&mut Rng::with_seed(number * 31 + torn as u64));
                } else {
                    disk.kill();
                }
                check(&disk, &promises, &format!("crash at {number}, torn at {torn}, power cut: {power}"));
            }
        }
    }
}

fn check(disk: &MemoryFilesystem, promises: &Promises, case: &str) {
    let mut log = open(disk, small());
    let found: BTreeMap<u64, Bytes> =
        read_all(&mut log).into_iter().map(|record| (record.sequence, record.bytes)).collect();
    for (sequence, record) in &promises.stored {
        assert_eq!(found.get(sequence), Some(record), "{case}: record {sequence}");
    }
    assert!(found.values().all(|record| promises.offered.contains(record)), "{case}: invented");
    let added = log.add("one more").unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(read_all(&mut log).last().expect("added").sequence, added, "{case}");
}

fn with_log(faulty: &FaultyFilesystem, act: impl FnOnce(&mut Log)) {
    if let Ok(mut log) = Log::open_with(Arc::new(faulty.clone()), dir(), small()) {
        act(&mut log);
    }
}

fn nothing(_: &mut Files) {}

#[test]
fn appending() {
    let prepare = |log: &mut Log, promises: &mut Promises| promises.add(log, 50);
    crash_everywhere(prepare, nothing, |faulty, promises| {
        with_log(faulty, |log| (0..4).for_each(|length| promises.add(log, length * 90)));
    });
}

#[test]
fn rotating() {
    let prepare = |log: &mut Log, promises: &mut Promises| (0..4).for_each(|_| promises.add(log, 350));
    crash_everywhere(prepare, nothing, |faulty, promises| {
        with_log(faulty, |log| (0..3).for_each(|_| promises.add(log, 350)));
    });
}

#[test]
fn acknowledging() {
    let prepare = |log: &mut Log, promises: &mut Promises| (0..8).for_each(|_| promises.add(log, 200));
    crash_everywhere(prepare, nothing, |faulty, promises| {
        with_log(faulty, |log| {
            promises.ack(log, 3);
            let _ = log.sync();
            promises.ack(log, 6);
            let _ = log.sync();
        });
    });
}

#[test]
fn recycling() {
    let prepare = |log: &mut Log, promises: &mut Promises| {
        (0..14).for_each(|_| promises.add(log, 350));
        promises.ack(log, 2);
    };
    crash_everywhere(prepare, nothing, |faulty, promises| {
        with_log(faulty, |log| {
            promises.ack(log, 12);
            (0..6).for_each(|_| promises.add(log, 350));
        });
    });
}

#[test]
fn repairing() {
    let prepare = |log: &mut Log, promises: &mut Promises| {
        (0..8).for_each(|_| promises.add(log, 300));
        promises.stored.remove(&2);
    };
    let spoil = |files: &mut Files| {
        let segment = files.get_mut(&path("seg-00000000000000000002.log")).expect("there");
        let at = segment.windows(8).position(|window| window == b"record 1").expect("there");
        segment[at] ^= 1;
        segment[20] ^= 1;
    };
    crash_everywhere(prepare, spoil, |faulty, _| {
        let _ = repair_with(Arc::new(faulty.clone()), dir(), small());
    });
}

#[test]
fn a_batch_is_there_as_a_whole_with_its_metadata_or_not_at_all() {
    let batch = |id: u32| Batch {
        records: (0..3).map(|part| Bytes::from(format!("batch {id} part {part}"))).collect(),
        meta: Some(Bytes::from(format!("after batch {id}"))),
    };
    for number in 0.. {
        for torn in (0..700).step_by(13) {
            let disk = MemoryFilesystem::new();
            drop(open(&disk, small()).write(&[batch(0)]));
            let faulty = FaultyFilesystem::new(disk.clone());
            faulty.crash_at(number, torn);
            let mut promised = 0;
            with_log(&faulty, |log| promised = log.write(&[batch(1), batch(2)]).iter().flatten().count());
            let crashed = faulty.crashed();
            disk.crash(&mut Rng::with_seed(number * 1_000 + torn as u64));
            let mut log = open(&disk, small());
            let records = read_all(&mut log).len();
            let meta = log.meta().expect("metadata");
            assert!(
                records.is_multiple_of(3) && records >= 3 + 3 * promised,
                "{records} records at {number}, {torn}"
            );
            assert_eq!(meta, format!("after batch {}", records / 3 - 1), "at {number}, {torn}");
            if !crashed {
                return;
            }
        }
    }
}

#[test]
fn any_single_failing_operation_is_survived_or_reported() {
    let options: SpoolOptions = small();
    for number in 0..200 {
        let disk = MemoryFilesystem::new();
        let faulty = FaultyFilesystem::new(disk.clone());
        faulty.fail_at(number, io::ErrorKind::Other);
        let mut promises = Promises::default();
        if let Ok(mut log) = Log::open_with(Arc::new(faulty), dir(), options.clone()) {
            for _ in 0..12 {
                promises.add(&mut log, 300);
            }
            promises.ack(&mut log, 4);
            promises.add(&mut log, 300);
        }
        disk.kill();
        check(&disk, &promises, &format!("operation {number} fails"));
    }
}
