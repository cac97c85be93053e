//! Which of the kept events somebody wants to see.

use serde::Deserialize;

use crate::{BadEvent, GoodEvent};

/// Picks events. What is not set does not matter; what is set must be equal, letter for letter.
///
/// As a query string: `?visitor=ann&key=purchase&limit=10`. An unknown name is an error, not a filter that picks all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// The visitor's id.
    pub visitor: Option<String>,
    /// The experiment's id, or its key where a datafile is given. Picks impressions only: a conversion names none.
    pub experiment: Option<String>,
    /// The event's key; `campaign_activated` for impressions.
    pub key: Option<String>,
    /// The event's uuid.
    pub uuid: Option<String>,
    /// How many at most.
    pub limit: Option<usize>,
    /// How many of those that match to pass over, from the oldest on.
    pub offset: Option<usize>,
}

impl Filter {
    pub(crate) fn picks_good(&self, event: &GoodEvent) -> bool {
        is(self.visitor.as_deref(), Some(&event.visitor_id))
            && is(self.key.as_deref(), Some(&event.key))
            && is(self.uuid.as_deref(), Some(&event.uuid))
            && self.picks_experiment(event.experiment_id.as_deref(), event.experiment.as_deref())
    }

    pub(crate) fn picks_bad(&self, event: &BadEvent) -> bool {
        is(self.visitor.as_deref(), event.visitor_id.as_deref())
            && is(self.key.as_deref(), event.key.as_deref())
            && is(self.uuid.as_deref(), event.uuid.as_deref())
            && self.picks_experiment(event.experiment_id.as_deref(), event.experiment.as_deref())
    }

    fn picks_experiment(&self, id: Option<&str>, key: Option<&str>) -> bool {
        let wanted = self.experiment.as_deref();
        is(wanted, id) || is(wanted, key)
    }
}

/// Whether `found` is what is wanted; anything is, where nothing is wanted.
fn is(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| found == Some(wanted))
}
