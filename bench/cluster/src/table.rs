//! What came out, as a table in markdown: medians of the rounds, and ratios of what stands in one round.

use std::io::{Result, Write as _};

use crate::{
    bench::Round,
    work::{Case, Sample},
};

/// Each row, and what it is a share of.
const ROWS: [(Case, &str, Option<Case>, Option<Case>); 8] = [
    (Case::BarePublish, "bare publish", None, None),
    (Case::BarePublishWithHeaders, "bare publish, the library's headers", Some(Case::BarePublish), None),
    (
        Case::QueueAdd,
        "`JetStreamQueue`, add until the receipt",
        Some(Case::BarePublish),
        Some(Case::BarePublishWithHeaders),
    ),
    (Case::SpoolAdd, "`SpoolQueue`, add until the receipt", Some(Case::BarePublish), None),
    (Case::BareAck, "bare fetch and ack", None, None),
    (Case::BareAckConfirmed, "bare fetch and confirmed ack", Some(Case::BareAck), None),
    (
        Case::QueueSettle,
        "`JetStreamQueue`, lease and settle",
        Some(Case::BareAck),
        Some(Case::BareAckConfirmed),
    ),
    (Case::Pipeline, "pipeline: accepted, and delivered", None, None),
];

/// The lines of one cluster and one size of requests.
pub(crate) fn rows(servers: usize, batch: usize, rounds: &[Round]) -> Vec<String> {
    let line = |(case, name, limit, same): (Case, &str, Option<Case>, Option<Case>)| {
        let of = |what: &dyn Fn(&Sample) -> f64| {
            median(rounds.iter().filter_map(|round| Some(what(find(round, case)?))))
        };
        let events = f64::from(u32::try_from(batch).unwrap_or(u32::MAX));
        let rate = of(&Sample::per_second);
        format!(
            "| {servers} | {batch} | {name} | {:.0} | {:.0} | {:.2} | {} | {} |",
            rate,
            rate * events,
            of(&Sample::cpu_of_request) / events * 1e6,
            share(rounds, case, limit),
            share(rounds, case, same),
        )
    };
    ROWS.into_iter().map(line).collect()
}

pub(crate) fn print(rows: &[String]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "| servers | batch | what | requests/s | events/s | CPU s a million events | of bare | of bare, same work |\n\
         |---|---|---|---|---|---|---|---|"
    )?;
    rows.iter().try_for_each(|row| writeln!(out, "{row}"))
}

/// Median and range of what the rate is of another's, round by round.
fn share(rounds: &[Round], case: Case, over: Option<Case>) -> String {
    let Some(over) = over else { return String::new() };
    let share = |round: &Round| Some(find(round, case)?.per_second() / find(round, over)?.per_second());
    let mut shares: Vec<f64> = rounds.iter().filter_map(share).collect();
    shares.sort_by(f64::total_cmp);
    match (shares.first(), shares.last()) {
        (Some(least), Some(most)) => format!("{:.2} ({least:.2}–{most:.2})", median(shares.iter().copied())),
        _ => String::new(),
    }
}

fn find(round: &Round, case: Case) -> Option<&Sample> {
    round.iter().find(|(other, _)| *other == case).map(|(_, sample)| sample)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
