//! Room on disk: there before anything is taken, within the limits, and back when it is free again.

use std::sync::Arc;

use bytes::Bytes;
use posthaste_spool::{
    Batch, FaultyFilesystem, MemoryFilesystem, Operation, Refusal, SpoolOptions, WriteError,
};

use crate::support::{ByHand, dir, read_all, small};

const SEGMENT: u64 = 16_384;

/// Adds until it is refused twice with a turn in between, and says why.
fn fill(log: &mut ByHand) -> Refusal {
    loop {
        let record = Bytes::from(vec![b'x'; 400]);
        if let Err(refused) = log.spool.add(record.clone()) {
            assert_eq!(refused.into_record(), record, "it comes back");
            log.turn(10_000);
            if let Err(refused) = log.spool.add(record) {
                return refused.reason;
            }
        }
        log.turn(0);
    }
}

fn bytes_on_disk(disk: &MemoryFilesystem) -> u64 {
    let own = |name: &str| name.starts_with("seg-") || name.starts_with("spare-");
    let files = disk.files();
    let own = files
        .iter()
        .filter(|(path, _)| path.strip_prefix(dir()).ok().and_then(|name| name.to_str()).is_some_and(own));
    own.map(|(_, bytes)| bytes.len() as u64).sum()
}

#[test]
fn a_disk_filled_by_the_only_segment_gives_room_back_by_itself() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    disk.set_space(Some(0));
    let refusal = fill(&mut log);
    assert!(refusal.is_full(), "{refusal:?}");
    let full = log.spool.stats();
    log.spool.ack_up_to(u64::MAX);
    log.turn(0);
    log.spool.add("more").expect("there is room again").forget();
    let refusal = fill(&mut log);
    assert!(refusal.is_full(), "{refusal:?}");
    assert_eq!(log.spool.stats().disk_bytes, full.disk_bytes, "the same room");
    assert!(read_all(&log.spool).len() > 15, "all of it");
}

#[test]
fn where_a_whole_segment_does_not_fit_a_smaller_one_is_made() {
    let disk = MemoryFilesystem::new();
    let options =
        SpoolOptions::default().segment_bytes(1 << 20).record_bytes_max(1_000).size_bytes_max(1 << 30);
    // The dead letters' reserve and the cursors come first.
    disk.set_space(Some(400_000));
    let mut log = ByHand::open(&disk, options);
    let refusal = fill(&mut log);
    assert!(refusal.is_full(), "{refusal:?}");
    assert!(log.spool.stats().segments > 1, "{:?}", log.spool.stats());
    assert!(log.spool.len() > 50, "{}", log.spool.len());
}

#[test]
fn where_room_cannot_be_allocated_zeros_are_written() {
    let disk = MemoryFilesystem::new();
    let faulty = FaultyFilesystem::new(disk.clone());
    faulty.fail_always(Operation::Allocate, std::io::ErrorKind::Unsupported);
    let mut log = ByHand::open(&faulty, small());
    for id in 0..100 {
        log.add(format!("record {id} {}", "x".repeat(300)));
    }
    let files = disk.files();
    let segments = files.iter().filter(|(path, _)| path.to_string_lossy().contains("seg-"));
    assert!(segments.clone().count() > 2);
    assert!(segments.clone().all(|(_, bytes)| bytes.len() as u64 >= SEGMENT));
    assert_eq!(read_all(&log.spool).len(), 100);
}

#[test]
fn the_size_limit_refuses_at_the_call_and_is_never_exceeded() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small().size_bytes_max(4 * SEGMENT));
    for _ in 0..5 {
        let refusal = fill(&mut log);
        assert!(
            matches!(refusal, Refusal::Blocked(WriteError::SizeLimit { bytes_max }) if bytes_max == 4 * SEGMENT)
        );
        assert!(refusal.is_full());
        assert_eq!(bytes_on_disk(&disk), 4 * SEGMENT);
        let oldest = log.spool.oldest_to_displace(0, &[], 400).expect("there is one");
        log.spool.ack_up_to(oldest.end - 1);
        log.turn(0);
        log.spool.add("more").expect("the oldest segment's room").forget();
    }
}

