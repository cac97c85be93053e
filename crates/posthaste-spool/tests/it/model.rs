//! Random operations and random trouble against an oracle that keeps count by itself.
//!
//! `POSTHASTE_SPOOL_SEEDS` sets how many seeds run (500, or 200 in a debug build), `POSTHASTE_SPOOL_SEED` runs one, and tells what it does.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use fastrand::Rng;
use posthaste_spool::{Batch, Durability, FaultyFilesystem, MemoryFilesystem, Spool, SpoolOptions};

use crate::{
    oracle::{Acked, Look, Oracle, held},
    support::{ByHand, dir, env, small},
};

#[test]
fn random_operations_and_random_trouble_keep_the_promises() {
    if let Ok(seed) = std::env::var("POSTHASTE_SPOOL_SEED") {
        return run(seed.parse().expect("a number"), true);
    }
    let first = env("POSTHASTE_SPOOL_FIRST_SEED", 0);
    let mut failed = Vec::new();
    for seed in first..first + env("POSTHASTE_SPOOL_SEEDS", if cfg!(debug_assertions) { 200 } else { 500 }) {
        if std::panic::catch_unwind(|| run(seed, false)).is_err() {
            println!("failed: run again with POSTHASTE_SPOOL_SEED={seed}");
            failed.push(seed);
            if failed.len() >= 10 {
                break;
            }
        }
    }
    assert!(failed.is_empty(), "failed seeds: {failed:?}");
}

fn run(seed: u64, tells: bool) {
    let mut world = World::new(seed, tells);
    for _ in 0..world.rng.usize(20..100) {
        world.step();
    }
    world.settle_down();
    world.reopen();
    world.drain();
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) tells: bool,
    pub(crate) options: SpoolOptions,
    pub(crate) size_bytes_max: u64,
    pub(crate) survives_power: bool,
    pub(crate) disk: MemoryFilesystem,
    pub(crate) faulty: FaultyFilesystem,
    pub(crate) log: Option<ByHand>,
    pub(crate) oracle: Oracle,
    pub(crate) next_id: u64,
    pub(crate) letter_told: Arc<parking_lot::Mutex<Vec<u64>>>,
    /// In this life.
    pub(crate) letters_asked: BTreeSet<u64>,
}

pub(crate) fn id_of(record: &[u8]) -> String {
    String::from_utf8_lossy(record).split(' ').nth(1).expect("an id").to_owned()
}

impl World {
    pub(crate) fn new(seed: u64, tells: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let disk = MemoryFilesystem::new();
        let faulty = FaultyFilesystem::new(disk.clone());
        let survives_power = !seed.is_multiple_of(4);
        let durability = if survives_power { Durability::Disk } else { Durability::Os };
        let size_bytes_max = rng.u64(2..20) * 16_384;
        let options = small()
            .durability(durability)
            .size_bytes_max(size_bytes_max)
            .cursor_acks_max(rng.u64(1..20))
            .commit_bytes_max(rng.usize(1..4_000));
        let log = Some(ByHand::open(&faulty, options.clone()));
        Self {
            rng,
            tells,
            options,
            size_bytes_max,
            survives_power,
            disk,
            faulty,
            log,
            oracle: Oracle::default(),
            next_id: 0,
            letter_told: Arc::default(),
            letters_asked: BTreeSet::new(),
        }
    }

    pub(crate) fn tell(&self, what: impl std::fmt::Display) {
        if self.tells {
            println!("{}: {what}", self.faulty.operations());
        }
    }

    fn tell_look(&self, look: &Look) {
        let numbers: Vec<u64> = look.found.iter().map(|record| record.sequence).collect();
        let Look { unreadable, lost, .. } = look;
        self.tell(format_args!("found {numbers:?}, unreadable {unreadable:?}, lost {lost}"));
    }

    pub(crate) fn spool(&self) -> &Spool {
        &self.log.as_ref().expect("open").spool
    }

    pub(crate) fn turn(&mut self, milliseconds: u64) {
        self.log.as_mut().expect("open").turn(milliseconds);
        self.listen();
    }

