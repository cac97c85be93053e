//! The spool with its thread: receipts, bounds, closing, dead letters.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use posthaste_spool::{
    Durability, FaultyFilesystem, MemoryFilesystem, Operation, Refusal, Spool, SpoolOptions, WriteError,
    inspect_with,
};

use crate::support::{dir, small};

fn spool(filesystem: &MemoryFilesystem, options: SpoolOptions) -> Spool {
    Spool::open_with(Arc::new(filesystem.clone()), dir(), options).expect("a spool opens")
}

/// Runs a future on this thread, without a runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_receipt_can_be_awaited_and_waited_for() {
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, small());
    assert_eq!(block_on(spool.add("a").expect("taken")).expect("written"), 1);
    let receipt = spool.add("b").expect("taken");
    assert_eq!(receipt.wait().expect("written"), 2);
    assert_eq!(receipt.try_get().expect("resolved").expect("written"), 2);
    assert_eq!(spool.read(0, 10, 1_000).expect("readable").len(), 2);
    assert_eq!((spool.len(), spool.is_empty()), (2, false));
}

#[test]
fn many_threads_add_read_and_acknowledge_at_once() {
    const ADDERS: usize = 4;
    const EACH: usize = 500;
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, small().size_bytes_max(1 << 24));
    let mut seen = Vec::new();
    thread::scope(|scope| {
        for adder in 0..ADDERS {
            let spool = &spool;
            scope.spawn(move || {
                let receipts: Vec<_> =
                    (0..EACH).map(|id| spool.add(format!("{adder} {id}")).expect("taken")).collect();
                let sequences: Vec<u64> =
                    receipts.iter().map(|receipt| receipt.wait().expect("written")).collect();
                assert!(sequences.is_sorted());
            });
        }
        while seen.len() < ADDERS * EACH {
            let from = seen.last().map_or(0, |(sequence, _)| sequence + 1);
            let records = spool.read(from, 100, 10_000).expect("readable");
            let sequences: Vec<u64> = records.iter().map(|record| record.sequence).collect();
            assert_eq!(spool.ack(&sequences), sequences.len() as u64);
            seen.extend(records.into_iter().map(|record| (record.sequence, record.bytes)));
            thread::yield_now();
        }
    });
    assert!(seen.iter().zip(1..).all(|((sequence, _), expected)| *sequence == expected));
    for adder in 0..ADDERS {
        let prefix = format!("{adder} ");
        let of_one: Vec<usize> = seen
            .iter()
            .filter_map(|(_, bytes)| std::str::from_utf8(bytes).ok()?.strip_prefix(&prefix)?.parse().ok())
            .collect();
        assert!(of_one.iter().copied().eq(0..EACH), "the order of one adder is kept");
    }
    assert!(spool.is_empty());
}

#[test]
fn adds_that_wait_together_share_a_sync() {
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, SpoolOptions::default().segment_bytes(1 << 20).record_bytes_max(1_000));
    let receipts: Vec<_> = (0..1_000).map(|id| spool.add(format!("{id}")).expect("taken")).collect();
    for receipt in &receipts {
        receipt.wait().expect("written");
    }
    assert!(spool.stats().counters.commits < 1_000);
}

#[test]
fn too_much_waiting_hands_the_record_back() {
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, SpoolOptions::default().pending_bytes_max(5 << 20).segment_bytes(8 << 20));
    let big = Bytes::from(vec![b'x'; 4 << 20]);
    let first = spool.add(big.clone()).expect("taken");
    let mut refused = None;
    for _ in 0..100 {
        match spool.add(big.clone()) {
            Ok(_) => {}
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let error = refused.expect("adding is faster than writing");
    assert!(matches!(error.reason, Refusal::PendingFull { .. }) && error.reason.is_full());
    assert_eq!(error.into_record(), big);
    first.wait().expect("written");
}

#[test]
fn what_can_never_fit_is_refused_at_once() {
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, small());
    let reason = |result: Result<_, posthaste_spool::AddError>| result.map(drop).expect_err("refused").reason;
    assert!(matches!(reason(spool.add(vec![0; 401])), Refusal::RecordTooLarge { bytes: 401, .. }));
    let meta = Some(Bytes::from(vec![0; 5_000]));
    assert!(matches!(reason(spool.add_batch(Vec::new(), meta)), Refusal::MetaTooLarge { .. }));
    let many = vec![Bytes::from(vec![0; 400]); 10];
    assert!(matches!(reason(spool.add_batch(many, None)), Refusal::BatchTooLarge { .. }));
}

