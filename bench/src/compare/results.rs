//! What was measured: the samples of each case, peer and metric, and what follows from them.

use std::fs;

use serde::Serialize;

use super::{
    Arguments,
    case::Case,
    peer::{Answer, OURS, Peer},
};
use crate::process::real;

/// All of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) command_line: String,
    pub(crate) about: String,
    pub(crate) machine: String,
    /// Name and version.
    pub(crate) peers: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
    pub(crate) left_out: Vec<LeftOut>,
    #[serde(skip)]
    cases: Vec<(String, Case)>,
}

/// What one peer made of one thing, round by round.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) metric: String,
    pub(crate) peer: &'static str,
    pub(crate) samples: Vec<f64>,
}

/// Work that a peer does not do.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct LeftOut {
    pub(crate) case: String,
    pub(crate) peer: &'static str,
    pub(crate) reason: String,
}

impl Results {
    pub(crate) fn new(arguments: &Arguments, peers: &[Peer]) -> Self {
        Self {
            command_line: arguments.command_line.clone(),
            about: arguments.about.clone(),
            machine: machine(),
            peers: peers.iter().map(|peer| (peer.name, peer.version.clone())).collect(),
            rows: Vec::new(),
            left_out: Vec::new(),
            cases: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, case: &Case, peer: &Peer, answer: Answer) {
        let name = case.to_string();
        if self.cases.iter().all(|(known, _)| *known != name) {
            self.cases.push((name.clone(), case.clone()));
        }
        match answer {
            Answer::Figures(figures) => {
                for (metric, value) in figures {
                    self.add_sample(&name, &metric, peer.name, value);
                }
            }
            Answer::Without(reason) => {
                let left_out = LeftOut { case: name, peer: peer.name, reason };
                if !self.left_out.contains(&left_out) {
                    self.left_out.push(left_out);
                }
            }
        }
    }

    fn add_sample(&mut self, case: &str, metric: &str, peer: &'static str, value: f64) {
        let known = |row: &&mut Row| row.case == case && row.metric == metric && row.peer == peer;
        if let Some(row) = self.rows.iter_mut().find(known) {
            row.samples.push(value);
        } else {
            let (case, metric) = (case.to_owned(), metric.to_owned());
            self.rows.push(Row { case, metric, peer, samples: vec![value] });
        }
    }

    /// What follows from two figures of one round: what threads cost each other, and how near a slow server's limit is.
    pub(crate) fn derive(&mut self) {
        let peers: Vec<&'static str> = self.peers.iter().map(|(name, _)| *name).collect();
        for (name, case) in self.cases.clone() {
            for peer in &peers {
                let derived = match &case {
                    Case::Enqueue { threads } if *threads > 1 => {
                        ("cpu_over_alone", self.over_alone(&name, peer))
                    }
                    Case::Deliver(how) if how.delay_ms > 0 => {
                        let limit = real((how.in_flight * how.batch * 1_000 / how.delay_ms) as u64);
                        let rates = self.samples(&name, "per_second", peer);
                        ("share_of_limit", rates.iter().map(|rate| rate / limit).collect())
                    }
                    _ => continue,
                };
                for value in derived.1 {
                    self.add_sample(&name, derived.0, peer, value);
                }
            }
        }
    }

    fn over_alone(&self, name: &str, peer: &str) -> Vec<f64> {
        let alone = Case::Enqueue { threads: 1 }.to_string();
        let (together, alone) = (self.samples(name, "cpu_ns", peer), self.samples(&alone, "cpu_ns", peer));
        together.iter().zip(alone).map(|(together, alone)| together / alone).collect()
    }

    /// Round by round; none where there are none.
    pub(crate) fn samples(&self, case: &str, metric: &str, peer: &str) -> &[f64] {
        let row = self.rows.iter().find(|row| row.case == case && row.metric == metric && row.peer == peer);
        row.map_or(&[], |row| &row.samples)
    }

    /// In the order of the table.
    pub(crate) fn cases(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(|(name, _)| name.as_str())
    }

    /// The last line of a run: each figure that there must be counts as passed.
    pub(crate) fn summary(&self) -> String {
        let is_good = |row: &&Row| row.samples.iter().all(|value| value.is_finite() && *value > 0.0);
        let (good, all) = (self.rows.iter().filter(is_good).count(), self.rows.len());
        format!("bench: {good} passed, {} failed", all - good)
    }
}

/// Median, least and most.
pub(crate) fn spread(samples: &[f64]) -> Option<[f64; 3]> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let lower = if sorted.len().is_multiple_of(2) { *sorted.get(middle - 1)? } else { upper };
    Some([f64::midpoint(lower, upper), *sorted.first()?, *sorted.last()?])
}

fn machine() -> String {
    let line = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':'));
        found.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kib: u64 = line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = line("/proc/cpuinfo", "model name");
    format!("{cores} cores ({model}), {} GiB of memory, Linux {}", kib >> 20, kernel.trim())
}

/// Whose figures are compared with whose: ours come first.
pub(crate) fn others(results: &Results) -> impl Iterator<Item = &'static str> {
    results.peers.iter().map(|(name, _)| *name).filter(|name| *name != OURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_least_and_most() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some([2.0, 1.0, 3.0]));
        assert_eq!(spread(&[4.0, 1.0]), Some([2.5, 1.0, 4.0]));
        assert_eq!(spread(&[]), None);
    }
}
