//! What must be there: kept beside the spool from what it answered, and judged by the bytes on the disk.
//!
//! It never asks the spool how it stands. What was taken, told to be stored, acknowledged and hurt it knows by itself; a
//! record counts as hurt only where its frame is not among the raw bytes any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use posthaste_spool::{Batch, Record, WriteError};

use crate::raw;

/// What the spool has said, by the number of the offer.
pub(crate) type Told = Arc<Mutex<Vec<(usize, Result<u64, WriteError>)>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acked {
    No,
    /// A crash may bring it back.
    Lately,
    /// And the cursor that says so is on disk.
    ForGood,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) bytes: Bytes,
    pub(crate) told: bool,
    /// Told before a sync that worked.
    is_known: bool,
    pub(crate) acked: Acked,
    /// Nobody may see it before it is stored.
    pub(crate) hidden: bool,
}

#[derive(Debug)]
struct Offer {
    meta: Option<Bytes>,
    records: Range<u64>,
    told: bool,
}

/// What is known of one spool.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// Everything that was ever taken.
    taken: BTreeMap<u64, Vec<Bytes>>,
    offers: Vec<Offer>,
    pub(crate) told: Told,
    meta: Option<Bytes>,
    /// Something was hurt, ever: the metadata may be older than was told, and what was settled may come again.
    pub(crate) is_hurt: bool,
    /// At least and at most so many were lost.
    pub(crate) lost: (u64, u64),
    /// What the counter stood at when it was looked at last, in this life.
    pub(crate) lost_seen: u64,
    /// The ids of records whose letters were told to be stored.
    pub(crate) letters: BTreeSet<String>,
}

/// What a look at everything has shown.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) found: Vec<Record>,
    pub(crate) unreadable: Vec<Range<u64>>,
    pub(crate) held: BTreeMap<u64, Vec<u8>>,
    pub(crate) lost: u64,
    pub(crate) meta: Option<Bytes>,
}

impl Oracle {
    /// The number that the next offer has.
    pub(crate) fn next_offer(&self) -> usize {
        self.offers.len()
    }

    /// A batch was taken, its first record under this number.
    pub(crate) fn taken(&mut self, first: u64, batch: &Batch) {
        let records = first..first + batch.records.len() as u64;
        for (sequence, bytes) in records.clone().zip(&batch.records) {
            let hidden = batch.meta.is_some();
            let entry =
                Entry { bytes: bytes.clone(), told: false, is_known: false, acked: Acked::No, hidden };
            self.taken.entry(sequence).or_default().push(bytes.clone());
            let before = self.entries.insert(sequence, entry);
            assert!(before.is_none(), "number {sequence} was given out twice: {before:?}");
        }
        self.offers.push(Offer { meta: batch.meta.clone(), records, told: false });
    }

    /// Listens to what the spool has said since. `refused`: an error is fine now.
    pub(crate) fn listen(&mut self, gives_up: bool) {
        let told = std::mem::take(&mut *self.told.lock());
        for (offer, stored) in told {
            let Offer { meta, records, told } = &mut self.offers[offer];
            match stored {
                Ok(first) => assert_eq!(first, records.start),
                Err(error) => {
                    assert!(gives_up, "what was taken was refused later: {error}");
                    continue;
                }
            }
            assert!(!*told, "told twice");
            *told = true;
            if meta.is_some() {
                self.meta.clone_from(meta);
            }
            for sequence in records.clone() {
                if let Some(entry) = self.entries.get_mut(&sequence) {
                    entry.told = true;
                }
            }
        }
    }

    pub(crate) fn untold(&self) -> usize {
        self.offers.iter().filter(|offer| !offer.told).count()
    }

    pub(crate) fn acknowledged(&mut self, sequences: &[u64]) -> u64 {
        let mut new = 0;
        for sequence in sequences {
            if let Some(entry) = self.entries.get_mut(sequence)
                && entry.acked == Acked::No
            {
                entry.acked = Acked::Lately;
                new += 1;
            }
        }
        new
    }

