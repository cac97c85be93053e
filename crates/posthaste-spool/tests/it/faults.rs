//! A disk that refuses: what was promised stays, receipts do not lie, and all goes on once the cause is gone.

use std::{io, sync::Arc};

use posthaste_spool::{
    Batch, Durability, FaultyFilesystem, Filesystem, Log, MemoryFilesystem, OpenError, Operation, WriteError,
    inspect_with,
};

use crate::support::{dir, open, path, read_all, small};

fn faulty() -> (FaultyFilesystem, MemoryFilesystem) {
    let disk = MemoryFilesystem::new();
    (FaultyFilesystem::new(disk.clone()), disk)
}

#[test]
fn after_a_failed_sync_the_records_are_written_to_another_segment() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small());
    log.add("before").expect("written");
    faulty.fail_next(Operation::Sync, io::ErrorKind::Other);
    assert_eq!(log.add("during").expect("written elsewhere"), 2);
    log.add("after").expect("written");
    assert_eq!(log.stats().counters.suspect_segments, 1);
    assert_eq!(log.stats().segments, 2);
    disk.crash(&mut fastrand::Rng::with_seed(1));
    let records = read_all(&mut open(&disk, small()));
    let texts: Vec<_> = records.iter().map(|record| &*record.bytes).collect();
    assert_eq!(texts, [&b"before"[..], b"during", b"after"]);
}

#[test]
fn a_suspect_segment_is_deleted_and_never_used_again() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small());
    log.add("before").expect("written");
    faulty.fail_next(Operation::Sync, io::ErrorKind::Other);
    log.add("during").expect("written elsewhere");
    log.ack_up_to(1);
    let names: Vec<_> = disk.files().into_keys().collect();
    assert!(!names.iter().any(|name| name.ends_with("seg-00000000000000000002.log")), "{names:?}");
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("spare")), "{names:?}");
}

#[test]
fn when_no_sync_works_the_receipt_fails_and_later_adds_succeed() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small());
    log.add("before").expect("written");
    faulty.fail_always(Operation::Sync, io::ErrorKind::Other);
    let error = log.add("during").expect_err("not synced");
    assert!(error.to_string().starts_with("could not allocate /spool/"), "{error}");
    assert_eq!(read_all(&mut log).len(), 1);
    faulty.heal();
    assert_eq!(log.add("after").expect("written"), 2);
    disk.crash(&mut fastrand::Rng::with_seed(1));
    let records = read_all(&mut open(&disk, small()));
    assert_eq!(records.last().expect("there").bytes, "after");
    assert_eq!(records.len(), 2);
}

#[test]
fn a_torn_write_is_never_written_over() {
    let (faulty, _) = faulty();
    let mut log = open(&faulty, small());
    log.add("first").expect("written");
    faulty.fail_next(Operation::Write, io::ErrorKind::StorageFull);
    assert_eq!(log.add("second").expect("written elsewhere"), 2);
    assert_eq!(log.stats().counters.suspect_segments, 1);
    assert_eq!(read_all(&mut log).len(), 2);
}

#[test]
fn a_full_disk_refuses_adds_until_acknowledgements_or_space_come() {
    let (faulty, _) = faulty();
    faulty.set_space(Some(35_000));
    let mut log = open(&faulty, small());
    let mut added = 0;
    let error = loop {
        match log.add(vec![b'x'; 300]) {
            Ok(_) => added += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    assert_eq!(read_all(&mut log).len(), added);
    assert!(log.add("still full").is_err());
    log.ack_up_to(6);
    log.add("space came back").expect("written");
    while log.add(vec![b'x'; 300]).is_ok() {}
    faulty.set_space(None);
    log.add("space came from elsewhere").expect("written");
}

#[test]
fn a_deleted_folder_fails_the_receipt_or_moves_on_but_never_lies() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small());
    log.add("before").expect("written");
    disk.delete_dir(&dir());
    // The folder is made anew, and what could be saved is in it.
    assert_eq!(log.add("during").expect("written anew"), 2);
    assert!(disk.files().keys().any(|path| path.starts_with(dir())));
    let records = read_all(&mut log);
    assert_eq!(records.len(), 1);
    assert_eq!(log.stats().counters.damaged_records, 1);
    drop(log);
    assert_eq!(read_all(&mut open(&disk, small())).len(), 1);
}

#[test]
fn a_deleted_folder_taken_by_another_is_left_to_it() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small());
    log.add("before").expect("written");
    disk.delete_dir(&dir());
    let other = open(&disk, small());
    let error = log.add("during").expect_err("not ours any more");
    assert!(matches!(error, WriteError::LostLock { .. }), "{error}");
    drop(other);
}

