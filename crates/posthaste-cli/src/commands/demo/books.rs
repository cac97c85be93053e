//! The books of both sides, and whether they agree event by event.

use std::{collections::BTreeMap, fmt};

use posthaste::{Ledger, UserEvent};
use posthaste_collector::{CollectorLedger, GoodEvent};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::{play, relayed::Relayed};
use crate::common::{
    arrived::Arrived,
    output::{counted, grouped},
};

#[derive(Serialize)]
pub(super) struct Books {
    seed: u64,
    experiment: &'static str,
    variations: Vec<Row>,
    #[serde(skip)]
    events: u64,
    sent: Sent,
    received: Arrived,
    comparison: Comparison,
    agree: bool,
}

/// What the collector counted of one variation.
#[derive(Debug, Default, Serialize)]
struct Row {
    variation: String,
    visitors: u64,
    conversions: u64,
    rate: f64,
    revenue: i64,
}

/// What the sending side says.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Sent {
    Straight { events: u64, accepted: u64, delivered: u64, dead_lettered: u64, left: u64, balances: bool },
    ThroughRelay(Relayed),
}

/// Events by uuid and timestamp.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Comparison {
    matched: u64,
    /// Sent and never received.
    missing: u64,
    /// Received and never sent.
    unknown: u64,
    /// Received again.
    repeated: u64,
}

impl Books {
    pub(super) fn new(
        seed: u64,
        events: &[UserEvent],
        sent: Sent,
        received: &[GoodEvent],
        arrived: CollectorLedger,
    ) -> Self {
        let number = events.len() as u64;
        let comparison = Comparison::new(events, received, arrived.duplicates);
        let agree = sent.is_perfect(number)
            && (comparison.missing, comparison.unknown) == (0, 0)
            && (comparison.repeated == 0 || sent.may_repeat())
            && (arrived.good, arrived.bad) == (number, 0);
        Self {
            seed,
            experiment: play::EXPERIMENT,
            variations: rows(received),
            events: number,
            sent,
            comparison,
            received: Arrived(arrived),
            agree,
        }
    }

    pub(super) fn agree(&self) -> bool {
        self.agree
    }
}

impl Sent {
    pub(super) fn straight(events: u64, ledger: Ledger) -> Self {
        let Ledger { accepted, delivered, dead_lettered, queued, .. } = ledger;
        Self::Straight {
            events,
            accepted,
            delivered,
            dead_lettered,
            left: queued,
            balances: ledger.balances(),
        }
    }

    fn is_perfect(&self, number: u64) -> bool {
        match self {
            Self::Straight { delivered, balances, .. } => *delivered == number && *balances,
            Self::ThroughRelay(relayed) => relayed.is_perfect(number),
        }
    }

    /// Whoever is killed before an answer has come sends again.
    fn may_repeat(&self) -> bool {
        matches!(self, Self::ThroughRelay(_))
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Straight { accepted, delivered, dead_lettered, left, .. } => {
                let [accepted, delivered, dead, left] =
                    [*accepted, *delivered, *dead_lettered, *left].map(grouped);
                write!(
                    f,
                    "sent      {accepted} accepted = {delivered} delivered + {dead} dead-lettered + {left} left"
                )
            }
            Self::ThroughRelay(relayed) => {
                let Relayed { requests, answered, sent_again, found, dead_lettered, left, .. } = relayed;
                let requests = counted(*requests, "request", "requests");
                let [answered, again, found, dead, left] =
                    [*answered, *sent_again, *found, *dead_lettered, *left].map(grouped);
                writeln!(f, "sent      {answered} answered 204, in {requests} and {again} further tries")?;
                write!(
                    f,
                    "relay     killed once, {found} found on disk; in the end {dead} dead-lettered + {left} left"
                )
            }
        }
    }
}

impl Comparison {
    fn new(sent: &[UserEvent], received: &[GoodEvent], repeated: u64) -> Self {
        let mut expected: FxHashMap<(String, i64), u64> = FxHashMap::default();
        for event in sent {
            *expected.entry((event.uuid().to_string(), event.timestamp_ms())).or_default() += 1;
        }
        let mut comparison = Self { repeated, ..Self::default() };
        for event in received {
            match expected.get_mut(&(event.uuid.clone(), event.timestamp)) {
                None => comparison.unknown += 1,
                Some(0) => comparison.repeated += 1,
                Some(left) => {
                    *left -= 1;
                    comparison.matched += 1;
                }
            }
        }
        comparison.missing = expected.into_values().sum();
        comparison
    }
}

/// Visitors count once, and a purchase counts for the variation that its visitor saw.
fn rows(received: &[GoodEvent]) -> Vec<Row> {
    let seen = |event: &'_ GoodEvent| Some((event.visitor_id.clone(), event.variation.clone()?));
    let variation_of: FxHashMap<String, String> = received.iter().filter_map(seen).collect();
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for variation in variation_of.values() {
        let row = rows.entry(variation).or_default();
        row.variation.clone_from(variation);
        row.visitors += 1;
    }
    let mut buyers = FxHashSet::default();
    for event in received.iter().filter(|event| event.key == play::GOAL) {
        let Some(variation) = variation_of.get(&event.visitor_id) else { continue };
        let row = rows.entry(variation).or_default();
        row.revenue += event.revenue.unwrap_or_default();
        row.conversions += u64::from(buyers.insert(&event.visitor_id));
    }
    rows.into_values().map(Row::with_rate).collect()
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn with_rate(mut self) -> Self {
        self.rate = self.conversions as f64 / self.visitors.max(1) as f64;
        self
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16}{:>10}{:>10}{:>10}{:>14}", "variation", "visitors", "buyers", "rate", "revenue")?;
        for row in &self.variations {
            let rate = format!("{:.1} %", row.rate * 100.0);
            #[expect(clippy::cast_precision_loss, reason = "money for people")]
            let revenue = format!("{:.2}", row.revenue as f64 / 100.0);
            let (visitors, buyers) = (grouped(row.visitors), grouped(row.conversions));
            writeln!(f, "{:<16}{visitors:>10}{buyers:>10}{rate:>10}{revenue:>14}", row.variation)?;
        }
        writeln!(f, "\n{}", self.sent)?;
        writeln!(f, "received  {}", self.received)?;
        self.verdict(f)
    }
}

impl Books {
    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { missing, unknown, repeated, .. } = self.comparison;
        if self.agree {
            let events = counted(self.events, "event", "events");
            write!(f, "Both sides agree: of {events} sent, each was received")?;
            match repeated {
                0 => write!(f, " exactly once."),
                _ => write!(f, "; {} came again after the kill, under the same uuid.", grouped(repeated)),
            }
        } else {
            write!(
                f,
                "The sides do not agree: {} missing, {} unknown, {} repeated.",
                grouped(missing),
                grouped(unknown),
                grouped(repeated)
            )
        }
    }
}
