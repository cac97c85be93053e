//! How fast `posthaste send` delivers a file: read, parsed, delivered, confirmed, the program's start included.

use std::{
    fs::File,
    io::{BufWriter, Error, Result, Write},
    path::Path,
    process::Command,
};

use crate::{
    compare::Deliver,
    process::{Figures, Server, Stopwatch, figures, real},
};

const EVENTS: &str = include_str!("../../crates/posthaste/tests/vectors/larkspur.events.jsonl");

/// Events a second. The file holds as many as are sent in about `seconds`.
pub(crate) fn measure(posthaste: &Path, work: &Path, case: &Deliver, seconds: f64) -> Result<Figures> {
    let &Deliver { batch, in_flight, delay_ms } = case;
    let at_most = (batch * in_flight * 1_000).checked_div(delay_ms).unwrap_or(usize::MAX);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count for people")]
    let count = (seconds * real(at_most.min(500_000) as u64)) as usize;
    let (datafile, input) = (work.join("datafile.json"), work.join("send.jsonl"));
    let mut file = BufWriter::new(File::create(&input)?);
    for line in EVENTS.lines().cycle().take(count) {
        writeln!(file, "{line}")?;
    }
    file.into_inner()?.sync_all()?;
    let server = Server::start(delay_ms)?;
    let watch = Stopwatch::start();
    let output = Command::new(posthaste)
        .arg("send")
        .args(["--batch-size", &batch.to_string(), "--in-flight", &in_flight.to_string()])
        .args(["--queue-size", &(batch * in_flight * 4).to_string()])
        .args(["--endpoint", &server.url, "--datafile"])
        .args([&datafile, &input])
        .output()?;
    let wall = watch.wall().as_secs_f64();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("posthaste send: {}: {}", output.status, complaint.trim())));
    }
    Ok(figures([("per_second", real(count as u64) / wall)]))
}