#[test]
fn where_settled_segments_cannot_be_given_back_the_disk_is_the_reason_and_not_the_limit() {
    let faulty = FaultyFilesystem::new(MemoryFilesystem::new());
    let mut log = ByHand::open(&faulty, small().size_bytes_max(4 * SEGMENT));
    assert!(fill(&mut log).is_full());
    faulty.fail_always(Operation::Write, std::io::ErrorKind::PermissionDenied);
    log.spool.ack_up_to(u64::MAX);
    log.turn(10_000);
    let refusal = fill(&mut log);
    assert!(matches!(refusal, Refusal::Blocked(WriteError::Disk(_))), "{refusal:?}");
    assert!(!refusal.is_full(), "to wait for room would be in vain: {refusal:?}");
    faulty.heal();
    log.turn(100_000);
    log.spool.add("more").expect("there is room again").forget();
    assert!(matches!(fill(&mut log), Refusal::Blocked(WriteError::SizeLimit { .. })));
}

#[test]
fn the_disk_stays_the_reason_while_what_was_taken_finds_no_segment() {
    let faulty = FaultyFilesystem::new(MemoryFilesystem::new());
    let mut log = ByHand::open(&faulty, small().size_bytes_max(4 * SEGMENT));
    while log.spool.stats().segments < 4 {
        log.add("x".repeat(400));
    }
    faulty.fail_always(Operation::Write, std::io::ErrorKind::PermissionDenied);
    log.spool.ack_up_to(u64::MAX);
    log.spool.add("taken, and then the last segment fails").expect("there is room").forget();
    for _ in 0..5 {
        log.turn(10_000);
        let refusal = log.spool.add("more").expect_err("nothing can be written").reason;
        assert!(matches!(refusal, Refusal::Blocked(WriteError::Disk(_))), "{refusal:?}");
    }
    faulty.heal();
    log.turn(100_000);
    log.turn(100_000);
    assert_eq!(read_all(&log.spool).len(), 1, "it is written after all");
}

#[test]
fn only_the_oldest_segment_without_leased_records_is_displaced() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small().size_bytes_max(4 * SEGMENT));
    assert_eq!(log.spool.oldest_to_displace(0, &[], 400), None, "of an empty spool");
    fill(&mut log);
    let first = log.spool.oldest_to_displace(0, &[], 400).expect("the oldest");
    assert_eq!(first.start, 1);
    let second = log.spool.oldest_to_displace(2, &[], 400).expect("the next");
    assert_eq!(second.start, first.end);
    let third = log.spool.oldest_to_displace(second.start + 1, &[], 400).expect("the one after");
    assert_eq!(third.start, second.end);
    // Of the second and the third something is leased, until it has ended.
    let leased = [first.end + 1..first.end + 2, second.end..second.end + 1];
    assert_eq!(log.spool.oldest_to_displace(2, &leased, 400), None);
    log.spool.ack(&[second.end]);
    assert_eq!(log.spool.oldest_to_displace(2, &leased, 400), Some(third.clone()));
    assert_eq!(
        log.spool.oldest_to_displace(third.start + 1, &[], 400),
        None,
        "not the one that is being written"
    );
    assert_eq!(log.spool.oldest_to_displace(0, &[], 1 << 20), None, "nothing makes room for that");
    let displaced: Vec<u64> = second.clone().collect();
    assert_eq!(log.spool.ack(&displaced), second.end - second.start);
    log.turn(0);
    log.spool.add("more").expect("room from the middle").forget();
}

#[test]
fn what_is_refused_because_room_is_being_made_is_taken_after_a_turn() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    let mut taken = 0;
    let refusal = loop {
        match log.spool.add(vec![b'x'; 400]) {
            Ok(receipt) => receipt.forget(),
            Err(refused) => break refused.reason,
        }
        taken += 1;
    };
    assert!(matches!(refusal, Refusal::NoRoomYet), "{refusal:?}");
    log.turn(0);
    log.spool.add(vec![b'x'; 400]).expect("taken now").forget();
    log.turn(0);
    log.turn(0);
    assert_eq!(read_all(&log.spool).len(), taken + 1);
}

#[test]
fn what_waits_in_memory_is_bounded() {
    let disk = MemoryFilesystem::new();
    let options = small().segment_bytes(1 << 20).size_bytes_max(1 << 22).pending_bytes_max(2_000);
    let mut log = ByHand::open(&disk, options);
    for _ in 0..4 {
        log.spool.add(vec![b'x'; 400]).expect("taken").forget();
    }
    let refused = log.spool.add(vec![b'x'; 400]).expect_err("too much");
    assert!(matches!(refused.reason, Refusal::PendingFull { bytes_max: 2_000 }));
    log.turn(0);
    log.spool.add(vec![b'x'; 400]).expect("taken").forget();
    // What is acknowledged before it is stored does not wait for the disk in memory.
    log.spool.ack_up_to(u64::MAX);
    for _ in 0..4 {
        log.spool.add(vec![b'x'; 400]).expect("taken").forget();
    }
}

