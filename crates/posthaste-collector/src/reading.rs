//! What readers are given. The store is locked only while it hands out what it keeps; all that costs time comes after.

use crate::{
    BadEvent, Collector, CollectorLedger, Filter, GoodEvent, Order, Record, Verdict,
    filter::Picker,
    store::{Snapshot, View},
    told::Told,
};

/// What stands beside the events that a filter picks.
#[derive(Debug)]
pub(crate) struct Counts {
    /// All that the filter picks, listed or not.
    pub(crate) total: usize,
    /// Events that had to make room: what is picked may lack these.
    pub(crate) forgotten: u64,
    /// The newest id.
    pub(crate) newest: u64,
}

/// Which verdicts a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Good,
    Bad,
    All,
}

impl Listing {
    fn has(self, verdict: Verdict) -> bool {
        match self {
            Self::Good => verdict != Verdict::Bad,
            Self::Bad => verdict == Verdict::Bad,
            Self::All => true,
        }
    }
}

impl Collector {
    /// How much has arrived.
    pub fn ledger(&self) -> CollectorLedger {
        self.store().ledger(None)
    }

    /// How much has arrived in a session of a test.
    pub fn session_ledger(&self, session: &str) -> CollectorLedger {
        self.store().ledger(Some(session))
    }

    /// The good events that the filter picks.
    pub fn good(&self, filter: &Filter) -> Vec<GoodEvent> {
        let good = |record| match record {
            Record::Good(event) => Some(*event),
            Record::Bad(_) => None,
        };
        self.records(filter, Listing::Good).filter_map(good).collect()
    }

    /// The bad events that the filter picks.
    pub fn bad(&self, filter: &Filter) -> Vec<BadEvent> {
        let bad = |record| match record {
            Record::Bad(event) => Some(*event),
            Record::Good(_) => None,
        };
        self.records(filter, Listing::Bad).filter_map(bad).collect()
    }

    /// Good and bad events that the filter picks.
    pub fn all(&self, filter: &Filter) -> Vec<Record> {
        self.records(filter, Listing::All).collect()
    }

    fn records(&self, filter: &Filter, listing: Listing) -> impl Iterator<Item = Record> {
        self.pick(filter, listing, |views| views.into_iter().map(|told| told.record()).collect::<Vec<_>>())
            .0
            .into_iter()
    }

    /// The events that the filter picks as a JSON list, which ends once it has so many bytes: never before the first.
    pub(crate) fn list(&self, filter: &Filter, listing: Listing, bytes_max: usize) -> (Vec<u8>, Counts) {
        self.pick(filter, listing, |views| {
            let mut json = vec![b'['];
            for told in views {
                if json.len() > bytes_max.max(1) {
                    break;
                }
                if json.len() > 1 {
                    json.push(b',');
                }
                // One at a time: records take many times the memory of their JSON.
                serde_json::to_writer(&mut json, &told.record()).expect("a record can be written as JSON");
            }
            json.push(b']');
            json
        })
    }

    fn pick<T>(
        &self,
        filter: &Filter,
        listing: Listing,
        make: impl FnOnce(Vec<Told<'_>>) -> T,
    ) -> (T, Counts) {
        let (snapshot, forgotten) = {
            let store = self.store();
            (store.after(filter.after.unwrap_or_default()), store.forgotten(filter.session.as_deref()))
        };
        let picker = Picker::new(filter, self.config());
        let picks = |view: &View<'_>| listing.has(view.verdict()) && picker.picks(view);
        let (found, total) = match filter.order {
            Order::Oldest => window(snapshot.views().filter(picks), filter),
            Order::Newest => window(snapshot.views().rev().filter(picks), filter),
        };
        let made = make(found.into_iter().map(|view| Told::new(view, self.config())).collect());
        (made, Counts { total, forgotten, newest: snapshot.newest })
    }

    /// What is kept and newer than this event.
    pub(crate) fn kept_after(&self, id: u64) -> Snapshot {
        self.store().after(id)
    }
}

/// The part that is asked for, and how many there are in all.
fn window<'a>(found: impl Iterator<Item = View<'a>>, filter: &Filter) -> (Vec<View<'a>>, usize) {
    let (limit, offset) = (filter.limit.unwrap_or(usize::MAX), filter.offset.unwrap_or_default());
    let (mut items, mut total) = (Vec::new(), 0);
    for view in found {
        if total >= offset && items.len() < limit {
            items.push(view);
        }
        total += 1;
    }
    (items, total)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::CollectorOptions;

    /// A list ends early, says how many there are, and goes on with `offset`.
    #[test]
    fn a_list_is_bounded_in_bytes_and_can_be_gone_on_with() {
        let collector = Collector::new(CollectorOptions::default());
        for event in 0..15 {
            let (pad, uuid) = ("x".repeat(1_000), format!("u-{event}"));
            let body = serde_json::json!({"account_id": "1", "visitors": [{"visitor_id": pad, "snapshots": [
                {"events": [{"entity_id": "3", "timestamp": 1_795_500_003_394_i64, "uuid": uuid}]}]}]});
            collector.receive(body.to_string().as_bytes());
        }
        for (bytes_max, answers_expected) in [(0, 15), (10_000, 3), (1 << 20, 1)] {
            let (mut seen, mut answers) = (0, 0);
            while seen < 15 {
                let filter = Filter { offset: Some(seen), ..Filter::default() };
                let (json, counts) = collector.list(&filter, Listing::All, bytes_max);
                let events: Vec<Value> = serde_json::from_slice(&json).unwrap();
                assert_eq!(events.first().and_then(|event| event.get("id")?.as_u64()), Some(seen as u64 + 1));
                assert_eq!((counts.total, counts.newest), (15, 15));
                seen += events.len();
                answers += 1;
            }
            assert_eq!(answers, answers_expected, "{bytes_max}");
        }
    }
}
