//! What a spool does on a good day.

use bytes::Bytes;
use posthaste_spool::{Batch, FaultyFilesystem, MemoryFilesystem};

use crate::support::{open, read_all, small};

#[test]
fn records_come_back_in_order_and_stay_until_acknowledged() {
    let disk = MemoryFilesystem::new();
    let mut log = open(&disk, small());
    for id in 0..100 {
        assert_eq!(log.add(format!("record {id}")).expect("written"), id + 1);
    }
    let records = read_all(&mut log);
    assert_eq!(records.len(), 100);
    assert!(records.iter().zip(1..).all(|(record, sequence)| record.sequence == sequence));
    assert_eq!(read_all(&mut log), records);
    assert_eq!(log.ack(&[2, 3, 3, 100]), 3);
    assert_eq!(read_all(&mut log).len(), 97);
    assert_eq!(log.ack_up_to(99), 97);
    assert_eq!((read_all(&mut log).len(), log.stats().records), (0, 0));
}

#[test]
fn a_reopened_spool_goes_on_where_it_was() {
    let disk = MemoryFilesystem::new();
    let mut log = open(&disk, small());
    for id in 0..50 {
        log.add(format!("record {id}")).expect("written");
    }
    log.ack_up_to(20);
    log.sync().expect("synced");
    drop(log);
    let mut log = open(&disk, small());
    assert_eq!(log.stats().records, 30);
    assert_eq!(log.add("more").expect("written"), 51);
    let records = read_all(&mut log);
    assert_eq!((records[0].sequence, records.len()), (21, 31));
    assert_eq!(records[30].bytes, "more");
}

#[test]
fn metadata_comes_back_with_its_records_and_outlives_their_segment() {
    let disk = MemoryFilesystem::new();
    let mut log = open(&disk, small());
    let batch = |meta: &'static str| Batch {
        records: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
        meta: Some(Bytes::from_static(meta.as_bytes())),
    };
    assert_eq!(log.write(&[batch("one"), batch("two")])[1].as_ref().expect("written"), &3);
    for _ in 0..40 {
        log.add(vec![b'x'; 300]).expect("written");
    }
    log.ack_up_to(44);
    assert_eq!(log.stats().segments, 1);
    drop(log);
    assert_eq!(open(&disk, small()).meta().expect("metadata"), "two");
}

#[test]
fn opening_a_backlog_reads_its_headers_and_its_end_only() {
    let disk = MemoryFilesystem::new();
    let faulty = FaultyFilesystem::new(disk.clone());
    let options = || small().size_bytes_max(1 << 30);
    let mut log = open(&faulty, options());
    let record = Bytes::from(vec![b'x'; 400]);
    while log.stats().segments < 300 {
        log.add(record.clone()).expect("written");
    }
    drop(log);
    let before = faulty.operations();
    let log = open(&faulty, options());
    assert_eq!(log.stats().segments, 300);
    let operations = faulty.operations() - before;
    assert!(operations < 2 * 300 + 30, "{operations} operations");
}

#[test]
fn full_spool_says_so_and_takes_more_after_acknowledgements() {
    let disk = MemoryFilesystem::new();
    let mut log = open(&disk, small().size_bytes_max(3 * 10_240));
    let mut added = 0;
    let error = loop {
        match log.add(vec![b'x'; 300]) {
            Ok(_) => added += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full(), "{error}");
    assert_eq!(read_all(&mut log).len(), added);
    log.ack_up_to(added as u64 / 2);
    log.add("more").expect("written again");
    assert!(log.stats().counters.recycled_segments > 0);
    assert_eq!(read_all(&mut log).len(), added - added / 2 + 1);
}
