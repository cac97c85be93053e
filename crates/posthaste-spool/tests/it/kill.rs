//! A process that writes is killed with SIGKILL under load, again and again. Everything it was promised, as told
//! through a pipe before anything else, is there afterwards. `POSTHASTE_SPOOL_KILLS` sets how often.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::Mutex,
    thread,
};

use bytes::Bytes;
use fastrand::Rng;
use posthaste_spool::{Log, Spool, SpoolOptions};

use crate::{child, support::env};

const THREADS: usize = 4;

fn options() -> SpoolOptions {
    SpoolOptions::default().segment_bytes(128 << 10).record_bytes_max(4_000).cursor_acks_max(50)
}

/// The child: adds from several threads, reads and acknowledges, and tells each promise as soon as it has it.
pub(crate) fn write(dir: &Path) {
    let spool = Spool::open(dir, options()).expect("a spool opens");
    // The pipe, not the captured output of a test.
    let pipe = Mutex::new(std::fs::File::options().append(true).open("/dev/stdout").expect("a pipe"));
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (spool, pipe) = (&spool, &pipe);
            scope.spawn(move || {
                let mut rng = Rng::new();
                for count in 0_u64.. {
                    let id = format!("{}-{number}-{count}", std::process::id());
                    let line =
                        if rng.u8(..4) == 0 { add_batch(spool, &id) } else { add_one(spool, &id, &mut rng) };
                    pipe.lock().expect("sound").write_all(line.as_bytes()).expect("read by the parent");
                }
            });
        }
    });
}

fn add_one(spool: &Spool, id: &str, rng: &mut Rng) -> String {
    let record = format!("{id} {}", "x".repeat(rng.usize(..3_000)));
    let sequence = spool.add(record).expect("taken").wait().expect("written");
    format!("ack {sequence} {id}\n")
}

fn add_batch(spool: &Spool, id: &str) -> String {
    let records = (0..3).map(|part| Bytes::from(format!("{id}.{part} y"))).collect();
    let receipt = spool.add_batch(records, Some(Bytes::from(format!("{id}.2")))).expect("taken");
    let first = receipt.wait().expect("written");
    let lines: Vec<_> =
        (first..).zip(0..3).map(|(sequence, part)| format!("ack {sequence} {id}.{part}\n")).collect();
    lines.concat()
}

#[test]
fn nothing_promised_is_missing_after_any_number_of_kills() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut promised: BTreeMap<u64, String> = BTreeMap::new();
    let (seed, mut total) = (env("POSTHASTE_SPOOL_SEED", 1), 0);
    let mut rng = Rng::with_seed(seed);
    for round in 0..env("POSTHASTE_SPOOL_KILLS", 200) {
        let before = promised.len();
        kill_a_writer(dir.path(), 1 + rng.usize(..150), &mut promised);
        total += promised.len() - before;
        check(dir.path(), &mut promised, &mut rng, &format!("round {round} of seed {seed}"));
    }
    assert!(total > 0);
}

/// Lets a child write until it has told so many promises, kills it, and takes what else it has told.
fn kill_a_writer(dir: &Path, wanted: usize, promised: &mut BTreeMap<u64, String>) {
    let mut child = child::command(&child::this_binary(), "write", dir).spawn().expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut told = 0;
    for line in lines {
        let line = line.expect("text");
        // The test harness talks, too, and the last line may be torn.
        let mut words = line.split(' ').skip_while(|word| !word.ends_with("ack")).skip(1);
        if let (Some(sequence), Some(id)) = (words.next(), words.next())
            && is_whole(id)
        {
            promised.insert(sequence.parse().expect("a number"), id.to_owned());
            told += 1;
        }
        if told == wanted {
            child.kill().expect("running");
        }
    }
    child.wait().expect("killed");
    assert!(told >= wanted, "the child ended by itself after {told}");
}

fn is_whole(id: &str) -> bool {
    id.split('-').count() == 3
}

/// Everything promised is there, in order, whole batches with their metadata; then some of it is acknowledged.
fn check(dir: &Path, promised: &mut BTreeMap<u64, String>, rng: &mut Rng, case: &str) {
    let mut log = Log::open(dir, options()).unwrap_or_else(|error| panic!("{case}: {error}"));
    let mut found: BTreeMap<u64, String> = BTreeMap::new();
    loop {
        let from = found.keys().next_back().map_or(0, |last| last + 1);
        let records = log.read(from, 1_000, 1 << 20).expect("readable");
        if records.is_empty() {
            break;
        }
        let texts = records.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned());
        let ids = texts.map(|text| text.split(' ').next().expect("an id").to_owned());
        found.extend(records.iter().map(|record| record.sequence).zip(ids));
    }
    for (sequence, id) in &*promised {
        // A torn last line can cut an id short.
        let there = found.get(sequence).is_some_and(|there| there.starts_with(id.as_str()));
        assert!(there, "{case}: {id} was promised at {sequence}, found {:?}", found.get(sequence));
    }
    let firsts = found.values().filter(|id| id.ends_with(".0")).count();
    let lasts = found.values().filter(|id| id.ends_with(".2")).count();
    assert_eq!(firsts, lasts, "{case}: half a batch");
    let newest = found.values().rev().find(|id| id.ends_with(".2"));
    let meta = log.meta().map(|meta| String::from_utf8_lossy(&meta).into_owned());
    assert!(newest.is_none() || newest == meta.as_ref(), "{case}: {newest:?} is not {meta:?}");
    assert_eq!(log.stats().counters.damaged_records, 0, "{case}");
    if let Some(last) = found.keys().next_back() {
        // On the boundary of nothing in particular; batches stay whole because all of it goes now and then.
        let up_to = if rng.bool() { *last } else { 0 };
        log.ack_up_to(up_to);
        promised.retain(|sequence, _| *sequence > up_to);
    }
}
