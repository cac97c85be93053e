//! Things in the datafile's order, found by id or key.

use compact_str::CompactString;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    entities::{Attribute, Event},
    experiment::{Experiment, Variation},
    listed::{Listed, Quoted},
};

/// Something with an id and a key.
pub(super) trait Named {
    /// What it is called in a warning.
    const KIND: &'static str;
    /// What becomes of a key that several share.
    const SHARED: &'static str = "the last one counts";
    fn id(&self) -> &str;
    fn key(&self) -> &str;
}

/// Items in order, found by id or key. The last of an id or key counts.
#[derive(Debug, Clone)]
pub(super) struct Index<T> {
    items: Vec<T>,
    by_id: FxHashMap<CompactString, usize>,
    by_key: FxHashMap<CompactString, usize>,
    /// Keys that stand for several ids, with the ids, in order.
    shared: FxHashMap<CompactString, Vec<CompactString>>,
}

impl<T: Named> Index<T> {
    /// Says in `warnings` what is there twice.
    pub(super) fn new(items: Vec<T>, warnings: &mut Vec<String>) -> Self {
        let (mut by_id, mut by_key) = (FxHashMap::default(), FxHashMap::default());
        let mut sharing = FxHashSet::default();
        for (at, item) in items.iter().enumerate() {
            if by_id.insert(CompactString::from(item.id()), at).is_some() {
                warnings.push(format!(
                    "{} id {} occurs twice: the last one counts",
                    T::KIND,
                    Quoted(item.id())
                ));
            }
            if by_key.insert(CompactString::from(item.key()), at).is_some() {
                sharing.insert(item.key());
            }
        }
        let shared = shared(&items, &sharing);
        warnings.extend(items.iter().filter(|item| sharing.remove(item.key())).filter_map(|item| {
            let ids = shared.get(item.key())?.iter().map(CompactString::as_str);
            let (key, ids) = (Quoted(item.key()), Listed::new(ids));
            Some(format!("{} key {key} stands for several ids, {ids}: {}", T::KIND, T::SHARED))
        }));
        Self { items, by_id, by_key, shared }
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&T> {
        self.by_id.get(id).and_then(|&at| self.items.get(at))
    }

    pub(super) fn by_key(&self, key: &str) -> Option<&T> {
        self.by_key.get(key).and_then(|&at| self.items.get(at))
    }

    /// The ids that this key stands for, where there are several.
    pub(super) fn ids_sharing(&self, key: &str) -> Option<Listed> {
        self.shared.get(key).map(|ids| Listed::new(ids.iter().map(CompactString::as_str)))
    }

    /// The items that a key finds, in order.
    pub(super) fn found_by_key(&self) -> impl Iterator<Item = &T> {
        let counts = |(at, item): &(usize, &T)| self.by_key.get(item.key()) == Some(at);
        self.items.iter().enumerate().filter(counts).map(|(_, item)| item)
    }
}

/// What an experiment has twice among its variations.
pub(super) fn warnings_of_variations(experiment: &Experiment) -> Vec<String> {
    let mut warnings = Vec::new();
    Index::new(experiment.variations().iter().collect(), &mut warnings);
    let of = Quoted(experiment.key());
    warnings.iter().map(|warning| format!("experiment {of}: {warning}")).collect()
}

/// The ids of each of these keys, where they are several.
fn shared<T: Named>(items: &[T], keys: &FxHashSet<&str>) -> FxHashMap<CompactString, Vec<CompactString>> {
    let mut shared = FxHashMap::<CompactString, Vec<CompactString>>::default();
    let mut seen = FxHashSet::default();
    for item in items.iter().filter(|item| keys.contains(item.key())) {
        if seen.insert((item.key(), item.id())) {
            shared.entry(item.key().into()).or_default().push(item.id().into());
        }
    }
    shared.retain(|_, ids| ids.len() > 1);
    shared
}

impl Named for Experiment {
    const KIND: &'static str = "experiment";
    const SHARED: &'static str = "say which by its id";

    fn id(&self) -> &str {
        self.id()
    }

    fn key(&self) -> &str {
        self.key()
    }
}

impl Named for Event {
    const KIND: &'static str = "event";

    fn id(&self) -> &str {
        self.id()
    }

    fn key(&self) -> &str {
        self.key()
    }
}

impl Named for Attribute {
    const KIND: &'static str = "attribute";

    fn id(&self) -> &str {
        self.id()
    }

    fn key(&self) -> &str {
        self.key()
    }
}

impl Named for &Variation {
    const KIND: &'static str = "variation";

    fn id(&self) -> &str {
        Variation::id(self)
    }

    fn key(&self) -> &str {
        Variation::key(self)
    }
}