#[test]
fn closing_writes_what_waits_and_refuses_what_comes() {
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, small());
    let receipts: Vec<_> = (0..20).map(|id| spool.add(format!("{id}")).expect("taken")).collect();
    receipts[0].wait().expect("written");
    assert_eq!(spool.ack(&[1]), 1);
    spool.close().expect("synced");
    assert!(receipts.iter().all(|receipt| receipt.try_get().is_some_and(|result| result.is_ok())));
    assert!(matches!(spool.add("late").expect_err("closed").reason, Refusal::Closed));
    assert!(matches!(spool.sync(), Err(WriteError::Closed)));
    assert_eq!(spool.read(0, 100, 10_000).expect("readable").len(), 19);
    drop(spool);
    assert_eq!(self::spool(&disk, small()).len(), 19);
}

#[test]
fn dropping_the_spool_writes_what_waits() {
    let disk = MemoryFilesystem::new();
    let receipt = spool(&disk, small()).add("a").expect("taken");
    assert_eq!(receipt.wait().expect("written"), 1);
    assert_eq!(spool(&disk, small()).len(), 1);
}

#[test]
fn a_blocked_spool_refuses_at_once_and_recovers_by_itself() {
    let faulty = FaultyFilesystem::new(MemoryFilesystem::new());
    let options = small().retry_interval(Duration::from_millis(1));
    let spool = Spool::open_with(Arc::new(faulty.clone()), dir(), options).expect("opens");
    faulty.fail_always(Operation::Sync, io::ErrorKind::Other);
    spool.add("a").expect("taken").wait().expect_err("not synced");
    let reason = loop {
        match spool.add("b") {
            Ok(receipt) => drop(receipt.wait().expect_err("not synced")),
            Err(error) => break error.reason,
        }
    };
    assert!(matches!(reason, Refusal::Blocked(WriteError::Disk(_))), "{reason}");
    faulty.heal();
    let receipt = loop {
        match spool.add("c") {
            Ok(receipt) => break receipt,
            Err(_) => thread::yield_now(),
        }
    };
    receipt.wait().expect("written");
}

#[test]
fn a_full_spool_takes_more_once_records_are_acknowledged() {
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, small().size_bytes_max(2 * 10_240).retry_interval(Duration::from_mins(10)));
    let reason = loop {
        match spool.add(vec![b'x'; 300]) {
            Ok(receipt) => drop(receipt.wait()),
            Err(error) => break error.reason,
        }
    };
    assert!(reason.is_full(), "{reason}");
    spool.ack_up_to(spool.stats().next_sequence - 1);
    let receipt = loop {
        match spool.add("more") {
            Ok(receipt) => break receipt,
            Err(_) => thread::yield_now(),
        }
    };
    receipt.wait().expect("written");
}

#[test]
fn memory_durability_answers_before_the_disk_does() {
    let faulty = FaultyFilesystem::new(MemoryFilesystem::new());
    let options = small().durability(Durability::Memory).retry_interval(Duration::from_millis(1));
    let spool = Spool::open_with(Arc::new(faulty.clone()), dir(), options).expect("opens");
    assert_eq!(spool.add("a").expect("taken").wait().expect("promised nothing"), 1);
    spool.sync().expect("synced");
    faulty.fail_always(Operation::Write, io::ErrorKind::Other);
    assert_eq!(spool.add("b").expect("taken").wait().expect("promised nothing"), 2);
    spool.sync().expect_err("not synced");
    assert_eq!(spool.stats().counters.unwritten_records, 1);
    faulty.heal();
    let receipt = loop {
        match spool.add("c") {
            Ok(receipt) => break receipt,
            Err(_) => thread::yield_now(),
        }
    };
    assert_eq!(receipt.wait().expect("promised nothing"), 3);
    spool.sync().expect("synced");
    assert_eq!(spool.read(0, 10, 1_000).expect("readable").len(), 2);
}

#[test]
fn dead_letters_are_kept_listed_removed_and_purged() {
    let disk = MemoryFilesystem::new();
    let spool = spool(&disk, small());
    assert_eq!(spool.dead().list(0, 10, 1_000).expect("readable"), []);
    assert!(
        !disk.files().keys().any(|path| path.starts_with("/spool/dead")),
        "nothing is made before the first"
    );
    for id in 0..5 {
        spool.dead().add(format!("letter {id}")).expect("kept");
    }
    assert_eq!(spool.dead().remove(&[2, 4]).expect("removed"), 2);
    drop(spool);
    let spool = self::spool(&disk, small());
    let left: Vec<_> = spool
        .dead()
        .list(0, 10, 1_000)
        .expect("readable")
        .into_iter()
        .map(|letter| letter.sequence)
        .collect();
    assert_eq!(left, [1, 3, 5]);
    let look = inspect_with(Arc::new(disk.clone()), dir()).expect("a spool");
    let mut dead = look.dead().expect("readable").expect("there are some");
    assert_eq!(dead.records().count(), 3);
    assert_eq!(dead.verify().expect("readable"), []);
    assert_eq!(spool.dead().purge().expect("purged"), 3);
    assert!(spool.dead().is_empty().expect("readable"));
}
