//! What the kept events come to: by experiment and variation, by SDK, by kind of problem, by session.
//!
//! Counts are over what is kept; a summary says how many are not. A conversion counts for a variation where its visitor
//! was shown that one no later: the API credits conversions to earlier decisions only.
//!
//! Visitors are told apart by numbers, as names take too much memory; that two of a million share one is as likely as
//! one in thirty million.

mod tally;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use posthaste::judge::{ProblemKind, Severity};
use serde::Serialize;

use crate::{Collector, CollectorLedger, store::SessionLedger, told::Told};

use tally::Tally;

/// How long a summary is given again, though something may have changed.
const FRESH: Duration = Duration::from_secs(1);
/// Visitors of a variation below which nothing is to be concluded.
const VISITORS_MIN: u64 = 100;
/// Conversions of a key in a variation, likewise.
const CONVERSIONS_MIN: u64 = 10;
/// Sessions whose summaries are kept.
const KEPT_MAX: usize = 16;

/// What the kept events come to.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    ledger: CollectorLedger,
    memory: Memory,
    forgotten: u64,
    experiments: Vec<Experiment>,
    sdks: Vec<Sdk>,
    problems: Vec<ProblemCount>,
    sessions: Vec<SessionLedger>,
    repeats: u64,
}

#[derive(Debug, Serialize)]
struct Memory {
    bytes: usize,
    bytes_max: usize,
    events: usize,
}

#[derive(Debug, Serialize, PartialEq)]
#[expect(clippy::struct_field_names, reason = "as it is in JSON")]
struct Experiment {
    experiment_id: String,
    experiment: Option<String>,
    campaign_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag: Option<String>,
    visitors: u64,
    /// Visitors that were shown two variations.
    mixed: u64,
    too_few: bool,
    variations: Vec<Variation>,
}

#[derive(Debug, Serialize, PartialEq)]
#[expect(clippy::struct_field_names, reason = "as it is in JSON")]
struct Variation {
    variation_id: String,
    variation: Option<String>,
    visitors: u64,
    impressions: u64,
    conversions: Vec<Conversion>,
}

#[derive(Debug, Serialize, PartialEq)]
struct Conversion {
    key: String,
    /// Visitors of the variation that did it, once or more.
    visitors: u64,
    count: u64,
    /// The share of the variation's visitors that did it.
    rate: f64,
    /// In the currency's smallest unit.
    revenue: i64,
    value: f64,
}

#[derive(Debug, Serialize)]
struct Sdk {
    name: String,
    version: String,
    requests: u64,
    events: u64,
    bad: u64,
    repeats: u64,
}

#[derive(Debug, Serialize)]
struct ProblemCount {
    kind: ProblemKind,
    severity: Severity,
    count: u64,
    problem: String,
    fix: String,
    path: String,
    /// The id of the newest event that has it.
    example: u64,
}

/// Summaries of late, by session: many pages ask for the same.
#[derive(Debug, Default)]
pub(crate) struct Summaries(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    session: Option<String>,
    made: Duration,
    resets: u64,
    summary: Arc<Summary>,
}

impl Collector {
    /// What the kept events come to, in all or in a session; up to a second old.
    pub(crate) fn summary(&self, session: Option<&str>) -> Arc<Summary> {
        let now = self.clock().elapsed();
        let resets = self.store().resets();
        // Whoever comes meanwhile waits, and is given the same.
        let mut kept = self.summaries().0.lock();
        kept.retain(|one| now.saturating_sub(one.made) < FRESH && one.resets == resets);
        if let Some(found) = kept.iter().find(|one| one.session.as_deref() == session) {
            return Arc::clone(&found.summary);
        }
        let summary = Arc::new(self.summarize(session));
        if kept.len() < KEPT_MAX {
            let session = session.map(str::to_owned);
            kept.push(Kept { session, made: now, resets, summary: Arc::clone(&summary) });
        }
        summary
    }

    fn summarize(&self, session: Option<&str>) -> Summary {
        let (snapshot, ledger, memory, sessions) = {
            let store = self.store();
            let memory =
                Memory { bytes: store.memory(), bytes_max: store.bounds().bytes_max, events: store.live() };
            (store.after(0), store.ledger(session), memory, store.sessions())
        };
        let mut tally = Tally::new(self.hashes().clone());
        for view in snapshot.views().rev().filter(|view| view.is_of(session)) {
            tally.note(&Told::new(view, self.config()));
        }
        let (sdks, problems) = (tally.sdks(), tally.problems());
        Summary {
            memory,
            forgotten: ledger.forgotten,
            repeats: ledger.duplicates,
            ledger,
            experiments: tally.experiments(self.config()),
            sdks,
            problems,
            sessions,
        }
    }
}
