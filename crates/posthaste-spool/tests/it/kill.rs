//! A process that writes is killed with SIGKILL under load, again and again, while others look. Everything it was told, as
//! it tells through a pipe before anything else, is there afterwards, and whoever looks never sees damage.
//! `POSTHASTE_SPOOL_KILLS` sets how often.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use posthaste_spool::{OpenError, Spool, SpoolOptions, inspect};

use crate::{child, support::env};

const THREADS: usize = 4;

fn options() -> SpoolOptions {
    SpoolOptions::default()
        .segment_bytes(128 << 10)
        .record_bytes_max(4_000)
        .size_bytes_max(8 << 20)
        .cursor_acks_max(50)
}

/// The child: adds from several threads, reads and acknowledges a part, and tells each promise as soon as it has it.
pub(crate) fn write(dir: &Path) {
    let spool = Spool::open(dir, options()).expect("a spool opens");
    // The pipe, not the captured output of a test.
    let pipe = Mutex::new(std::fs::File::options().append(true).open("/dev/stdout").expect("a pipe"));
    let tell =
        |line: String| pipe.lock().expect("sound").write_all(line.as_bytes()).expect("read by the parent");
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (spool, tell) = (&spool, &tell);
            scope.spawn(move || {
                let mut rng = Rng::new();
                for count in 0_u64.. {
                    let id = format!("{}-{number}-{count}", std::process::id());
                    match if rng.u8(..4) == 0 { add_batch(spool, &id) } else { add_one(spool, &id, &mut rng) }
                    {
                        Some(line) => tell(line),
                        None => thread::sleep(Duration::from_millis(1)),
                    }
                }
            });
        }
        scope.spawn(|| {
            loop {
                let read = spool.read(0, 60, 1 << 20).expect("readable");
                let Some(last) = read.records.last() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                // Told first: from here on it may be gone.
                tell(format!("ack {}\n", last.sequence));
                spool.ack_up_to(last.sequence);
            }
        });
    });
}

/// `None`: there is no room.
fn add_one(spool: &Spool, id: &str, rng: &mut Rng) -> Option<String> {
    let record = format!("{id} {}", "x".repeat(rng.usize(..3_000)));
    let sequence = spool.add(record).ok()?.wait().expect("stored");
    Some(format!("add {sequence} {id}\n"))
}

fn add_batch(spool: &Spool, id: &str) -> Option<String> {
    let records = (0..3).map(|part| Bytes::from(format!("{id}.{part} y"))).collect();
    let receipt = spool.add_batch(records, Some(Bytes::from(format!("{id}.2")))).ok()?;
    let first = receipt.wait().expect("stored");
    let lines = (first..).zip(0..3).map(|(sequence, part)| format!("add {sequence} {id}.{part}\n"));
    Some(lines.collect::<Vec<_>>().concat())
}

/// What the children have told.
#[derive(Default)]
struct Told {
    records: BTreeMap<u64, String>,
    acked: u64,
    lines: usize,
}

#[test]
fn nothing_told_is_missing_after_any_number_of_kills() {
    let dir = tempfile::tempdir().expect("a folder");
    let (seed, kills) = (env("POSTHASTE_SPOOL_SEED", 1), env("POSTHASTE_SPOOL_KILLS", 100));
    let mut rng = Rng::with_seed(seed);
    let mut told = Told::default();
    let (stop, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let lookers: Vec<_> = (0..2).map(|_| scope.spawn(|| look(dir.path(), &stop, &looks))).collect();
        for round in 0..kills {
            kill_a_writer(dir.path(), 1 + rng.usize(..150), &mut told);
            check(dir.path(), &mut told, &format!("round {round} of seed {seed}"));
            if lookers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
        stop.store(true, Ordering::SeqCst);
        for looker in lookers {
            looker.join().expect("whoever looks sees nothing wrong");
        }
    });
    let looks = looks.into_inner();
    println!("{kills} kills, {} lines, {looks} looks", told.lines);
    assert!(told.lines > 0 && looks > 0);
}

