//! Which variations visitors were given, in little memory: an id is kept once, and a visitor has pairs of numbers.
//!
//! Invariant: no more than [`IDS_MAX`] ids of at most [`ID_BYTES_MAX`] bytes are kept, and no more than
//! [`DECISIONS_MAX`] pairs; of what does not fit nothing is said.

use std::{collections::HashMap, sync::Arc};

use super::node::quote;

/// Ids of experiments and of variations.
const IDS_MAX: usize = 20_000;
/// Longer ones are nobody's.
const ID_BYTES_MAX: usize = 256;
/// Experiments of all visitors.
const DECISIONS_MAX: usize = 1_000_000;
/// Experiments of one visitor.
const EXPERIMENTS_MAX: usize = 200;

/// The ids that the pairs of all visitors stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Assigned {
    numbers: HashMap<Arc<str>, u32>,
    ids: Vec<Arc<str>>,
    decisions: usize,
}

/// A visitor's experiments, each with the variation that came first.
pub(super) type Variations = Vec<(u32, u32)>;

/// Two variations of one experiment.
#[derive(Debug, Clone)]
pub(super) struct Mixed {
    experiment: Arc<str>,
    first: Arc<str>,
    now: Arc<str>,
}

impl Mixed {
    pub(super) fn in_words(&self, visitor_id: &str) -> String {
        let (experiment, first, now) = (quote(&self.experiment), quote(&self.first), quote(&self.now));
        let visitor = quote(visitor_id);
        format!(
            "visitor {visitor} is in two variations of experiment {experiment}: first in {first}, now in {now}"
        )
    }
}

impl Assigned {
    /// Remembers it, or says what came before.
    pub(super) fn note(
        &mut self,
        known: &mut Variations,
        experiment: &str,
        variation: &str,
    ) -> Option<Mixed> {
        let (experiment, variation) = (self.number(experiment)?, self.number(variation)?);
        match known.iter().find(|(known, _)| *known == experiment) {
            Some(&(_, first)) if first != variation => Some(Mixed {
                experiment: self.id(experiment)?,
                first: self.id(first)?,
                now: self.id(variation)?,
            }),
            Some(_) => None,
            None => {
                if self.decisions < DECISIONS_MAX && known.len() < EXPERIMENTS_MAX {
                    self.decisions += 1;
                    known.push((experiment, variation));
                }
                None
            }
        }
    }

    fn id(&self, number: u32) -> Option<Arc<str>> {
        self.ids.get(number as usize).cloned()
    }

    fn number(&mut self, id: &str) -> Option<u32> {
        if let Some(&number) = self.numbers.get(id) {
            return Some(number);
        }
        if self.ids.len() >= IDS_MAX || id.len() > ID_BYTES_MAX {
            return None;
        }
        let (number, id) = (u32::try_from(self.ids.len()).ok()?, Arc::<str>::from(id));
        self.ids.push(Arc::clone(&id));
        self.numbers.insert(id, number);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_said_and_what_fits_still_is() {
        let (mut assigned, mut known) = (Assigned::default(), Variations::new());
        assert!(assigned.note(&mut known, "e", "a").is_none());
        for id in 0..IDS_MAX {
            assert!(assigned.note(&mut known, &format!("x{id}"), "a").is_none());
        }
        assert_eq!((assigned.ids.len(), known.len()), (IDS_MAX, EXPERIMENTS_MAX));
        let long = "9".repeat(ID_BYTES_MAX + 1);
        assert!(assigned.note(&mut known, "e", &long).is_none());
        assert!(assigned.note(&mut known, "e", "new").is_none(), "it has no number");
        let told = assigned.note(&mut known, "e", "x1").unwrap();
        assert_eq!((&*told.experiment, &*told.first, &*told.now), ("e", "a", "x1"));
    }
}