#[test]
fn a_large_record_gets_the_room_of_empty_segments_that_are_too_small_for_it() {
    let disk = MemoryFilesystem::new();
    let options =
        SpoolOptions::default().segment_bytes(1 << 18).record_bytes_max(200_000).size_bytes_max(1 << 19);
    let mut log = ByHand::open(&disk, options);
    disk.set_space(Some(200_000));
    fill(&mut log);
    disk.set_space(None);
    fill(&mut log);
    log.spool.ack_up_to(u64::MAX);
    log.turn(0);
    let refused = log.spool.add(vec![b'x'; 200_000]);
    if refused.is_err() {
        log.turn(10_000);
        log.turn(10_000);
        log.spool.add(vec![b'x'; 200_000]).expect("there is room for it").forget();
    }
    log.turn(0);
    assert_eq!(read_all(&log.spool).len(), 1);
}

#[test]
fn a_full_disk_takes_dead_letters_out_of_the_reserve_and_then_out_of_spares() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small().spare_segments_max(8));
    for _ in 0..10 * 18 {
        log.add(vec![b'x'; 400]);
    }
    log.spool.ack_up_to(170);
    log.turn(2_000);
    disk.set_space(Some(0));
    let stored = Arc::new(parking_lot::Mutex::new(0));
    let (mut letters, mut refused) = (0, 0);
    while refused < 60 {
        let stored = Arc::clone(&stored);
        let then = move |result: Result<u64, _>| *stored.lock() += u64::from(result.is_ok());
        match log.spool.dead().add(None, &[b'y'; 8_000], then) {
            Ok(_) => letters += 1,
            Err(_) => refused += 1,
        }
        log.turn(1_000);
    }
    assert_eq!(*stored.lock(), letters, "what was taken is stored");
    assert!(letters > 9, "the reserve alone holds less: {letters}");
    assert_eq!(log.spool.dead().len().expect("open"), letters);
    // Letters that are removed make room for others, and for the spool.
    log.spool.dead().purge().expect("open");
    log.turn(10_000);
    log.spool.dead().add(None, &[b'y'; 8_000], |_| {}).expect("room again");
}

#[test]
fn what_is_not_settled_takes_bytes_and_dead_letters_go_by_pieces_or_by_the_file() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small().dead_bytes_max(4 << 20));
    assert_eq!((log.spool.unsettled_bytes(), log.spool.dead().bytes().expect("open")), (0, 0));
    for _ in 0..100 {
        log.add(vec![b'x'; 400]);
    }
    let bytes = log.spool.unsettled_bytes();
    assert!((40_000..80_000).contains(&bytes), "{bytes} bytes, with a page of 4,096 for each file");
    log.spool.ack_up_to(50);
    assert!(log.spool.unsettled_bytes() < bytes);
    log.spool.ack_up_to(100);
    assert_eq!(log.spool.unsettled_bytes(), 0);
    // What waits to be written counts once, beside what the last file has.
    log.add(vec![b'x'; 400]);
    let bytes = log.spool.unsettled_bytes();
    for _ in 0..10 {
        log.spool.add(vec![b'x'; 400]).expect("there is room").forget();
    }
    let more = log.spool.unsettled_bytes() - bytes;
    assert!((4_000..5_000).contains(&more), "{more} bytes wait");

    for _ in 0..400 {
        while log.spool.dead().add(None, &[b'y'; 2_000], |_| {}).is_err() {
            log.turn(1_000);
        }
        log.turn(10);
    }
    let dead = log.spool.dead();
    let bytes = dead.bytes().expect("open");
    assert!((800_000..1_000_000).contains(&bytes), "{bytes}");
    assert_eq!((dead.bytes_max().expect("open"), dead.is_tight(2_000).expect("open")), (4 << 20, false));
    let first = || dead.list(0, 1, 1).expect("readable").records[0].sequence;
    let mut left = bytes;
    for (remove, most) in [
        (posthaste_spool::DeadLetters::remove_oldest as fn(&_) -> _, bytes / 16),
        (posthaste_spool::DeadLetters::remove_oldest_file, bytes / 2),
    ] {
        let (before, len) = (first(), dead.len().expect("open"));
        let removed = remove(dead).expect("open");
        assert!(removed > 0 && removed * 2_000 <= most, "{removed}");
        assert_eq!((first(), dead.len().expect("open")), (before + removed, len - removed));
        let now = dead.bytes().expect("open");
        // A piece counts whole until all of it is gone.
        assert!(now <= left && now >= (len - removed) * 2_000, "{now} bytes");
        left = now;
    }
    // Whoever opens them next knows as much.
    drop(log);
    let log = ByHand::open(&disk, small().dead_bytes_max(4 << 20));
    let dead = log.spool.dead();
    let again = dead.bytes().expect("open");
    assert!(again <= left && again >= dead.len().expect("open") * 2_000, "{again} of {left}");
    while dead.remove_oldest().expect("open") > 0 {}
    assert_eq!((dead.len().expect("open"), dead.bytes().expect("open")), (0, 0));
}

