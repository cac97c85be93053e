//! Reads the format on its own, from the table in the crate's documentation: what the tests expect of a damaged spool
//! comes from the bytes that are there, never from the code under test.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use posthaste_spool::MemoryFilesystem;

pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

const DATA_START: usize = 4_096;
const HEAD: usize = 32;

/// A sound frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) offset: usize,
    pub(crate) sequence: u64,
    pub(crate) is_meta: bool,
    pub(crate) place: u32,
    pub(crate) frames: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn end(&self) -> usize {
        (self.offset + HEAD + self.payload.len()).next_multiple_of(8)
    }
}

/// A segment by its name.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) frames: Vec<Frame>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Every sound frame of a segment, wherever it is.
pub(crate) fn frames(spool: u64, number: u64, bytes: &[u8]) -> Vec<Frame> {
    let mut found = Vec::new();
    let mut at = DATA_START;
    while at + HEAD <= bytes.len() {
        match frame(spool, number, bytes, at) {
            Some(frame) => {
                at = frame.end();
                found.push(frame);
            }
            None => at += 8,
        }
    }
    found
}

fn frame(spool: u64, number: u64, bytes: &[u8], offset: usize) -> Option<Frame> {
    let head = &bytes[offset..offset + HEAD];
    let length = (u32_at(head, 4) & !(1 << 31)) as usize;
    if offset + HEAD + length > bytes.len() || u32_at(head, 16) >= u32_at(head, 20) {
        return None;
    }
    let mut hasher = crc32fast::Hasher::new();
    for number in [spool, number, offset as u64] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&head[4..]);
    let payload = &bytes[offset + HEAD..offset + HEAD + length];
    (hasher.finalize() == u32_at(head, 0) && crc32fast::hash(payload) == u32_at(head, 28)).then(|| Frame {
        offset,
        sequence: u64_at(head, 8),
        is_meta: u32_at(head, 4) >> 31 == 1,
        place: u32_at(head, 16),
        frames: u32_at(head, 20),
        payload: payload.to_vec(),
    })
}

/// The id of the spool, as most headers say.
pub(crate) fn spool_id(files: &Files, dir: &Path) -> Option<u64> {
    let mut counts = BTreeMap::<u64, usize>::new();
    for (path, bytes) in files {
        if name(path, dir).is_some() && bytes.len() >= 64 && bytes.starts_with(b"PHSPOOL\n") {
            *counts.entry(u64_at(bytes, 16)).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(id, _)| id)
}

/// The number and the first record that a segment's name says.
pub(crate) fn name(path: &Path, dir: &Path) -> Option<(u64, u64)> {
    let name = path.strip_prefix(dir).ok()?.to_str()?;
    let (number, first) = name.strip_prefix("seg-")?.strip_suffix(".log")?.split_once('-')?;
    Some((number.parse().ok()?, first.parse().ok()?))
}

/// All segments by number.
pub(crate) fn segments(files: &Files, dir: &Path, spool: u64) -> Vec<Segment> {
    let mut segments: Vec<Segment> = files
        .iter()
        .filter_map(|(path, bytes)| {
            let (number, first) = name(path, dir)?;
            Some(Segment { number, first, frames: frames(spool, number, bytes) })
        })
        .collect();
    segments.sort_by_key(|segment| segment.number);
    segments
}

/// The records that are held where they count: in the last segment that may hold them.
pub(crate) fn held(segments: &[Segment]) -> BTreeMap<u64, Vec<u8>> {
    let mut held = BTreeMap::new();
    for (index, segment) in segments.iter().enumerate() {
        let bound = segments.get(index + 1).map_or(u64::MAX, |next| next.first);
        let records = segment.frames.iter().filter(|frame| !frame.is_meta);
        for frame in records.filter(|frame| (segment.first..bound).contains(&frame.sequence)) {
            held.insert(frame.sequence, frame.payload.clone());
        }
    }
    held
}

/// A disk with these files.
pub(crate) fn disk_of(files: &Files) -> MemoryFilesystem {
    let disk = MemoryFilesystem::new();
    for (path, bytes) in files {
        disk.put(path, bytes.clone());
    }
    disk
}
