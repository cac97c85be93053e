//! Random operations against a plain model, with power cuts, kills and failing operations in between.
//!
//! The laws: what was promised is there, once and in order, until it is acknowledged; what is there was offered;
//! batches are whole; the metadata is that of a batch that is there. `POSTHASTE_SPOOL_SEEDS` sets how many seeds run,
//! `POSTHASTE_SPOOL_SEED` runs one.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use bytes::Bytes;
use fastrand::Rng;
use posthaste_spool::{Batch, Durability, FaultyFilesystem, Log, MemoryFilesystem, SpoolOptions};

use crate::support::{dir, env, id_of, open, read_all, record, small};

#[test]
fn random_operations_and_crashes_keep_the_promise() {
    if let Ok(seed) = std::env::var("POSTHASTE_SPOOL_SEED") {
        return run(seed.parse().expect("a number"));
    }
    for seed in 0..env("POSTHASTE_SPOOL_SEEDS", 500) {
        let result = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = result {
            eprintln!("failed: run again with POSTHASTE_SPOOL_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..world.rng.usize(20..120) {
        world.step();
    }
    world.reopen();
    world.check();
}

/// A batch that was offered.
#[derive(Debug, Clone)]
struct Offer {
    ids: Vec<u64>,
    meta: Option<Bytes>,
}

/// What has to be there, and what may be.
struct World {
    rng: Rng,
    options: SpoolOptions,
    /// Whether the promise covers a power cut.
    survives_power: bool,
    disk: MemoryFilesystem,
    faulty: FaultyFilesystem,
    log: Option<Log>,
    next_id: u64,
    /// Promised and not acknowledged: sequence to id.
    stored: BTreeMap<u64, u64>,
    acked: BTreeSet<u64>,
    /// Offered without an answer, since the last time the spool was looked through.
    doubtful: Vec<Offer>,
    meta: Option<Bytes>,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = MemoryFilesystem::new();
        let faulty = FaultyFilesystem::new(disk.clone());
        let survives_power = !seed.is_multiple_of(4);
        let durability = if survives_power { Durability::Disk } else { Durability::Os };
        let options = small().durability(durability);
        let log = Some(open(&faulty, options.clone()));
        Self {
            rng: Rng::with_seed(seed),
            options,
            survives_power,
            disk,
            faulty,
            log,
            next_id: 0,
            stored: BTreeMap::new(),
            acked: BTreeSet::new(),
            doubtful: Vec::new(),
            meta: None,
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..20) {
            0..10 => self.add(),
            10..13 => self.ack(),
            13 => self.check(),
            14 => {
                let _ = self.log().sync();
            }
            15 => self.reopen(),
            16 | 17 => self.plan_crash(),
            18 => self.plan_fault(),
            _ => self.power_cut(),
        }
        if self.faulty.crashed() {
            self.power_cut();
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("open")
    }

    fn add(&mut self) {
        let mut offers = Vec::new();
        let mut batches = Vec::new();
        for _ in 0..self.rng.usize(1..5) {
            let (offer, batch) = self.batch();
            offers.push(offer);
            batches.push(batch);
        }
        let results = self.log().write(&batches);
        for (result, offer) in results.into_iter().zip(offers) {
            match result {
                Ok(first) => {
                    self.stored.extend((first..).zip(offer.ids));
                    self.meta = offer.meta.or(self.meta.take());
                }
                Err(_) => self.doubtful.push(offer),
            }
        }
    }

    fn batch(&mut self) -> (Offer, Batch) {
        let size = self.rng.choice([1, 1, 1, 0, 2, 3, 5]).expect("there are some");
        let ids: Vec<u64> = (self.next_id..self.next_id + size).collect();
        self.next_id += size;
        let records = ids.iter().map(|id| record(*id, &mut self.rng)).collect();
        let meta = self.rng.bool().then(|| Bytes::from(format!("meta before {}", self.next_id)));
        (Offer { ids, meta: meta.clone() }, Batch { records, meta })
    }

    fn ack(&mut self) {
        let low = self.stored.keys().next().copied().unwrap_or(0);
        let chosen: Vec<u64> = if self.rng.bool() {
            let up_to = low + self.rng.u64(..20);
            self.stored.keys().copied().filter(|sequence| *sequence <= up_to).collect()
        } else {
            let rng = &mut self.rng;
            self.stored.keys().copied().filter(|_| rng.u8(..4) == 0).collect()
        };
        self.log().ack(&chosen);
        for sequence in chosen {
            let id = self.stored.remove(&sequence).expect("chosen from there");
            self.acked.insert(id);
        }
    }

    fn plan_crash(&mut self) {
        let number = self.faulty.operations() + self.rng.u64(..12);
        self.faulty.crash_at(number, self.rng.usize(..1_500));
    }

    fn plan_fault(&mut self) {
        let number = self.faulty.operations() + self.rng.u64(..12);
        self.faulty.fail_at(number, io::ErrorKind::Other);
    }

    /// The power fails, or just the process; then the spool is opened again, perhaps failing half way.
    fn power_cut(&mut self) {
        if self.survives_power && self.rng.bool() {
            self.disk.crash(&mut self.rng);
        } else {
            self.disk.kill();
        }
        self.log = None;
        self.faulty.heal();
        if self.rng.u8(..4) == 0 {
            self.plan_crash();
            drop(Log::open_with(Arc::new(self.faulty.clone()), dir(), self.options.clone()));
            if self.survives_power {
                self.disk.crash(&mut self.rng);
            }
            self.disk.kill();
            self.faulty.heal();
        }
        self.log = Some(open(&self.faulty, self.options.clone()));
        self.look_through();
    }

    fn reopen(&mut self) {
        self.log = None;
        self.disk.kill();
        self.faulty.heal();
        self.log = Some(open(&self.faulty, self.options.clone()));
        self.look_through();
    }

    /// After a restart: promised records are there, acknowledged ones may be, doubtful batches are there or not.
    fn look_through(&mut self) {
        let found: BTreeMap<u64, u64> = read_all(self.log.as_mut().expect("open"))
            .iter()
            .map(|record| (record.sequence, id_of(&record.bytes)))
            .collect();
        let ids: Vec<u64> = found.values().copied().collect();
        for (sequence, id) in &self.stored {
            assert_eq!(found.get(sequence), Some(id), "promised record {id} at {sequence}: {found:?}");
        }
        let mut metas: Vec<Option<Bytes>> = vec![self.meta.clone()];
        let mut known: BTreeSet<u64> = self.stored.values().chain(&self.acked).copied().collect();
        for offer in std::mem::take(&mut self.doubtful) {
            let there = offer.ids.iter().filter(|id| ids.contains(id)).count();
            assert!(there == 0 || there == offer.ids.len(), "half a batch: {offer:?} in {found:?}");
            if offer.meta.is_some() && there == offer.ids.len() {
                // Of an empty batch, only the metadata tells whether it is there.
                metas.retain(|_| offer.ids.is_empty());
                metas.push(offer.meta);
            }
            if there > 0 {
                known.extend(&offer.ids);
            }
        }
        for id in &ids {
            assert!(known.contains(id), "invented or repeated record {id}: {found:?}");
        }
        let meta = self.log().meta();
        assert!(metas.contains(&meta), "metadata {meta:?}, expected one of {metas:?}");
        self.meta = meta;
        self.stored = found;
        // Acknowledgements that were forgotten: delivered again, so no longer acknowledged.
        self.acked.retain(|id| !ids.contains(id));
    }

    fn check(&mut self) {
        let Ok(records) = self.log().read(0, usize::MAX, usize::MAX) else { return };
        if self.faulty.crashed() {
            return;
        }
        let damaged = self.log().stats().counters.damaged_records;
        assert_eq!(damaged, 0, "nothing was damaged");
        assert_eq!(records.len(), self.stored.len());
        for record in records {
            assert_eq!(self.stored.get(&record.sequence), Some(&id_of(&record.bytes)));
        }
    }
}
