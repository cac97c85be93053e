//! How fast `posthaste send` delivers a file: read, parsed, delivered, confirmed, the program's start included.

use std::{
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

use crate::process::{Server, Stopwatch};

const EVENTS: &str = include_str!("../../crates/posthaste/tests/vectors/larkspur.events.jsonl");

/// Events a second.
pub(crate) fn measure(
    posthaste: &Path,
    events: usize,
    batch: usize,
    in_flight: usize,
    delay_ms: u64,
) -> std::io::Result<f64> {
    let folder = std::env::temp_dir().join(format!("posthaste-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure_in(&folder, posthaste, events, [batch, in_flight], delay_ms);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure_in(
    folder: &Path,
    posthaste: &Path,
    events: usize,
    [batch, in_flight]: [usize; 2],
    delay_ms: u64,
) -> std::io::Result<f64> {
    let (datafile, input) = (folder.join("datafile.json"), folder.join("events.jsonl"));
    std::fs::write(&datafile, include_str!("../../crates/posthaste/tests/vectors/larkspur.json"))?;
    let mut file = BufWriter::new(std::fs::File::create(&input)?);
    for line in EVENTS.lines().cycle().take(events) {
        writeln!(file, "{line}")?;
    }
    file.into_inner()?.sync_all()?;
    let server = Server::start(delay_ms)?;
    let watch = Stopwatch::start();
    let status = Command::new(posthaste)
        .arg("send")
        .args(["--batch-size", &batch.to_string(), "--in-flight", &in_flight.to_string()])
        .args(["--queue-size", &(batch * in_flight * 4).to_string()])
        .args(["--endpoint", &server.url, "--datafile"])
        .args([&datafile, &input])
        .stdout(Stdio::null())
        .status()?;
    let wall = watch.wall();
    if !status.success() {
        return Err(std::io::Error::other(format!("posthaste send: {status}")));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    Ok(events as f64 / wall.as_secs_f64())
}
