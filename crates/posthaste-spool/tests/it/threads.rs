//! The spool with its thread, on a real disk: receipts in every way, many hands at once, a disk that stalls.

use std::{
    collections::BTreeSet,
    path::Path,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use posthaste_spool::{
    Durability, FaultyFilesystem, OpenError, Operation, RealFilesystem, Refusal, Spool, SpoolOptions,
    WriteError, inspect,
};

use crate::support::read_all;

fn options() -> SpoolOptions {
    SpoolOptions::default().segment_bytes(256 << 10).record_bytes_max(10_000).size_bytes_max(64 << 20)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn stalling(dir: &Path) -> (FaultyFilesystem, Spool) {
    let faulty = FaultyFilesystem::new(RealFilesystem);
    let spool = Spool::open_with(Arc::new(faulty.clone()), dir.join("spool"), options()).expect("opens");
    (faulty, spool)
}

/// Whether this takes less than that long.
#[expect(clippy::disallowed_methods, reason = "the time that a caller waits is what is tested")]
fn is_within<T>(most: Duration, act: impl FnOnce() -> T) -> T {
    let started = std::time::Instant::now();
    let result = act();
    assert!(started.elapsed() < most, "it took {:?}", started.elapsed());
    result
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
fn a_receipt_is_awaited_waited_for_or_dropped() {
    let folder = folder();
    let spool = Spool::open(folder.path(), options()).expect("opens");
    assert_eq!(block_on(spool.add("awaited").expect("taken")).expect("stored"), 1);
    assert_eq!(spool.add("waited for").expect("taken").wait().expect("stored"), 2);
    drop(spool.add("dropped").expect("taken"));
    spool.add("forgotten").expect("taken").forget();
    // Polled once, and then waited for.
    let mut receipt = spool.add("both").expect("taken");
    let _ = std::pin::Pin::new(&mut receipt).poll(&mut Context::from_waker(Waker::noop()));
    let _ = receipt.wait();
    block_on(spool.sync()).expect("synced");
    assert_eq!((spool.len(), spool.stored(), read_all(&spool).len()), (5, 6, 5));
    let told = Arc::new(Mutex::new(None));
    let heard = Arc::clone(&told);
    let number = spool
        .add_then(posthaste_spool::Batch::record("called"), move |stored| *heard.lock() = Some(stored))
        .expect("taken");
    spool.close(Duration::from_secs(10)).expect("written");
    assert!(matches!(*told.lock(), Some(Ok(stored)) if stored == number));
    assert!(matches!(spool.add("late").expect_err("closed").reason, Refusal::Closed));
    assert!(matches!(block_on(spool.sync()), Err(WriteError::Closed)));
}

#[test]
fn many_threads_add_read_and_acknowledge_at_once() {
    const EACH: u64 = 300;
    for durability in [Durability::Disk, Durability::Os] {
        let folder = folder();
        let spool = Spool::open(folder.path(), options().durability(durability)).expect("opens");
        let acked = AtomicU64::new(0);
        let seen = Mutex::new(BTreeSet::new());
        thread::scope(|scope| {
            for adder in 0..4_u64 {
                let spool = &spool;
                scope.spawn(move || {
                    for id in 0..EACH {
                        let record =
                            format!("{adder} {id} {}", "x".repeat(usize::try_from(id).expect("small")));
                        let receipt = spool.add(record).expect("taken");
                        match (adder + id) % 3 {
                            0 => drop(receipt.wait().expect("stored")),
                            1 => drop(block_on(receipt).expect("stored")),
                            _ => receipt.forget(),
                        }
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut from = 0;
                    while acked.load(Ordering::SeqCst) < 4 * EACH {
                        let read = spool.read(from, 20, 1 << 16).expect("readable");
                        let numbers: Vec<u64> = read.records.iter().map(|record| record.sequence).collect();
                        let mut seen = seen.lock();
                        for record in read.records {
                            seen.insert((record.sequence, record.bytes));
                        }
                        drop(seen);
                        acked.fetch_add(spool.ack(&numbers), Ordering::SeqCst);
                        // What another is late with is read from the start.
                        from = if numbers.is_empty() { 0 } else { read.next };
                    }
                });
            }
        });
        let seen: BTreeSet<_> = seen.into_inner().into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(seen.len() as u64, 4 * EACH, "each was read");
        assert_eq!(spool.len(), 0);
        assert_eq!(spool.stats().counters.lost_records, 0);
        spool.close(Duration::from_secs(10)).expect("written");
    }
}

#[test]
fn acknowledgements_reach_the_disk_though_nothing_else_happens() {
    let folder = folder();
    let spool = Spool::open(folder.path(), options()).expect("opens");
    spool.add("a record").expect("taken").wait().expect("stored");
    spool.ack(&[1]);
    let is_down = || {
        let status = inspect(folder.path()).expect("a spool").status();
        status.stats.records == 0 && status.settled_unsynced == 0
    };
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(50));
        if is_down() {
            return;
        }
    }
    panic!("never written down");
}

#[test]
fn a_stalled_disk_blocks_nobody_who_does_not_wait_for_it() {
    let folder = folder();
    let (faulty, spool) = stalling(folder.path());
    spool.add("before").expect("taken").wait().expect("stored");
    faulty.stall(Operation::Sync);
    let first = spool.add("into the stall").expect("taken");
    faulty.wait_stalled(1);
    let receipts: Vec<_> = is_within(Duration::from_secs(2), || {
        (0..50).map(|id| spool.add(format!("meanwhile {id}")).expect("taken")).collect()
    });
    assert_eq!(read_all(&spool).len(), 1, "reads go on");
    assert_eq!(spool.ack(&[1]), 1);
    is_within(Duration::from_secs(2), || spool.close(Duration::from_millis(100)).expect_err("not in time"));
    let given_up = is_within(Duration::from_secs(2), || spool.give_up());
    assert_eq!(given_up, (2..=52).collect::<Vec<u64>>());
    assert!(matches!(first.wait(), Err(WriteError::GivenUp)));
    for receipt in receipts {
        assert!(matches!(receipt.wait(), Err(WriteError::GivenUp)));
    }
    is_within(Duration::from_secs(2), || drop(spool));
    let error = Spool::open(folder.path().join("spool"), options()).expect_err("the writer still has it");
    assert!(
        matches!(&error, OpenError::Locked { owner: Some(owner), .. } if *owner == std::process::id()),
        "{error}"
    );
    faulty.unstall();
    let spool = open_again(folder.path());
    let found = read_all(&spool);
    assert!(found.iter().all(|record| (2..=52).contains(&record.sequence)), "{found:?}");
    assert_eq!(spool.stats().counters.lost_records, 0);
}

/// Once the thread of the one before has ended.
fn open_again(dir: &Path) -> Spool {
    for _ in 0..200 {
        match Spool::open(dir.join("spool"), options()) {
            Ok(spool) => return spool,
            Err(OpenError::Locked { .. }) => thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("never let go");
}

#[test]
fn what_a_stalled_disk_was_given_is_stored_once_it_goes_on() {
    let folder = folder();
    let (faulty, spool) = stalling(folder.path());
    faulty.stall(Operation::Sync);
    let receipts: Vec<_> = (0..200).map(|id| spool.add(format!("record {id}")).expect("taken")).collect();
    let unstalled = thread::scope(|scope| {
        let waits = scope.spawn(|| {
            receipts.into_iter().map(|receipt| receipt.wait().expect("stored")).collect::<Vec<_>>()
        });
        thread::sleep(Duration::from_millis(50));
        faulty.unstall();
        waits.join().expect("no panic")
    });
    assert_eq!(unstalled, (1..=200).collect::<Vec<u64>>());
    is_within(Duration::from_secs(5), || drop(spool));
    assert_eq!(read_all(&open_again(folder.path())).len(), 200);
}

#[test]
fn a_spool_is_dropped_in_time_though_its_disk_stalls() {
    let folder = folder();
    let (faulty, spool) = stalling(folder.path());
    faulty.stall(Operation::Write);
    spool.add("a record").expect("taken").forget();
    faulty.wait_stalled(1);
    is_within(Duration::from_secs(8), || drop(spool));
    faulty.unstall();
    assert_eq!(read_all(&open_again(folder.path())).len(), 1, "it was stored after all");
}

#[test]
fn whoever_waits_for_room_is_woken_when_there_is_some() {
    struct Count(AtomicU64);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let folder = folder();
    let small = SpoolOptions::default().segment_bytes(16_384).record_bytes_max(1_000).size_bytes_max(32_768);
    let spool = Spool::open(folder.path(), small).expect("opens");
    let woken = Arc::new(Count(AtomicU64::new(0)));
    spool.wake_on_change(Waker::from(Arc::clone(&woken)));
    let mut refusals = 0;
    while refusals < 3 {
        match spool.add(vec![b'x'; 1_000]) {
            Ok(receipt) => drop(receipt.wait().expect("stored")),
            Err(refused) => {
                assert!(refused.reason.is_full(), "{refused}");
                refusals += 1;
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
    let before = woken.0.load(Ordering::SeqCst);
    spool.ack_up_to(u64::MAX);
    // As long as a busy machine may take.
    for _ in 0..1_500 {
        if woken.0.load(Ordering::SeqCst) > before {
            spool.add(vec![b'x'; 1_000]).expect("room").wait().expect("stored");
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody was woken");
}
