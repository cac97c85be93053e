//! Measures the spool on this machine's disk, beside a bare loop of writes and syncs and beside a database.
//!
//! Run it with `cargo run --release -p posthaste-bench-spool -- --dir /a/folder/on/the/disk`.

#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod backlog;
mod measure;
mod subjects;

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use clap::Parser;

use crate::{
    measure::{Figures, measure},
    subjects::{Bare, SpoolSubject, Sqlite, Subject},
};

/// Bytes of a record.
const RECORD_BYTES: usize = 1_000;

/// Measures the spool beside the bare disk and a database.
#[derive(Debug, Parser)]
struct Args {
    /// A folder on the disk to be measured; what is made in it is deleted.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Size of the backlog to drain and to open.
    #[arg(long, default_value_t = 1)]
    backlog_gb: u64,
    /// Commits measured at each batch size, at most.
    #[arg(long, default_value_t = 3_000)]
    commits: usize,
    /// Only compares the spool with a database at one record a commit, and says how in a line of JSON.
    #[arg(long)]
    lone: bool,
    /// Only opens the backlog in this folder and says how that went.
    #[arg(long, hide = true)]
    open: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let Some(dir) = &args.open {
        return backlog::open(dir);
    }
    let dir = tempfile::tempdir_in(&args.dir)?;
    if args.lone {
        return lone(dir.path(), args.commits);
    }
    println!(
        "{:<34} {:>6} {:>12} {:>10} {:>10} {:>10} {:>7}",
        "", "batch", "records/s", "CPU µs", "p50 µs", "p99 µs", "ratio"
    );
    for batch in [1, 64, 512] {
        compare(dir.path(), batch, args.commits.min(400_000 / batch))?;
    }
    backlog::run(dir.path(), args.backlog_gb)
}

/// One batch size, all subjects; the ratio is to the first, the bare loop over a preallocated file.
fn compare(dir: &Path, batch: usize, commits: usize) -> Result<(), Box<dyn Error>> {
    let subjects: Vec<(&str, Box<dyn Subject>)> = vec![
        ("write + fdatasync, preallocated", Box::new(Bare::preallocated(dir)?)),
        ("write + fdatasync, growing", Box::new(Bare::growing(dir)?)),
        ("spool, drained", Box::new(SpoolSubject::drained(&dir.join("drained"))?)),
        ("spool, backlog growing", Box::new(SpoolSubject::growing(&dir.join("growing"))?)),
        ("SQLite WAL, synchronous=FULL", Box::new(Sqlite::open(dir)?)),
    ];
    let mut floor = None;
    for (name, mut subject) in subjects {
        let figures = measure(subject.as_mut(), batch, commits)?;
        let floor = *floor.get_or_insert(figures.records_per_second);
        print(name, batch, &figures, figures.records_per_second / floor);
    }
    Ok(())
}

/// Records a second of a spool that is drained as it fills, and by how much that is more than the database's; the same
/// for a backlog that grows.
fn lone(dir: &Path, commits: usize) -> Result<(), Box<dyn Error>> {
    let rate =
        |subject: &mut dyn Subject| Ok::<_, Box<dyn Error>>(measure(subject, 1, commits)?.records_per_second);
    let drained = rate(&mut SpoolSubject::drained(&dir.join("drained"))?)?;
    let sqlite = rate(&mut Sqlite::open(dir)?)?;
    let growing = rate(&mut SpoolSubject::growing(&dir.join("growing"))?)?;
    println!(
        r#"{{"records_per_second": {drained}, "over_sqlite": {}, "growing_over_sqlite": {}}}"#,
        drained / sqlite,
        growing / sqlite
    );
    Ok(())
}

fn print(name: &str, batch: usize, figures: &Figures, ratio: f64) {
    let Figures { records_per_second, cpu_micros, p50_micros, p99_micros } = figures;
    println!(
        "{name:<34} {batch:>6} {records_per_second:>12.0} {cpu_micros:>10.2} {p50_micros:>10.0} {p99_micros:>10.0} {ratio:>7.2}"
    );
}
