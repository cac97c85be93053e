//! What the tests share: small options, and telling names for records.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use fastrand::Rng;
use posthaste_spool::{Filesystem, Log, Record, SpoolOptions};

/// Segments so small that a few records fill one.
pub(crate) fn small() -> SpoolOptions {
    SpoolOptions::default()
        .segment_bytes(10_240)
        .record_bytes_max(400)
        .size_bytes_max(20 * 10_240)
        .commit_bytes_max(1_000)
        .spare_segments_max(2)
        .cursor_acks_max(5)
}

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/spool")
}

pub(crate) fn open(filesystem: &(impl Filesystem + Clone), options: SpoolOptions) -> Log {
    Log::open_with(Arc::new(filesystem.clone()), dir(), options).expect("a spool opens")
}

/// Everything unacknowledged.
pub(crate) fn read_all(log: &mut Log) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let from = records.last().map_or(0, |record| record.sequence + 1);
        let more = log.read(from, 7, 900).expect("readable");
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

/// A record that tells which one it is, of random length.
pub(crate) fn record(id: u64, rng: &mut Rng) -> Bytes {
    let mut bytes = format!("record {id} ").into_bytes();
    bytes.resize(bytes.len() + rng.usize(..300), b'x');
    bytes.into()
}

/// The id in a record.
pub(crate) fn id_of(bytes: &[u8]) -> u64 {
    let text = std::str::from_utf8(bytes).expect("text");
    text.split(' ').nth(1).expect("an id").parse().expect("a number")
}

/// A number from the environment.
pub(crate) fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A file of the spool in memory.
pub(crate) fn path(name: &str) -> PathBuf {
    dir().join(name)
}

pub(crate) fn name_of(path: &Path) -> String {
    path.strip_prefix(dir()).expect("in the spool").display().to_string()
}