#[test]
fn where_room_is_about_to_come_back_the_limit_is_no_reason_any_more() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small().size_bytes_max(4 * SEGMENT));
    let refusal = fill(&mut log);
    assert!(matches!(refusal, Refusal::Blocked(WriteError::SizeLimit { .. })), "{refusal:?}");
    let records = log.spool.stats().records;
    log.spool.ack_up_to(records / 2);
    // Nobody has looked since then: what let these go need not let more go.
    let refusal = log.spool.add(vec![b'x'; 400]).expect_err("not yet").reason;
    assert!(matches!(refusal, Refusal::NoRoomYet), "{refusal:?}");
    log.turn(0);
    log.spool.add(vec![b'x'; 400]).expect("there is room again").forget();
}

#[test]
fn what_was_taken_outlives_every_error_in_memory() {
    for (operation, kind) in [
        (Operation::Sync, std::io::ErrorKind::Other),
        (Operation::Write, std::io::ErrorKind::StorageFull),
        (Operation::Open, std::io::ErrorKind::PermissionDenied),
        (Operation::Write, std::io::ErrorKind::ReadOnlyFilesystem),
    ] {
        let disk = MemoryFilesystem::new();
        let faulty = FaultyFilesystem::new(disk.clone());
        let mut log = ByHand::open(&faulty, small());
        let receipts: Vec<_> =
            (0..10).map(|id| log.spool.add(format!("record {id}")).expect("taken")).collect();
        faulty.fail_always(operation, kind);
        for _ in 0..50 {
            log.turn(1_000);
        }
        if operation != Operation::Open {
            assert!(matches!(log.spool.add("more").expect_err("blocked").reason, Refusal::Blocked(_)));
            assert_eq!(log.spool.stored(), 1);
        }
        faulty.heal();
        log.turn(10_000);
        for (receipt, number) in receipts.into_iter().zip(1..) {
            assert_eq!(receipt.wait().expect("stored"), number);
        }
        let batch =
            Batch { records: vec![Bytes::from_static(b"more")], meta: Some(Bytes::from_static(b"m")) };
        assert_eq!(log.store(batch).expect("stored"), 11);
    }
}

/// Room that is promised is counted on once, until it comes: what is taken meanwhile waits for it, and is stored then.
#[test]
fn what_is_promised_is_counted_on_until_it_comes() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small().size_bytes_max(4 * SEGMENT));
    assert!(fill(&mut log).is_full());
    let oldest = log.spool.oldest_to_displace(0, &[], 400).expect("the oldest");
    log.spool.promise(&oldest);
    log.spool.promise(&oldest);
    let mut taken = 0;
    while log.spool.add(vec![b'x'; 400]).is_ok() {
        taken += 1;
        log.turn(10_000);
    }
    assert!((10..SEGMENT / 400).contains(&taken), "{taken}: the room of one segment");
    let stats = log.spool.stats();
    assert!((10..=taken).contains(&stats.pending_records) && !stats.is_failing, "{stats:?}");
    log.spool.ack_up_to(oldest.end - 1);
    log.turn(0);
    log.turn(0);
    assert_eq!(log.spool.stats().pending_records, 0, "the room has come");
}

#[test]
fn an_idle_spool_makes_as_much_room_ahead_as_it_is_told() {
    for (room_ahead_max, files) in [(u64::MAX, 3), (8 << 20, 1)] {
        let disk = MemoryFilesystem::new();
        let mut log = ByHand::open(&disk, SpoolOptions::default().room_ahead_max(room_ahead_max));
        (0..5).for_each(|_| log.turn(10));
        assert_eq!(bytes_on_disk(&disk), files * (16 << 20), "{room_ahead_max}");
    }
}
