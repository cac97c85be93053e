//! What a spool does on a good day.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use posthaste_spool::{Batch, MemoryFilesystem, Refusal, Spool, SpoolOptions};

use crate::support::{ByHand, dir, read_all, small};

#[test]
fn records_come_back_in_order_and_stay_until_acknowledged() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    for id in 0..100 {
        assert_eq!(log.add(format!("record {id}")), id + 1);
    }
    let records = read_all(&log.spool);
    assert_eq!(records.len(), 100);
    assert!(records.iter().zip(1..).all(|(record, sequence)| record.sequence == sequence));
    assert_eq!(read_all(&log.spool), records);
    assert_eq!(log.spool.ack(&[2, 3, 3, 100]), 3);
    assert_eq!(read_all(&log.spool).len(), 97);
    assert_eq!(log.spool.ack_up_to(99), 97);
    assert_eq!((read_all(&log.spool).len(), log.spool.len()), (0, 0));
}

#[test]
fn a_reopened_spool_goes_on_where_it_was() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    for id in 0..50 {
        log.add(format!("record {id}"));
    }
    log.spool.ack_up_to(20);
    log.spool.close(Duration::ZERO).expect("written");
    drop(log);
    let mut log = ByHand::open(&disk, small());
    assert_eq!(log.spool.len(), 30);
    assert_eq!(log.add("more"), 51);
    let records = read_all(&log.spool);
    assert_eq!((records[0].sequence, records.len()), (21, 31));
    assert_eq!(records[30].bytes, "more");
}

#[test]
fn metadata_comes_back_with_its_records_and_outlives_their_segment() {
    let disk = MemoryFilesystem::new();
    let mut log = ByHand::open(&disk, small());
    let batch = |meta: &'static str| Batch {
        records: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
        meta: Some(Bytes::from_static(meta.as_bytes())),
    };
    assert_eq!(log.store(batch("one")).expect("stored"), 1);
    assert_eq!(log.store(batch("two")).expect("stored"), 3);
    assert_eq!(log.spool.meta().expect("there is some"), "two");
    for id in 0..500 {
        log.add(format!("record {id}"));
        log.spool.ack_up_to(1_000);
    }
    drop(log);
    disk.kill();
    let log = ByHand::open(&disk, small());
    assert_eq!(log.spool.meta().expect("there is some"), "two");
}

#[test]
fn many_threads_store_what_they_add_on_a_real_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Arc::new(Spool::open(folder.path().join("spool"), SpoolOptions::default()).expect("opens"));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let spool = Arc::clone(&spool);
            std::thread::spawn(move || {
                for id in 0..200 {
                    spool.add(format!("record {thread} {id}")).expect("taken").wait().expect("stored");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(spool.len(), 800);
    spool.close(Duration::from_secs(10)).expect("written");
    drop(spool);
    let spool = Spool::open(folder.path().join("spool"), SpoolOptions::default()).expect("opens");
    assert_eq!((spool.len(), read_all(&spool).len()), (800, 800));
}

#[test]
fn what_can_never_fit_is_refused_with_the_record_in_hand() {
    let disk = MemoryFilesystem::new();
    let log = ByHand::open(&disk, small());
    let refused = log.spool.add(vec![b'x'; 401]).expect_err("too long");
    assert!(matches!(refused.reason, Refusal::TooLarge { what: "a record", bytes: 401, bytes_max: 400 }));
    assert_eq!(refused.into_record().len(), 401);
    assert!(matches!(log.spool.add("").expect_err("empty").reason, Refusal::Empty));
    assert!(disk.files().keys().all(|path| path.starts_with(dir())));
}