#[test]
fn a_folder_that_another_has_used_meanwhile_is_left_to_it_for_good() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small());
    log.add("before").expect("written");
    disk.delete_dir(&dir());
    open(&disk, small()).add("theirs").expect("written");
    for _ in 0..3 {
        let error = log.add("during").expect_err("not ours any more");
        assert!(matches!(error, WriteError::LostLock { .. }), "{error}");
    }
    drop(log);
    let records = read_all(&mut open(&disk, small()));
    assert_eq!((records.len(), &*records[0].bytes), (1, &b"theirs"[..]));
}

#[test]
fn a_deleted_lock_file_is_made_anew() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small());
    log.add("before").expect("written");
    disk.remove(&path("lock")).expect("there");
    log.add("during").expect("written");
    let error = Log::open_with(Arc::new(disk), dir(), small()).expect_err("locked again");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert_eq!(read_all(&mut log).len(), 2);
}

#[test]
fn what_can_never_fit_is_refused_and_the_rest_is_written() {
    let mut log = open(&faulty().0, small());
    let meta = Batch { records: Vec::new(), meta: Some(vec![0; 5_000].into()) };
    let oversized = Batch::record(vec![0; 401]);
    let results =
        log.write(&[oversized.clone(), Batch::record("fits"), meta, oversized, Batch::record("fits, too")]);
    assert!(matches!(results[0], Err(WriteError::TooLarge { bytes: 401, bytes_max: 400 })));
    assert!(matches!(results[1], Ok(1)));
    assert!(matches!(results[2], Err(WriteError::TooLarge { bytes: 5_000, .. })));
    assert!(matches!(results[3], Err(WriteError::TooLarge { .. })));
    assert!(matches!(results[4], Ok(2)));
}

#[test]
fn the_lock_names_its_owner() {
    let (faulty, disk) = faulty();
    let _log = open(&faulty, small());
    let error = Log::open_with(Arc::new(disk.clone()), dir(), small()).expect_err("locked");
    assert!(matches!(error, OpenError::Locked { owner: Some(owner), .. } if owner == std::process::id()));
    let expected = format!("/spool is in use by process {}", std::process::id());
    assert_eq!(error.to_string(), expected);
    assert_eq!(
        inspect_with(Arc::new(disk), dir()).expect("no lock needed").status().owner,
        Some(std::process::id())
    );
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let disk = MemoryFilesystem::new();
    open(&disk, small()).add("a record").expect("written");
    let name = path("seg-00000000000000000002.log");
    let mut segment = disk.files().remove(&name).expect("there");
    for copy in [0, 4_096] {
        segment[copy + 8] = 9;
        let crc = crc32fast::hash(&segment[copy..copy + 4_092]);
        segment[copy + 4_092..copy + 4_096].copy_from_slice(&crc.to_le_bytes());
    }
    disk.put(&name, segment);
    disk.kill();
    let error = Log::open_with(Arc::new(disk.clone()), dir(), small()).expect_err("too new");
    assert!(matches!(error, OpenError::Version { found: 9, .. }), "{error}");
}

#[test]
fn contradicting_options_are_refused() {
    let disk = MemoryFilesystem::new();
    let refused =
        |options| Log::open_with(Arc::new(disk.clone()), dir(), options).expect_err("refused").to_string();
    assert!(refused(small().segment_bytes(100)).contains("segment_bytes is 100"));
    assert!(refused(small().record_bytes_max(10_000)).contains("does not fit into a segment"));
    assert!(refused(small().size_bytes_max(10_240)).contains("at least two segments"));
}

#[test]
fn a_passing_read_error_costs_nothing() {
    let (faulty, _) = faulty();
    let mut log = open(&faulty, small());
    for _ in 0..5 {
        log.add(vec![b'x'; 300]).expect("written");
    }
    drop(log);
    let mut log = open(&faulty, small());
    faulty.fail_next(Operation::Read, io::ErrorKind::Other);
    assert_eq!(read_all(&mut log).len(), 5);
}

#[test]
fn without_a_promise_to_survive_power_cuts_nothing_is_synced_until_asked() {
    let (faulty, disk) = faulty();
    let mut log = open(&faulty, small().durability(Durability::Os));
    faulty.fail_always(Operation::Sync, io::ErrorKind::Other);
    for _ in 0..20 {
        log.add(vec![b'x'; 300]).expect("written");
    }
    faulty.heal();
    log.sync().expect("synced");
    disk.crash(&mut fastrand::Rng::with_seed(3));
    assert_eq!(read_all(&mut open(&disk, small())).len(), 20);
}