    fn listen(&mut self) {
        self.oracle.listen(false);
        let told = std::mem::take(&mut *self.letter_told.lock());
        for sequence in told {
            // It may have been found to be lost meanwhile.
            let Some(entry) = self.oracle.entries.get(&sequence) else { continue };
            let id = id_of(&entry.bytes);
            self.oracle.letters.insert(id);
            // A crash that fails what comes after the letter loses the acknowledgement.
            if !self.faulty.crashed() {
                self.ack(&[sequence]);
            }
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..40) {
            0..14 => self.add(),
            14..18 => self.ack_some(),
            18 | 19 => self.check(),
            20..23 => {
                let milliseconds = self.rng.u64(..1_500);
                self.tell(format_args!("turn after {milliseconds}"));
                self.turn(milliseconds);
            }
            23 => self.reopen(),
            24..26 => self.plan_crash(),
            26..29 => self.plan_fault(),
            29 => self.fail_for_a_while(),
            30 => self.fill_disk(),
            31 => self.faulty.heal(),
            32 => self.crash(),
            33 => self.give_up(),
            34 => self.letter(),
            35 => drop(self.sync()),
            36 => self.settle_down(),
            37 => self.lie(),
            38 => self.fail_reads(),
            _ => self.hurt(),
        }
        if self.faulty.crashed() {
            self.crash();
        }
        let bytes = self.seg_bytes();
        // A page that goes elsewhere may make a file longer.
        assert!(
            self.oracle.is_hurt || bytes <= self.size_bytes_max,
            "{bytes} bytes of at most {}",
            self.size_bytes_max
        );
    }

