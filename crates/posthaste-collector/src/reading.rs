//! What readers are given. The store is locked only while it hands out what it keeps; all that costs time comes after.

use std::ops::ControlFlow;

use crate::{
    BadEvent, Collector, CollectorLedger, Filter, GoodEvent, Order, Record, Verdict,
    filter::Picker,
    store::{Snapshot, View},
    told::Told,
};

/// Some of the records that a filter picks, and how many there are.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Record>,
    /// All that the filter picks.
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

    /// The good events that the filter picks, oldest first.
    pub fn good(&self, filter: &Filter) -> Vec<GoodEvent> {
        let good = |record| match record {
            Record::Good(event) => Some(*event),
            Record::Bad(_) => None,
        };
        self.page(filter, Listing::Good).items.into_iter().filter_map(good).collect()
    }

    /// The bad events that the filter picks, oldest first.
    pub fn bad(&self, filter: &Filter) -> Vec<BadEvent> {
        let bad = |record| match record {
            Record::Bad(event) => Some(*event),
            Record::Good(_) => None,
        };
        self.page(filter, Listing::Bad).items.into_iter().filter_map(bad).collect()
    }

    /// Good and bad events that the filter picks, oldest first.
    pub fn all(&self, filter: &Filter) -> Vec<Record> {
        self.page(filter, Listing::All).items
    }

    pub(crate) fn page(&self, filter: &Filter, listing: Listing) -> Page {
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
        let items = found.into_iter().map(|view| Told::new(view, self.config()).record()).collect();
        Page { items, total, forgotten, newest: snapshot.newest }
    }

    /// Hands out what is kept and newer than an event, oldest first, until told to stop; without making JSON of any of
    /// it. Gives the newest id that there was: whoever comes again with that misses nothing.
    #[expect(dead_code, reason = "for expectations")]
    pub(crate) fn walk(
        &self,
        after: u64,
        session: Option<&str>,
        mut take: impl FnMut(&Told<'_>) -> ControlFlow<()>,
    ) -> u64 {
        let snapshot = self.kept_after(after);
        let mut of_session =
            snapshot.views().filter(|view| session.is_none_or(|session| view.session() == Some(session)));
        let _ = of_session.try_for_each(|view| take(&Told::new(view, self.config())));
        drop(of_session);
        snapshot.newest
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