    /// A sync worked: the cursor on disk knows everything.
    pub(crate) fn synced(&mut self) {
        for entry in self.entries.values_mut() {
            entry.is_known |= entry.told;
            if entry.acked == Acked::Lately {
                entry.acked = Acked::ForGood;
            }
        }
        self.lost = (self.lost_seen, self.lost_seen);
    }

    /// Records that should be given up: taken, not told, not acknowledged, and not hidden.
    pub(crate) fn to_give_up(&self) -> Vec<u64> {
        let waits = |entry: &Entry| !entry.told && entry.acked == Acked::No && !entry.hidden;
        self.entries.iter().filter(|(_, entry)| waits(entry)).map(|(sequence, _)| *sequence).collect()
    }

    /// Unacknowledged records, as far as anybody may see them.
    pub(crate) fn visible(&self) -> u64 {
        let is_visible = |entry: &&Entry| entry.acked == Acked::No && (entry.told || !entry.hidden);
        self.entries.values().filter(is_visible).count() as u64
    }

    pub(crate) fn unacked(&self) -> Vec<u64> {
        let open = |entry: &Entry| entry.acked == Acked::No && (entry.told || !entry.hidden);
        self.entries.iter().filter(|(_, entry)| open(entry)).map(|(sequence, _)| *sequence).collect()
    }

    /// Found records are what was taken, in order, each once. Returns their numbers.
    fn check_found(&self, look: &Look) -> BTreeSet<u64> {
        assert!(look.found.is_sorted_by(|a, b| a.sequence < b.sequence), "not in order, or twice: {look:?}");
        for record in &look.found {
            let entry = self.entries.get(&record.sequence);
            let entry = entry.unwrap_or_else(|| panic!("invented {record:?}"));
            assert_eq!(entry.bytes, record.bytes, "changed: {}", record.sequence);
            assert!(entry.acked != Acked::ForGood || self.is_hurt, "{} comes again", record.sequence);
        }
        look.found.iter().map(|record| record.sequence).collect()
    }

    /// Told and unacknowledged records that are neither found nor unreadable: each must be hurt. Forgets them.
    fn missing(&mut self, found: &BTreeSet<u64>, look: &Look) -> (u64, u64) {
        let mut missing = (0, 0);
        let is_hurt = self.is_hurt;
        self.entries.retain(|sequence, entry| {
            let should = entry.told && entry.acked == Acked::No;
            let is_unreadable = look.unreadable.iter().any(|range| range.contains(sequence));
            if !should || found.contains(sequence) || is_unreadable {
                return true;
            }
            let there = look.held.get(sequence).is_some_and(|bytes| **bytes == *entry.bytes);
            // Of a commit that nothing came behind, a page elsewhere and a power cut together look like an unfinished one.
            let is_last = is_hurt && !entry.is_known;
            assert!(
                !there || is_last,
                "{sequence} is sound on disk and was not read: known {}",
                entry.is_known
            );
            if entry.is_known {
                missing.0 += 1;
            } else {
                missing.1 += 1;
            }
            false
        });
        missing
    }

    /// In the life in which everything was told.
    pub(crate) fn look(&mut self, look: &Look) {
        let found = self.check_found(look);
        for sequence in &found {
            let entry = &self.entries[sequence];
            assert!(entry.told, "{sequence} is read before it was stored");
            assert!(entry.acked == Acked::No, "{sequence} is read after its acknowledgement");
        }
        if !look.unreadable.is_empty() {
            assert_eq!(look.lost, self.lost_seen, "what cannot be read is not lost");
            return;
        }
        let (known, new) = self.missing(&found, look);
        assert_eq!(
            look.lost,
            self.lost_seen + known + new,
            "losses; {known} known and {new} new are missing"
        );
        self.lost = (self.lost.0 + known, self.lost.1 + known + new);
        self.lost_seen = look.lost;
        if !self.is_hurt {
            assert_eq!(look.meta, self.meta, "metadata");
        }
    }

