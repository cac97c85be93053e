//! Clocks: wall time, this process's CPU time, percentiles.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    error::Error,
    fs,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{RECORD_BYTES, subjects::Subject};

/// Commits that are not counted, until segments and logs are recycled.
const WARM_UP_BYTES: usize = 96 << 20;

/// What one subject does at one batch size.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) records_per_second: f64,
    pub(crate) cpu_micros: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
}

/// Commits batch after batch and measures each.
pub(crate) fn measure(
    subject: &mut dyn Subject,
    batch: usize,
    commits: usize,
) -> Result<Figures, Box<dyn Error>> {
    let records: Vec<Bytes> =
        (0..batch).map(|id| Bytes::from(vec![u8::try_from(id % 251).unwrap_or(0); RECORD_BYTES])).collect();
    let warm_up = (WARM_UP_BYTES / (batch * RECORD_BYTES)).min(commits);
    for _ in 0..warm_up {
        subject.commit(&records)?;
    }
    let (cpu, start) = (cpu_time()?, Instant::now());
    let mut times = Vec::with_capacity(commits);
    for _ in 0..commits {
        let before = Instant::now();
        subject.commit(&records)?;
        times.push(before.elapsed());
    }
    let (wall, cpu) = (start.elapsed(), cpu_time()?.saturating_sub(cpu));
    times.sort_unstable();
    let count = (commits * batch) as f64;
    Ok(Figures {
        records_per_second: count / wall.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / count,
        p50_micros: percentile(&times, 50),
        p99_micros: percentile(&times, 99),
    })
}

/// How long `act` takes.
pub(crate) fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = act();
    (value, start.elapsed())
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// User and system time of this process, in steps of a hundredth of a second.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no process name")?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// The most memory that this process has had resident, in MiB.
pub(crate) fn peak_memory_mib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1_024)
}
