//! Counts events into a summary, in little memory for each.

use std::collections::BTreeMap;

use posthaste::{ProjectConfig, judge::ProblemKind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{CONVERSIONS_MIN, Conversion, Experiment, ProblemCount, Sdk, VISITORS_MIN, Variation};
use crate::{Verdict, store::layout::Field, taken::Hashes, told::Told};

/// Variations and keys of conversions that are told apart; of more only the first.
const NAMES_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Tally {
    hashes: Hashes,
    /// The numbers of experiments' variations.
    shown: FxHashMap<String, FxHashMap<String, u32>>,
    about: Vec<About>,
    keys: FxHashMap<String, u32>,
    impressions: Vec<Impression>,
    conversions: Vec<Done>,
    /// By name and version, each with the request that came last.
    sdks: FxHashMap<String, FxHashMap<String, (Sdk, u64)>>,
    sdk_count: usize,
    problems: BTreeMap<ProblemKind, ProblemCount>,
}

/// What is told of a variation besides its counts.
#[derive(Debug)]
struct About {
    campaign_id: String,
    flag: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Impression {
    visitor: u64,
    shown: u32,
    timestamp: i64,
}

#[derive(Debug, Clone, Copy)]
struct Done {
    visitor: u64,
    key: u32,
    timestamp: i64,
    revenue: i64,
    value: f64,
}

impl Tally {
    pub(super) fn new(hashes: Hashes) -> Self {
        Self { hashes, ..Self::default() }
    }

    pub(super) fn note(&mut self, told: &Told<'_>) {
        self.note_sdk(told);
        self.note_problems(told);
        if told.view.verdict() == Verdict::Bad {
            return;
        }
        let visitor = self.hashes.visitor(told.view.session(), told.field(Field::Visitor).as_bytes());
        let timestamp = told.head.timestamp.unwrap_or_default();
        if told.head.is_impression {
            if let Some(shown) = self.shown(told) {
                self.impressions.push(Impression { visitor, shown, timestamp });
            }
        } else if let Some(key) = number(&mut self.keys, told.conversion()) {
            let (revenue, value) =
                (told.head.revenue.unwrap_or_default(), told.head.value.unwrap_or_default());
            self.conversions.push(Done { visitor, key, timestamp, revenue, value });
        }
    }

    fn shown(&mut self, told: &Told<'_>) -> Option<u32> {
        let (experiment, variation) = (told.field(Field::Experiment), told.field(Field::Variation));
        if let Some(number) = self.shown.get(experiment).and_then(|variations| variations.get(variation)) {
            return Some(*number);
        }
        let next = self.about.len();
        let number = u32::try_from(next).ok().filter(|_| next < NAMES_MAX && !experiment.is_empty())?;
        self.shown.entry(experiment.to_owned()).or_default().insert(variation.to_owned(), number);
        let campaign_id = told.field(Field::Campaign).to_owned();
        self.about.push(About { campaign_id, flag: told.optional(Field::Flag) });
        Some(number)
    }

    fn note_sdk(&mut self, told: &Told<'_>) {
        let (envelope, request) = (&told.view.shape().envelope, told.view.request().id);
        let Some((sdk, last)) = self.sdk(&envelope.client_name, &envelope.client_version) else { return };
        sdk.requests += u64::from(*last != request);
        *last = request;
        sdk.events += 1;
        sdk.bad += u64::from(told.view.verdict() == Verdict::Bad);
        sdk.repeats += u64::from(told.view.entry.repeats());
    }

    fn sdk(&mut self, name: &str, version: &str) -> Option<&mut (Sdk, u64)> {
        if self.sdks.get(name).is_none_or(|versions| !versions.contains_key(version)) {
            if self.sdk_count >= NAMES_MAX {
                return None;
            }
            self.sdk_count += 1;
            let (of, name, version) = (self.sdks.entry(name.to_owned()), name.to_owned(), version.to_owned());
            let sdk = Sdk { name, version: version.clone(), requests: 0, events: 0, bad: 0, repeats: 0 };
            of.or_default().insert(version, (sdk, 0));
        }
        self.sdks.get_mut(name)?.get_mut(version)
    }

    /// Events come newest first: the newest tells of all, mostly the one that is being looked for.
    fn note_problems(&mut self, told: &Told<'_>) {
        for problem in told.view.problems() {
            let newest = || ProblemCount {
                kind: problem.kind,
                severity: problem.severity,
                count: 0,
                problem: problem.problem.clone(),
                fix: problem.fix.clone(),
                path: problem.path.clone(),
                example: told.view.id(),
            };
            self.problems.entry(problem.kind).or_insert_with(newest).count += 1;
        }
    }

    /// Those with the most events first.
    pub(super) fn sdks(&mut self) -> Vec<Sdk> {
        let mut all: Vec<_> = std::mem::take(&mut self.sdks)
            .into_values()
            .flat_map(FxHashMap::into_values)
            .map(|(sdk, _)| sdk)
            .collect();
        all.sort_by(|a, b| {
            b.events.cmp(&a.events).then_with(|| (&a.name, &a.version).cmp(&(&b.name, &b.version)))
        });
        all
    }

    /// The most frequent first.
    pub(super) fn problems(&mut self) -> Vec<ProblemCount> {
        let mut all: Vec<_> = std::mem::take(&mut self.problems).into_values().collect();
        all.sort_by_key(|problem| std::cmp::Reverse(problem.count));
        all
    }

    pub(super) fn experiments(mut self, config: Option<&ProjectConfig>) -> Vec<Experiment> {
        self.impressions.sort_unstable();
        let mut counts = vec![Counts::default(); self.about.len()];
        for impression in &self.impressions {
            if let Some(counts) = of(&mut counts, impression.shown) {
                counts.impressions += 1;
            }
        }
        // The earliest of each visitor and variation stands first.
        self.impressions.dedup_by_key(|one| (one.visitor, one.shown));
        for impression in &self.impressions {
            if let Some(counts) = of(&mut counts, impression.shown) {
                counts.visitors += 1;
            }
        }
        self.credit(&mut counts);
        self.told(&counts, config)
    }

    /// Counts each conversion for the variations that its visitor was shown no later.
    fn credit(&mut self, counts: &mut [Counts]) {
        self.conversions.sort_unstable_by_key(|done| (done.visitor, done.key));
        let mut before = FxHashSet::default();
        let mut visitor_and_key = None;
        for done in &self.conversions {
            if visitor_and_key != Some((done.visitor, done.key)) {
                visitor_and_key = Some((done.visitor, done.key));
                before.clear();
            }
            let first = self.impressions.partition_point(|one| one.visitor < done.visitor);
            let own = self.impressions.iter().skip(first).take_while(|one| one.visitor == done.visitor);
            for shown in own.filter(|one| one.timestamp <= done.timestamp).map(|one| one.shown) {
                let Some(counts) = of(counts, shown) else { continue };
                let sum = counts.conversions.entry(done.key).or_default();
                sum.count += 1;
                sum.visitors += u64::from(before.insert(shown));
                sum.revenue = sum.revenue.saturating_add(done.revenue);
                sum.value += done.value;
            }
        }
    }

    fn told(&self, counts: &[Counts], config: Option<&ProjectConfig>) -> Vec<Experiment> {
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort();
        let mut places: Vec<_> = self
            .shown
            .iter()
            .flat_map(|(experiment, variations)| {
                variations
                    .iter()
                    .map(move |(variation, number)| (experiment.as_str(), variation.as_str(), *number))
            })
            .collect();
        places.sort_unstable();
        let visitors = self.visitors_of_experiments(&places);
        let mut experiments: Vec<Experiment> = Vec::new();
        for (experiment_id, variation_id, number) in places {
            let at = usize::try_from(number).unwrap_or(usize::MAX);
            let (Some(counts), Some(about)) = (counts.get(at), self.about.get(at)) else { continue };
            let known = config.and_then(|config| config.experiment_by_id(experiment_id));
            if experiments.last().is_none_or(|last| last.experiment_id != experiment_id) {
                let (visitors, mixed) = visitors.get(experiment_id).copied().unwrap_or_default();
                experiments.push(Experiment {
                    experiment_id: experiment_id.to_owned(),
                    experiment: known.map(|experiment| experiment.key().to_owned()),
                    campaign_id: about.campaign_id.clone(),
                    flag: about.flag.clone(),
                    visitors,
                    mixed,
                    too_few: false,
                    variations: Vec::new(),
                });
            }
            let Some(experiment) = experiments.last_mut() else { continue };
            experiment.variations.push(Variation {
                variation_id: variation_id.to_owned(),
                variation: known
                    .and_then(|experiment| experiment.variation_by_id(variation_id))
                    .map(|variation| variation.key().to_owned()),
                visitors: counts.visitors,
                impressions: counts.impressions,
                conversions: counts.told(&keys),
            });
        }
        for experiment in &mut experiments {
            experiment.even_out();
        }
        experiments
    }

    /// Visitors of each experiment, and those of them that were shown two variations.
    fn visitors_of_experiments<'a>(&self, places: &[(&'a str, &str, u32)]) -> FxHashMap<&'a str, (u64, u64)> {
        let mut experiments = vec![""; self.about.len()];
        for (experiment, _, number) in places {
            if let Some(place) = usize::try_from(*number).ok().and_then(|at| experiments.get_mut(at)) {
                *place = experiment;
            }
        }
        let mut visitors: FxHashMap<&str, (u64, u64)> = FxHashMap::default();
        for own in self.impressions.chunk_by(|a, b| a.visitor == b.visitor) {
            let mut seen: Vec<_> = own
                .iter()
                .filter_map(|one| experiments.get(usize::try_from(one.shown).ok()?).copied())
                .collect();
            seen.sort_unstable();
            for variations in seen.chunk_by(|a, b| a == b) {
                let Some(experiment) = variations.first() else { continue };
                let (all, mixed) = visitors.entry(experiment).or_default();
                *all += 1;
                *mixed += u64::from(variations.len() > 1);
            }
        }
        visitors
    }
}