    /// Bytes of segments and spares, as they lie there.
    fn seg_bytes(&self) -> u64 {
        let files = self.disk.files();
        let own = |path: &std::path::Path| {
            path.strip_prefix(dir())
                .ok()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("seg-") || name.starts_with("spare-"))
        };
        files.iter().filter(|(path, _)| own(path)).map(|(_, bytes)| bytes.len() as u64).sum()
    }

    pub(crate) fn add(&mut self) {
        for _ in 0..self.rng.usize(1..8) {
            let batch = self.batch();
            let (told, offer) = (Arc::clone(&self.oracle.told), self.oracle.next_offer());
            let then = move |stored| told.lock().push((offer, stored));
            match self.spool().add_then(batch.clone(), then) {
                Ok(first) => {
                    self.tell(format_args!(
                        "add {first}, {} records, meta {:?}",
                        batch.records.len(),
                        batch.meta
                    ));
                    self.oracle.taken(first, &batch);
                }
                Err(refused) => {
                    self.tell(format_args!("refused: {}", refused.reason));
                    assert_eq!(refused.batch, batch, "a refusal gives back what it was given");
                }
            }
            if self.rng.u8(..3) > 0 {
                self.turn(0);
            }
        }
    }

    fn batch(&mut self) -> Batch {
        let size = self.rng.choice([1, 1, 1, 1, 0, 2, 3, 5, 12]).expect("there are some");
        let meta = size == 0 || self.rng.u8(..4) == 0;
        let records = (0..size).map(|_| self.record()).collect();
        Batch { records, meta: meta.then(|| Bytes::from(format!("meta before {}", self.next_id))) }
    }

    fn record(&mut self) -> Bytes {
        self.next_id += 1;
        let mut bytes = format!("record {} ", self.next_id).into_bytes();
        bytes.resize(bytes.len() + self.rng.usize(..380), b'x');
        bytes.into()
    }

    pub(crate) fn ack_some(&mut self) {
        let open = self.oracle.unacked();
        let rng = &mut self.rng;
        let chosen: Vec<u64> = match rng.u8(..3) {
            0 => open.iter().copied().take(rng.usize(..40)).collect(),
            1 => open,
            _ => open.into_iter().filter(|_| rng.u8(..4) == 0).collect(),
        };
        self.tell(format_args!("ack {chosen:?}"));
        self.ack(&chosen);
    }

    fn ack(&mut self, sequences: &[u64]) {
        let new = self.oracle.acknowledged(sequences);
        // Of what is hurt and was counted as lost, an acknowledgement is none.
        let acked = self.spool().ack(sequences);
        assert!(acked <= new, "acknowledged {acked}, not {new}");
        // A receipt resolves where its record is acknowledged.
        self.oracle.listen(false);
    }

    /// Whether it worked at once.
    pub(crate) fn sync(&mut self) -> bool {
        self.tell("sync");
        let mut receipt = self.spool().sync();
        self.turn(0);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let synced = std::pin::Pin::new(&mut receipt).poll(&mut context);
        let worked = matches!(synced, std::task::Poll::Ready(Ok(_)));
        if worked {
            self.tell("synced");
            self.oracle.synced();
        }
        worked
    }

    fn look(&self) -> Option<Look> {
        let held = held(&self.disk.files(), &dir());
        let (mut found, mut unreadable, mut from) = (Vec::new(), Vec::new(), 0);
        loop {
            let read = self.spool().read(from, 7, 900).ok()?;
            if read.records.is_empty() && read.next == from {
                break;
            }
            from = read.next;
            found.extend(read.records);
            unreadable.extend(read.unreadable);
        }
        let (lost, meta) = (self.spool().stats().counters.lost_records, self.spool().meta());
        Some(Look { found, unreadable, held, lost, meta })
    }

    pub(crate) fn check(&mut self) {
        self.tell("check");
        let look = self.look();
        if self.faulty.crashed() {
            return;
        }
        let Some(look) = look.filter(|look| look.unreadable.is_empty()) else {
            // Whether what cannot be read was lost before is told once it can be.
            return self.settle_down();
        };
        {
            self.tell_look(&look);
            self.oracle.look(&look);
            assert_eq!(self.spool().len(), self.oracle.visible(), "the number of records");
        }
    }

    /// What cannot be read is neither read nor lost.
    pub(crate) fn check_unreadable(&mut self) {
        if let Some(look) = self.look() {
            self.tell_look(&look);
            self.oracle.look(&look);
        }
    }

    /// The disk works again, and after a while everything that was taken is stored.
    pub(crate) fn settle_down(&mut self) {
        self.tell("settle down");
        self.faulty.heal();
        for _ in 0..20 {
            self.turn(10_000);
        }
        self.check();
        if !self.sync() {
            // Segments that failed may have eaten up the room within the limit, until they go.
            let stats = self.spool().stats();
            let trouble = stats.trouble.as_deref().unwrap_or_default();
            let is_full = stats.counters.suspect_segments > 0 && trouble.contains("limit");
            assert!(is_full || self.oracle.is_hurt || !self.survives_power, "stuck: {trouble}");
            let open = self.oracle.unacked();
            let told: Vec<u64> =
                open.into_iter().filter(|sequence| self.oracle.entries[sequence].told).collect();
            self.tell(format_args!("ack {told:?} for room"));
            self.ack(&told);
            for _ in 0..5 {
                self.turn(10_000);
            }
        }
        self.check();
        assert!(self.sync(), "a healthy disk is synced: {:?}", self.spool().stats());
        assert_eq!(self.oracle.untold(), 0);
    }

    pub(crate) fn reopen(&mut self) {
        self.tell("reopen");
        self.faulty.heal();
        for _ in 0..20 {
            self.turn(10_000);
        }
        // What was acknowledged before it was stored may still wait for room.
        let synced = self.sync();
        let closed = self.spool().close(Duration::ZERO);
        // One whose sync failed without one being promised closes all the same.
        assert!(closed.is_ok() == synced || !self.survives_power, "{closed:?}");
        self.listen();
        self.log = None;
        self.disk.kill();
        self.open();
    }

    pub(crate) fn open(&mut self) {
        let mut log = ByHand::open(&self.faulty, self.options.clone());
        for _ in 0..5 {
            log.turn(10_000);
        }
        self.log = Some(log);
        self.letter_told.lock().clear();
        self.letters_asked.clear();
        let look = self.look().expect("readable");
        self.tell_look(&look);
        let letters = self.letters();
        // Records that have their letters are settled, whether their acknowledgement was written or not.
        for entry in self.oracle.entries.values_mut() {
            if letters.contains(&id_of(&entry.bytes)) && entry.acked == Acked::No {
                entry.acked = Acked::Lately;
            }
        }
        self.oracle.look_after_crash(&look);
        for record in &look.found {
            let id = id_of(&record.bytes);
            assert!(self.oracle.is_hurt || !letters.contains(&id), "{id} has its letter and comes again");
        }
    }

    /// Everything is delivered, and room comes back.
    pub(crate) fn drain(&mut self) {
        let open = self.oracle.unacked();
        self.ack(&open);
        self.turn(2_000);
        assert_eq!(self.spool().len(), 0);
        let record = self.record();
        for _ in 0..4 {
            if let Ok(receipt) = self.spool().add(record.clone()) {
                self.turn(0);
                receipt.wait().expect("stored");
                return;
            }
            self.turn(10_000);
        }
        panic!("an empty spool takes nothing: {:?}", self.spool().stats());
    }
}
