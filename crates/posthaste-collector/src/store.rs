//! What has arrived, oldest first, within bounds.
//!
//! Invariants: `events = good + bad + duplicates`; there are never more records or more bytes than allowed, except
//! that a single record is kept whatever its size; `seen` holds identities of kept records only, so it is bounded too.

use std::collections::{HashMap, VecDeque};

use posthaste::judge::Visits;

use crate::{CollectorLedger, Record, record::Identity};

/// About how many bytes of memory the kept events may take together; beyond it the oldest are forgotten.
pub const STORE_BYTES_MAX: usize = 1 << 30;

/// Kept records and their counts.
#[derive(Debug)]
pub(crate) struct Store {
    records: VecDeque<Record>,
    seen: HashMap<Identity, Seen>,
    ledger: CollectorLedger,
    visits: Visits,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

/// How many kept records share an identity. At most one of them is good.
#[derive(Debug, Default)]
struct Seen {
    records: usize,
    good: bool,
}

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Good,
    Bad,
    Duplicate,
}

impl Store {
    pub(crate) fn new(events_max: usize, bytes_max: usize) -> Self {
        Self {
            records: VecDeque::new(),
            seen: HashMap::new(),
            ledger: CollectorLedger::default(),
            visits: Visits::default(),
            bytes: 0,
            events_max,
            bytes_max,
        }
    }

    pub(crate) fn ledger(&self) -> CollectorLedger {
        CollectorLedger { too_early: self.visits.too_early(), ..self.ledger.clone() }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.events_max, self.bytes_max);
    }

    pub(crate) fn count_request(&mut self, repaired: u64) {
        self.ledger.requests += 1;
        self.ledger.repaired += repaired;
    }

    pub(crate) fn count_fault(&mut self, rule: &str, taken: bool) {
        self.ledger.count_fault(rule, taken);
    }

    /// Takes one record in, and forgets the oldest where there is no room.
    pub(crate) fn add(&mut self, record: Record) -> Kept {
        self.ledger.events += 1;
        let good = matches!(record, Record::Good(_));
        if self.is_repeat(&record, good) {
            self.ledger.duplicates += 1;
            return Kept::Duplicate;
        }
        let kept = self.count(&record);
        self.bytes += record.bytes();
        self.records.push_back(record);
        self.make_room();
        kept
    }

    fn count(&mut self, record: &Record) -> Kept {
        let Record::Good(event) = record else {
            self.ledger.bad += 1;
            return Kept::Bad;
        };
        self.ledger.good += 1;
        self.ledger.warned += u64::from(!event.warnings.is_empty());
        if event.is_impression {
            self.visits.decision(&event.visitor_id, event.timestamp);
        } else {
            self.visits.conversion(&event.visitor_id, event.timestamp);
        }
        Kept::Good
    }

    /// Whether the API would drop it as a repeat; remembers it if not.
    fn is_repeat(&mut self, record: &Record, good: bool) -> bool {
        let Some(identity) = record.identity() else { return false };
        let seen = self.seen.entry(identity).or_default();
        if good && seen.good {
            return true;
        }
        self.ledger.unique += u64::from(seen.records == 0);
        seen.records += 1;
        seen.good |= good;
        false
    }

    fn make_room(&mut self) {
        while self.records.len() > self.events_max.max(1)
            || (self.bytes > self.bytes_max && self.records.len() > 1)
        {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.ledger.forgotten += 1;
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, record: &Record) {
        let Some(identity) = record.identity() else { return };
        let Some(seen) = self.seen.get_mut(&identity) else { return };
        seen.records -= 1;
        seen.good &= matches!(record, Record::Bad(_));
        if seen.records == 0 {
            self.seen.remove(&identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taken::Taken;

    fn record(uuid: usize) -> Record {
        let body = format!(
            r#"{{"account_id": "1", "visitors": [{{"visitor_id": "ann", "snapshots": [{{"events":
            [{{"entity_id": "3", "key": "buy", "timestamp": 1795500003394, "uuid": "u-{uuid}"}}]}}]}}]}}"#
        );
        Taken::of(body.as_bytes(), None, 0).records.remove(0)
    }

    #[test]
    fn bytes_are_bounded_too() {
        let bytes = record(0).bytes();
        let mut store = Store::new(100, 3 * bytes);
        for uuid in 0..9 {
            store.add(record(uuid));
            assert!(store.bytes <= 3 * bytes);
        }
        assert_eq!((store.records().count(), store.seen.len(), store.ledger().forgotten), (3, 3, 6));
    }

    #[test]
    fn a_single_record_is_kept_whatever_its_size() {
        let mut store = Store::new(0, 0);
        assert_eq!([store.add(record(1)), store.add(record(2))], [Kept::Good; 2]);
        assert_eq!((store.records().count(), store.ledger().forgotten), (1, 1));
    }
}