    /// In a new life.
    pub(crate) fn look_after_crash(&mut self, look: &Look) {
        self.listen(true);
        if self.is_hurt {
            self.take_back(look);
        }
        let found = self.check_found(look);
        let (known, new) = self.missing(&found, look);
        let is_gone = |sequence: &u64| !look.held.contains_key(sequence);
        let acked =
            |entry: &Entry| entry.acked == Acked::Lately || (entry.acked == Acked::ForGood && self.is_hurt);
        let settled = self.entries.iter().filter(|(sequence, entry)| acked(entry) && is_gone(sequence));
        let uncertain = new + settled.count() as u64;
        self.lost = (self.lost.0 + known, self.lost.1 + known + uncertain);
        // A cursor that is not believed takes what it had counted with it.
        let most = if self.is_hurt { u64::MAX } else { self.lost.1 };
        assert!(
            (self.lost.0..=most).contains(&look.lost),
            "{} lost, not {:?}; now {known} known, {new} new",
            look.lost,
            self.lost
        );
        if self.is_hurt {
            self.lost = (look.lost, look.lost);
        }
        self.check_batches(&found);
        let metas = self.possible_metas(&found);
        if !self.is_hurt {
            assert!(metas.contains(&look.meta), "metadata {:?}, not one of {metas:?}", look.meta);
        }
        self.meta.clone_from(&look.meta);
        self.lost_seen = look.lost;
        self.offers.iter_mut().for_each(|offer| offer.told = true);
        // What comes again is not acknowledged, and what nobody knows of any more has no number.
        self.entries.retain(|sequence, entry| {
            let is_found = found.contains(sequence);
            if is_found {
                (entry.acked, entry.told) = (Acked::No, true);
            }
            // Acknowledged before it was stored, it may never have got there, and its number is free again.
            is_found || entry.acked != Acked::No && look.held.contains_key(sequence)
        });
    }

    /// What covered a record may not have reached the disk, nor the cursor that calls it lost: then it is there again.
    fn take_back(&mut self, look: &Look) {
        for record in &look.found {
            let was_taken = self.taken.get(&record.sequence).is_some_and(|all| all.contains(&record.bytes));
            let is_known =
                self.entries.get(&record.sequence).is_some_and(|entry| entry.bytes == record.bytes);
            if was_taken && !is_known {
                let bytes = record.bytes.clone();
                let entry = Entry { bytes, told: true, is_known: false, acked: Acked::No, hidden: false };
                self.entries.insert(record.sequence, entry);
                self.lost.0 = 0;
            }
        }
    }

    /// What nobody was told of is there as a whole or not at all.
    fn check_batches(&self, found: &BTreeSet<u64>) {
        for offer in self.offers.iter().filter(|offer| !offer.told) {
            let open = || {
                offer.records.clone().filter(|sequence| {
                    self.entries.get(sequence).is_some_and(|entry| entry.acked == Acked::No)
                })
            };
            let there = open().filter(|sequence| found.contains(sequence)).count();
            assert!(there == 0 || there == open().count(), "half a batch: {offer:?} in {found:?}");
        }
    }

    fn possible_metas(&self, found: &BTreeSet<u64>) -> Vec<Option<Bytes>> {
        let mut metas = vec![self.meta.clone()];
        for offer in self.offers.iter().filter(|offer| !offer.told && offer.meta.is_some()) {
            if offer.records.is_empty() {
                metas.push(offer.meta.clone());
            } else if offer.records.clone().any(|sequence| found.contains(&sequence)) {
                metas = vec![offer.meta.clone()];
            }
        }
        metas
    }
}

/// The records that the raw bytes of a spool hold where they count.
pub(crate) fn held(files: &raw::Files, dir: &std::path::Path) -> BTreeMap<u64, Vec<u8>> {
    let id = raw::spool_id(files, dir);
    id.map(|id| raw::held(&raw::segments(files, dir, id))).unwrap_or_default()
}
