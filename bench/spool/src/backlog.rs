//! A large backlog: how long it takes to write, to open (in a process of its own, so that its peak memory is that of
//! opening alone), and to drain.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{error::Error, path::Path, process::Command};

use bytes::Bytes;
use posthaste_spool::{Durability, Spool, SpoolOptions};

use crate::{
    RECORD_BYTES,
    measure::{peak_memory_mib, timed},
};

const BATCH: usize = 1_024;

fn options() -> SpoolOptions {
    SpoolOptions::default().size_bytes_max(1 << 40)
}

pub(crate) fn run(dir: &Path, gigabytes: u64) -> Result<(), Box<dyn Error>> {
    let dir = dir.join("backlog");
    let bytes = gigabytes * 1_000_000_000;
    let (written, time) = timed(|| write(&dir, bytes));
    let records = written?;
    println!("\nbacklog of {gigabytes} GB, {records} records, written in {:.1} s", time.as_secs_f64());
    let status = Command::new(std::env::current_exe()?).arg("--open").arg(&dir).status()?;
    if !status.success() {
        return Err("opening the backlog failed".into());
    }
    let spool = Spool::open(&dir, options())?;
    let (drained, time) = timed(|| drain(&spool));
    let rate = drained? as f64 / time.as_secs_f64();
    println!(
        "drained (read and acknowledged) at {rate:.0} records/s, {:.0} MB/s",
        rate * RECORD_BYTES as f64 / 1e6
    );
    Ok(())
}

fn write(dir: &Path, bytes: u64) -> Result<u64, Box<dyn Error>> {
    let spool = Spool::open(dir, options().durability(Durability::Os))?;
    let records = vec![Bytes::from(vec![7; RECORD_BYTES]); BATCH];
    let mut written = 0;
    while written * (RECORD_BYTES as u64) < bytes {
        spool.add_batch(records.clone(), None)?.wait()?;
        written += BATCH as u64;
    }
    spool.close(std::time::Duration::from_secs(60))?;
    Ok(written)
}

/// Opens a backlog, in a process that does nothing else.
pub(crate) fn open(dir: &Path) -> Result<(), Box<dyn Error>> {
    let (spool, time) = timed(|| Spool::open(dir, options()));
    let records = spool?.len();
    println!(
        "opened {records} records in {:.1} ms, peak memory {} MiB",
        time.as_secs_f64() * 1e3,
        peak_memory_mib()?
    );
    Ok(())
}

fn drain(spool: &Spool) -> Result<u64, Box<dyn Error>> {
    let (mut next, mut drained) = (0, 0);
    loop {
        let read = spool.read(next, BATCH, 4 << 20)?;
        let Some(last) = read.records.last() else { return Ok(drained) };
        next = read.next;
        drained += read.records.len() as u64;
        spool.ack_up_to(last.sequence);
    }
}
