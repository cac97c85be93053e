//! What a datafile says of its attributes, experiments and events, for its events to refer to by number: making an event
//! touches no counter of these, and an event holds no pointer to them but its context.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    decision::{DecisionForm, ReportedDecision},
    entities::{Event, EventIds},
    experiment::Experiment,
    names::AttributeNames,
};

/// The tables of one datafile; empty for a context that is made by hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    /// Which reading of a datafile they are of.
    datafile: DatafileId,
    pub(super) names: Arc<AttributeNames>,
    /// For each experiment its variations in their order, and no variation.
    decisions: Vec<ReportedDecision>,
    events: Arc<[EventIds]>,
}

/// Stands for one reading of a datafile. Two readings of the same bytes are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DatafileId(u64);

impl DatafileId {
    /// One that no other has.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// Where something is in a datafile's tables: no part of what it is, so all places are equal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// That of no datafile, where it is in none.
    datafile: DatafileId,
    index: u32,
}

impl Place {
    pub(super) fn new(datafile: DatafileId, index: u32) -> Self {
        Self { datafile, index }
    }

    /// Its number in the tables of this datafile, if it is there.
    #[inline]
    pub(super) fn index_in(self, datafile: DatafileId) -> Option<u32> {
        let is_there = self.datafile == datafile && datafile != DatafileId::default();
        is_there.then_some(self.index)
    }
}

impl PartialEq for Place {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Tables {
    /// Those of the experiments and events that have their places, in their order.
    pub(super) fn new(
        datafile: DatafileId,
        names: AttributeNames,
        experiments: &[Experiment],
        events: &[Event],
    ) -> Self {
        let names = Arc::new(names);
        let events = events.iter().map(|event| EventIds::new(event.id(), event.key())).collect();
        let tables = Self { datafile, names, decisions: Vec::new(), events };
        tables.with_decisions(experiments, DecisionForm::default())
    }

    /// The same, decisions reported in this form.
    pub(super) fn with_decisions(&self, experiments: &[Experiment], form: DecisionForm) -> Self {
        let decisions = experiments.iter().flat_map(|experiment| experiment.reports(form)).collect();
        Self {
            datafile: self.datafile,
            names: Arc::clone(&self.names),
            decisions,
            events: Arc::clone(&self.events),
        }
    }

    #[inline]
    pub(super) fn datafile(&self) -> DatafileId {
        self.datafile
    }

    #[inline]
    pub(super) fn decision(&self, index: u32) -> Option<&ReportedDecision> {
        self.decisions.get(usize::try_from(index).ok()?)
    }

    #[inline]
    pub(super) fn event_ids(&self, index: u32) -> Option<&EventIds> {
        self.events.get(usize::try_from(index).ok()?)
    }
}

/// Gives each experiment, each of its variations, and each event its place.
pub(super) fn number(datafile: DatafileId, experiments: &mut [Experiment], events: &mut [Event]) {
    let mut next = 0_u32;
    for experiment in experiments {
        next = experiment.number(datafile, next);
    }
    for (index, event) in (0..).zip(events) {
        event.number(Place::new(datafile, index));
    }
}