/// Looks at everything again and again: there is never any damage.
fn look(dir: &Path, stop: &AtomicBool, looks: &AtomicU64) {
    while !stop.load(Ordering::SeqCst) {
        let mut look = match inspect(dir) {
            Ok(look) => look,
            Err(OpenError::NotASpool { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let check = look.check(|_, _| {}).expect("readable");
        let costs = check.problems.iter().any(|problem| problem.kind.costs_records());
        assert!(check.lost == 0 && !costs, "{check:?} {:?}", look.status());
        let mut look = inspect(dir).expect("a spool");
        let mut last = 0;
        for record in look.records() {
            let record = record.expect("readable");
            assert!(record.sequence > last, "in order");
            last = record.sequence;
        }
        let status = look.status();
        assert_eq!(status.stats.counters.lost_records, 0, "{status:?}");
        looks.fetch_add(1, Ordering::SeqCst);
    }
}

/// Lets a child write until it has told so much, kills it, and takes what else it has told.
fn kill_a_writer(dir: &Path, wanted: usize, told: &mut Told) {
    let mut child = child::command(dir).spawn().expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut count = 0;
    for line in lines {
        let line = line.expect("text");
        // The test harness talks, too, and the last line may be torn.
        let words: Vec<&str> = line.split(' ').skip_while(|word| !["add", "ack"].contains(word)).collect();
        match words[..] {
            ["add", sequence, id] if id.split('-').count() == 3 => {
                told.records.insert(sequence.parse().expect("a number"), id.to_owned());
            }
            ["ack", sequence] => told.acked = told.acked.max(sequence.parse().unwrap_or(0)),
            _ => continue,
        }
        count += 1;
        if count == wanted {
            child.kill().expect("running");
        }
    }
    child.wait().expect("killed");
    assert!(count >= wanted, "the child ended by itself after {count}");
    told.lines += count;
}

/// Everything told and not acknowledged is there, in order, whole batches with their metadata.
fn check(dir: &Path, told: &mut Told, case: &str) {
    let spool = Spool::open(dir, options()).unwrap_or_else(|error| panic!("{case}: {error}"));
    let mut found: BTreeMap<u64, String> = BTreeMap::new();
    let mut from = 0;
    loop {
        let read = spool.read(from, 1_000, 1 << 20).expect("readable");
        if read.records.is_empty() {
            break;
        }
        from = read.next;
        let id = |bytes: &[u8]| String::from_utf8_lossy(bytes).split(' ').next().expect("an id").to_owned();
        found.extend(read.records.iter().map(|record| (record.sequence, id(&record.bytes))));
    }
    // The last acknowledgement told of may be torn, and is smaller then.
    for (sequence, id) in told.records.range(told.acked + 1..) {
        let there = found.get(sequence).is_some_and(|there| there.starts_with(id.as_str()));
        assert!(there, "{case}: {id} was stored at {sequence}, found {:?}", found.get(sequence));
    }
    for (sequence, id) in &found {
        if let Some(known) = told.records.get(sequence) {
            assert!(id.starts_with(known.as_str()), "{case}: {id} is not {known}");
        }
    }
    let whole = found.range(told.acked + 1..);
    let firsts = whole.clone().filter(|(_, id)| id.ends_with(".0")).count();
    let lasts = whole.clone().filter(|(_, id)| id.ends_with(".2")).count();
    assert!(firsts <= lasts && lasts <= firsts + 1, "{case}: half a batch");
    let newest = found.values().rev().find(|id| id.ends_with(".2"));
    let meta = spool.meta().map(|meta| String::from_utf8_lossy(&meta).into_owned());
    assert!(newest.is_none() || newest == meta.as_ref(), "{case}: {newest:?} is not {meta:?}");
    let counters = spool.stats().counters;
    assert_eq!(counters.lost_records, 0, "{case}: {counters:?}");
    spool.close(Duration::from_secs(10)).expect("written");
}
