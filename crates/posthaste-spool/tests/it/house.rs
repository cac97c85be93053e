//! What an owner keeps in order: acknowledgements written down in time, letters once, the cursor before the room it
//! frees, one folder and one owner.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fastrand::Rng;
use parking_lot::Mutex;
use posthaste_spool::{
    Fault, FaultyFilesystem, MemoryFilesystem, OpenError, Operation, Refusal, Spool, WriteError, inspect_with,
};

use crate::support::{ByHand, dir, path, read_all, small};

/// Settled records that a power cut would bring back, and those it would not.
fn settled(disk: &MemoryFilesystem) -> (u64, u64) {
    let status = inspect_with(Arc::new(disk.fork()), dir()).expect("a spool").status();
    (status.settled_unsynced, status.stats.first_sequence - 1)
}

#[test]
fn acknowledgements_are_written_down_after_so_many_or_so_long() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    for id in 0..20 {
        log.add(format!("record {id}"));
    }
    log.spool.ack(&[1, 2, 3, 4]);
    log.turn(0);
    assert_eq!(settled(&disk), (4, 4), "noted, not synced");
    log.spool.ack(&[5]);
    log.turn(0);
    assert_eq!(settled(&disk), (0, 5), "five are enough");
    log.spool.ack(&[6]);
    log.turn(0);
    let waits = log.turns.turn(log.now);
    assert!(waits <= Duration::from_secs(1), "it asks to be called again in time: {waits:?}");
    log.turn(999);
    assert_eq!(settled(&disk).0, 1);
    log.turn(1);
    assert_eq!(settled(&disk), (0, 6), "one second is enough, though nothing else happened");
}

/// One record, whose letter is stored and which is acknowledged then; what is left after a crash at this operation.
fn letter_with_crash(number: u64) -> bool {
    let disk = MemoryFilesystem::new();
    let faulty = FaultyFilesystem::new(disk.clone());
    let mut log = ByHand::open(&faulty, small());
    let sequence = log.add("a record that nobody wants");
    faulty.crash_at(faulty.operations() + number, 300);
    bury(&mut log, sequence);
    let crashed = faulty.crashed();
    drop(log);
    disk.kill();
    faulty.heal();
    let mut log = ByHand::open(&faulty, small());
    // Whoever reads it again gives it up again.
    for record in read_all(&log.spool) {
        bury(&mut log, record.sequence);
    }
    let letters = log.spool.dead().list(0, 10, 1_000).expect("readable").records;
    assert_eq!(letters.len(), 1, "crash at {number}");
    assert_eq!(letters[0].bytes, "the letter");
    assert!(log.spool.is_empty(), "crash at {number}");
    crashed
}

fn bury(log: &mut ByHand, sequence: u64) {
    let stored = Arc::new(Mutex::new(false));
    let told = Arc::clone(&stored);
    let taken =
        log.spool.dead().add(Some(sequence), b"the letter", move |result| *told.lock() = result.is_ok());
    log.turn(0);
    if taken.is_ok() && *stored.lock() {
        log.spool.ack(&[sequence]);
    }
    log.turn(2_000);
}

#[test]
fn a_kill_between_a_letter_and_its_acknowledgement_stores_it_once() {
    let crashes = (0..100).take_while(|number| letter_with_crash(*number)).count();
    assert!(crashes > 5, "{crashes}");
}