#[derive(Debug, Clone, Default)]
struct Counts {
    visitors: u64,
    impressions: u64,
    conversions: FxHashMap<u32, Sum>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    visitors: u64,
    count: u64,
    revenue: i64,
    value: f64,
}

impl Counts {
    #[expect(clippy::cast_precision_loss, reason = "a share of fewer than 2^52 visitors")]
    fn told(&self, keys: &[(&String, &u32)]) -> Vec<Conversion> {
        let told = |(key, number): &(&String, &u32)| {
            let Sum { visitors, count, revenue, value } = *self.conversions.get(*number)?;
            let rate = if self.visitors == 0 { 0.0 } else { visitors as f64 / self.visitors as f64 };
            Some(Conversion { key: (*key).clone(), visitors, count, rate, revenue, value })
        };
        keys.iter().filter_map(told).collect()
    }
}

impl Experiment {
    /// Each variation lists the same conversions, so that they can stand side by side; and whether they are enough.
    fn even_out(&mut self) {
        let mut keys: Vec<_> = self
            .variations
            .iter()
            .flat_map(|variation| &variation.conversions)
            .map(|one| one.key.clone())
            .collect();
        keys.sort();
        keys.dedup();
        for variation in &mut self.variations {
            for (at, key) in keys.iter().enumerate() {
                if variation.conversions.get(at).is_none_or(|one| one.key != *key) {
                    let none = Conversion {
                        key: key.clone(),
                        visitors: 0,
                        count: 0,
                        rate: 0.0,
                        revenue: 0,
                        value: 0.0,
                    };
                    variation.conversions.insert(at, none);
                }
            }
        }
        self.too_few = self.variations.iter().any(|variation| {
            variation.visitors < VISITORS_MIN
                || variation.conversions.is_empty()
                || variation.conversions.iter().any(|conversion| conversion.count < CONVERSIONS_MIN)
        });
    }
}

fn of(counts: &mut [Counts], number: u32) -> Option<&mut Counts> {
    counts.get_mut(usize::try_from(number).ok()?)
}

/// The number that a name has; none where there are too many.
fn number(names: &mut FxHashMap<String, u32>, name: &str) -> Option<u32> {
    if let Some(number) = names.get(name) {
        return Some(*number);
    }
    let next = u32::try_from(names.len()).ok().filter(|_| names.len() < NAMES_MAX)?;
    names.insert(name.to_owned(), next);
    Some(next)
}
