//! The tables for BENCHMARKS.md. The section stands between two markers; everything outside is somebody's own words.

use std::fmt::Write;

use super::{
    peer::OURS,
    plot::Plot,
    results::{Results, others, spread},
};

const BEGIN: &str = "<!-- bench/run writes from here -->";
const END: &str = "<!-- to here -->";

/// Whether more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// Something that is measured.
#[derive(Debug)]
pub(crate) struct Metric {
    /// As peers call it.
    pub(crate) key: &'static str,
    pub(crate) label: &'static str,
    pub(crate) better: Better,
}

/// In the order of the tables.
pub(crate) const METRICS: [Metric; 12] = [
    Metric { key: "ns", label: "ns an event", better: Better::Less },
    Metric { key: "ns_new_memory", label: "ns an event, in memory new to the process", better: Better::Less },
    Metric { key: "cpu_ns", label: "ns of processor an event", better: Better::Less },
    Metric { key: "cpu_over_alone", label: "processor time over that of 1 thread", better: Better::Less },
    Metric { key: "mib_per_million", label: "MiB for a million queued", better: Better::Less },
    Metric { key: "per_second", label: "events/s", better: Better::More },
    Metric { key: "share_of_limit", label: "share of in flight × batch / delay", better: Better::More },
    Metric { key: "cpu_s_per_million", label: "CPU s a million", better: Better::Less },
    Metric { key: "peak_mib", label: "MiB at the peak", better: Better::Less },
    Metric { key: "records_per_second", label: "records/s", better: Better::More },
    Metric { key: "over_sqlite", label: "records/s over SQLite's", better: Better::More },
    Metric { key: "growing_over_sqlite", label: "the same, where the backlog grows", better: Better::More },
];

/// Everything between the markers.
pub(crate) fn section(results: &Results, plots: &[Plot]) -> String {
    let mut out = String::new();
    intro(&mut out, results);
    table(&mut out, results);
    for Plot { name, title, .. } in plots {
        add(&mut out, &format!("![{title}](docs/bench/{name}.svg)"));
    }
    add(&mut out, "");
    list(&mut out, "Where a peer is better", &losses(results), "Nowhere in this run.");
    list(&mut out, "Left out", &left_out(results), "Nothing.");
    out
}

fn intro(out: &mut String, results: &Results) {
    let versions: Vec<String> =
        results.peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let versions = versions.join(", ").replace(" ,", ",");
    add(
        out,
        &format!(
            "`{}`; {}; {}. {}.\n",
            results.command_line,
            results.machine,
            results.about,
            versions.trim()
        ),
    );
    add(
        out,
        "Medians, in brackets the least and the most of all rounds; behind a peer's figure, how many times better\nposthaste's median is.\n",
    );
}

fn table(out: &mut String, results: &Results) {
    let names: Vec<&str> = std::iter::once(OURS).chain(others(results)).collect();
    add(out, &format!("| what | measured in | {} |", names.join(" | ")));
    add(out, &format!("|---|---|{}", "---|".repeat(names.len())));
    for case in results.cases() {
        for metric in &METRICS {
            let cells: Vec<String> = names.iter().map(|name| cell(results, case, metric, name)).collect();
            if cells.iter().any(|cell| cell != "–") {
                add(out, &format!("| {case} | {} | {} |", metric.label, cells.join(" | ")));
            }
        }
    }
    add(out, "");
}

fn cell(results: &Results, case: &str, metric: &Metric, peer: &str) -> String {
    let Some([median, least, most]) = spread(results.samples(case, metric.key, peer)) else {
        return "–".into();
    };
    let figure = format!("{} ({}–{})", number(median), number(least), number(most));
    match advantage(results, case, metric, peer) {
        Some(times) => format!("{figure}, {} ×", number(times)),
        None => figure,
    }
}

/// How many times better ours is than this peer's, by the medians.
pub(crate) fn advantage(results: &Results, case: &str, metric: &Metric, peer: &str) -> Option<f64> {
    let [ours, ..] = spread(results.samples(case, metric.key, OURS))?;
    let [theirs, ..] = spread(results.samples(case, metric.key, peer))?;
    (peer != OURS).then_some(match metric.better {
        Better::Less => theirs / ours,
        Better::More => ours / theirs,
    })
}

fn losses(results: &Results) -> Vec<String> {
    let mut losses = Vec::new();
    for case in results.cases() {
        for metric in &METRICS {
            for peer in others(results) {
                if let Some(times) = advantage(results, case, metric, peer).filter(|times| *times < 1.0) {
                    losses.push(format!("{case}, {}: {peer}, {} ×.", metric.label, number(times)));
                }
            }
        }
    }
    losses
}

/// Each reason of each peer once, with its cases.
fn left_out(results: &Results) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for left_out in &results.left_out {
        let reason = format!("{}: {}", left_out.peer, left_out.reason);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, cases)) => cases.push(&left_out.case),
            None => reasons.push((reason, vec![&left_out.case])),
        }
    }
    let mut lines: Vec<String> =
        reasons.into_iter().map(|(reason, cases)| format!("{reason} ({}).", cases.join("; "))).collect();
    for (peer, how) in [
        ("Go package", "POSTHASTE_BENCH_GO_SDK names no checkout of it, so that it took no part."),
        ("JavaScript SDK", "it took no part."),
        ("Python SDK", "it took no part."),
    ] {
        if others(results).all(|name| name != peer) {
            lines.push(format!("{peer}: {how}"));
        }
    }
    lines
}

fn list(out: &mut String, title: &str, lines: &[String], none: &str) {
    add(out, &format!("{title}:\n"));
    if lines.is_empty() {
        add(out, &format!("- {none}"));
    }
    for line in lines {
        add(out, &format!("- {line}"));
    }
    add(out, "");
}

/// Three digits that count, with commas.
pub(crate) fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn add(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("a string takes everything");
}

/// The text with another section between its markers; `None` where it has no markers.
pub(crate) fn replace(text: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", section.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = format!("# By hand\n{BEGIN}\nold\n{END}\nby hand\n");
        let replaced = replace(&text, "new\n").unwrap();
        assert_eq!(replaced, format!("# By hand\n{BEGIN}\n\nnew\n\n{END}\nby hand\n"));
        assert_eq!(replace(&replaced, "new\n").unwrap(), replaced);
        assert_eq!(replace("no markers", "new"), None);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0.954, 24.66, 375.4, 1_234_567.0].map(number), ["0.95", "24.7", "375", "1,234,567"]);
    }
}