#[test]
fn a_power_cut_while_space_is_given_back_loses_nothing() {
    for number in 0..60 {
        for dice in 0..6 {
            let disk = MemoryFilesystem::new();
            let faulty = FaultyFilesystem::new(disk.clone());
            let mut log = ByHand::open(&faulty, small());
            for id in 0..60 {
                log.add(format!("record {id} {}", "x".repeat(300)));
            }
            faulty.crash_at(faulty.operations() + number, 2_000);
            log.spool.ack_up_to(50);
            log.turn(0);
            log.turn(2_000);
            log.spool.ack_up_to(60);
            log.turn(2_000);
            drop(log);
            disk.crash(&mut Rng::with_seed(number * 100 + dice));
            faulty.heal();
            let log = ByHand::open(&faulty, small());
            let found = read_all(&log.spool);
            assert_eq!(
                log.spool.stats().counters.lost_records,
                0,
                "crash at {number}, dice {dice}: no loss is one"
            );
            assert!(found.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
        }
    }
}

#[test]
fn a_spool_whose_folder_is_moved_finishes_there_and_touches_no_other() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    log.add("before");
    let receipt = log.spool.add("taken, not stored").expect("taken");
    disk.rename_folder("/spool", "/moved").expect("moved");
    let mut other = ByHand::open(&disk, small());
    other.add("another spool's");
    let theirs = disk.files();
    let theirs = || theirs.iter().filter(|(path, _)| path.starts_with("/spool"));
    log.turn(2_000);
    assert_eq!(receipt.wait().expect("stored where the spool is"), 2);
    let refused = log.spool.add("new").expect_err("nothing new");
    assert!(matches!(refused.reason, Refusal::Blocked(WriteError::Moved { path }) if path == dir()));
    // Letters about what was taken are part of finishing it.
    let stored = Arc::new(Mutex::new(false));
    let told = Arc::clone(&stored);
    log.spool.dead().add(Some(1), b"letter", move |result| *told.lock() = result.is_ok()).expect("taken");
    log.turn(2_000);
    assert!(*stored.lock());
    log.spool.ack(&[1, 2]);
    log.turn(2_000);
    log.spool.close(Duration::ZERO).expect("written");
    drop(log);
    for (path, bytes) in theirs() {
        assert!(disk.files()[path] == *bytes, "{} was touched", path.display());
    }
    assert_eq!(read_all(&other.spool).len(), 1);
    let (moved, _turns) =
        Spool::open_by_hand(Arc::new(disk), PathBuf::from("/moved"), small()).expect("opens");
    assert_eq!((moved.len(), moved.dead().len().expect("open")), (0, 1));
}

fn open(filesystem: &(impl posthaste_spool::Filesystem + Clone)) -> Result<(), OpenError> {
    Spool::open_by_hand(Arc::new(filesystem.clone()), dir(), small()).map(|_| ())
}

#[test]
fn a_second_owner_is_told_who_the_first_is() {
    let disk = MemoryFilesystem::new();
    let log = ByHand::open(&disk, small());
    let error = open(&disk).expect_err("locked");
    assert!(matches!(&error, OpenError::Locked { owner: Some(owner), .. } if *owner == std::process::id()));
    assert!(error.to_string().contains("this very process"), "{error}");
    drop(log);
    open(&disk).expect("free again");
}

#[test]
fn what_does_not_open_says_why_and_what_to_do() {
    let disk = MemoryFilesystem::new();
    let faulty = FaultyFilesystem::new(disk.clone());
    faulty.fail_next(Operation::OpenFolder, std::io::ErrorKind::PermissionDenied);
    let error = open(&faulty).expect_err("no permission");
    assert!(
        matches!(error, OpenError::Permission { .. }) && error.to_string().contains("no permission"),
        "{error}"
    );
    faulty.fail_next(Operation::OpenFolder, Fault::EIO);
    assert!(matches!(open(&faulty).expect_err("the disk"), OpenError::Disk(_)));

    let mut log = ByHand::open(&disk, small());
    log.add("a record");
    drop(log);
    let mut files = disk.files();
    let segment = files.keys().find(|path| path.to_string_lossy().contains("seg-")).expect("one").clone();
    let header = files.get_mut(&segment).expect("there");
    header[8] = 3;
    header[12..16].fill(0);
    let crc = crc32fast::hash(&header[..64]);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    let error = open(&crate::raw::disk_of(&files)).expect_err("newer");
    assert!(matches!(error, OpenError::Version { found: 3, .. }), "{error}");
    assert!(error.to_string().contains("use the posthaste that wrote it"), "{error}");

    let stranger = MemoryFilesystem::new();
    stranger.put(path("holiday.jpg"), *b"a picture");
    let error = open(&stranger).expect_err("no spool");
    assert!(
        matches!(error, OpenError::NotASpool { .. }) && error.to_string().contains("holiday.jpg"),
        "{error}"
    );
    let file = MemoryFilesystem::new();
    file.put(dir(), *b"a file");
    assert!(matches!(open(&file).expect_err("a file"), OpenError::NotASpool { .. }));

    let old = MemoryFilesystem::new();
    old.put(path("lock"), *b"");
    old.put(path("seg-00000000000000000002.log"), vec![1; 9_000]);
    let before = old.files();
    let error = open(&old).expect_err("old");
    assert!(
        matches!(error, OpenError::OldLayout { .. }) && error.to_string().contains("never released"),
        "{error}"
    );
    assert_eq!(old.files(), before, "it is left as it is");
    assert!(matches!(inspect_with(Arc::new(old), dir()), Err(OpenError::OldLayout { .. })));
}
