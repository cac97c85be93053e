//! The content of one file: what reads see, what is on disk, and what is on its way there.
//!
//! At a crash the file is what is on disk plus, for every piece of a sector or a page, the first so many of the
//! changes that touch the piece: a piece goes to disk as a whole, as it is at that moment, so a later change never
//! gets there without an earlier one of the same piece. A piece may be torn between one change and the next. The
//! length travels on its own, so what was written may lie behind the end, and what is before the end may read as zeros.

use std::collections::BTreeMap;

use fastrand::Rng;

const SECTOR: usize = 512;
const PAGE: usize = 4096;

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    /// Makes the file at least this long.
    Grow(usize),
    /// Makes the file at most this long.
    Shrink(usize),
}

impl Content {
    /// A file that is on disk.
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), bytes, pending: Vec::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        self.change(Change::Write(offset, data.to_vec()));
    }

    pub(super) fn set_length(&mut self, length: usize) {
        if length < self.bytes.len() {
            self.change(Change::Shrink(length));
        } else if length > self.bytes.len() {
            self.change(Change::Grow(length));
        }
    }

    /// Replaces bytes on the disk itself, whatever else is on its way there.
    pub(super) fn overwrite_durably(&mut self, offset: usize, data: &[u8]) {
        self.change_durably(Change::Write(offset, data.to_vec()));
    }

    /// Sets the length on the disk itself.
    pub(super) fn set_length_durably(&mut self, length: usize) {
        self.change_durably(Change::Shrink(length));
        self.change_durably(Change::Grow(length));
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
        debug_assert_eq!(self.bytes.len(), self.durable.len(), "a synced file is as long as it looks");
    }

    /// Keeps of what is pending only the lengths.
    pub(super) fn forget_pending(&mut self) {
        for change in &mut self.pending {
            if let Change::Write(offset, data) = change {
                *change = Change::Grow(*offset + data.len());
            }
        }
    }

    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let mut bytes = std::mem::take(&mut self.durable);
        let pending = std::mem::take(&mut self.pending);
        survive(&mut bytes, &pending, rng);
        *self = Self::durable(bytes);
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.pending.push(change);
    }

    fn change_durably(&mut self, change: Change) {
        change.apply(&mut self.durable);
        // What is pending comes on top when it is synced, and this must stay the last word.
        self.change(change);
        if self.pending.len() == 1 {
            self.pending.clear();
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        bytes.resize(self.length_after(bytes.len()), 0);
        if let Self::Write(offset, data) = self {
            put(bytes, *offset, data);
        }
    }

    fn length_after(&self, length: usize) -> usize {
        match self {
            Self::Write(offset, data) => length.max(offset + data.len()),
            Self::Grow(to) => length.max(*to),
            Self::Shrink(to) => length.min(*to),
        }
    }
}

fn apply_all(bytes: &mut Vec<u8>, changes: &[Change]) {
    for change in changes {
        change.apply(bytes);
    }
}

fn put(bytes: &mut [u8], offset: usize, data: &[u8]) {
    if let Some(target) = bytes.get_mut(offset..offset + data.len()) {
        target.copy_from_slice(data);
    }
}

/// Applies to `bytes` what survives of `changes`.
fn survive(bytes: &mut Vec<u8>, changes: &[Change], rng: &mut Rng) {
    match rng.u8(..8) {
        0 => {}
        1 => apply_all(bytes, changes),
        2 => survive_in_order(bytes, changes, rng),
        _ => survive_in_pieces(bytes, changes, rng),
    }
}

/// The first so many changes, and the beginning of the next.
fn survive_in_order(bytes: &mut Vec<u8>, changes: &[Change], rng: &mut Rng) {
    let (whole, rest) = changes.split_at(rng.usize(..=changes.len()));
    apply_all(bytes, whole);
    if let Some(Change::Write(offset, data)) = rest.first() {
        let torn = data.get(..rng.usize(..=data.len())).unwrap_or(data);
        Change::Write(*offset, torn.to_vec()).apply(bytes);
    }
}

/// A file that is made shorter gives its blocks back, so nothing written after that can be on disk unless that is.
fn survive_in_pieces(bytes: &mut Vec<u8>, changes: &[Change], rng: &mut Rng) {
    let mut epochs = changes.split_inclusive(|change| matches!(change, Change::Shrink(_))).peekable();
    while let Some(epoch) = epochs.next() {
        let is_last = epochs.peek().is_none() || rng.bool();
        let shrink = epoch.last().filter(|change| matches!(change, Change::Shrink(_)));
        survive_epoch(bytes, epoch, rng, is_last);
        match shrink {
            Some(shrink) if !is_last || rng.bool() => shrink.apply(bytes),
            _ => {}
        }
        if is_last {
            return;
        }
    }
}

/// Applies what survives of changes that make nothing shorter.
fn survive_epoch(bytes: &mut Vec<u8>, changes: &[Change], rng: &mut Rng, is_last: bool) {
    let piece_bytes = if rng.bool() { SECTOR } else { PAGE };
    let growing = || changes.iter().filter(|change| !matches!(change, Change::Shrink(_)));
    let mut lengths = vec![bytes.len()];
    for change in growing() {
        lengths.push(change.length_after(lengths.last().copied().unwrap_or_default()));
    }
    let full = lengths.last().copied().unwrap_or_default();
    let length = if is_last { rng.choice(lengths).unwrap_or(full) } else { full };

    bytes.resize(full, 0);
    let left = touches(growing(), piece_bytes);
    let mut left: BTreeMap<usize, Survivors> = left
        .into_iter()
        .map(|(piece, count)| (piece, Survivors { whole: rng.usize(..=count), torn: rng.u8(..8) == 0 }))
        .collect();
    for change in growing() {
        let Change::Write(offset, data) = change else { continue };
        for (piece, at, part) in pieces(*offset, data, piece_bytes) {
            if let Some(survivors) = left.get_mut(&piece) {
                put(bytes, at, survivors.next(part, rng));
            }
        }
    }
    bytes.truncate(length);
}

/// What becomes of the changes of one piece.
struct Survivors {
    whole: usize,
    /// Whether of the change after these a part survives too.
    torn: bool,
}

impl Survivors {
    fn next<'a>(&mut self, part: &'a [u8], rng: &mut Rng) -> &'a [u8] {
        if let Some(left) = self.whole.checked_sub(1) {
            self.whole = left;
            part
        } else if std::mem::take(&mut self.torn) {
            part.get(..rng.usize(..=part.len())).unwrap_or(part)
        } else {
            &[]
        }
    }
}

/// How many writes touch each piece.
fn touches<'a>(changes: impl Iterator<Item = &'a Change>, piece_bytes: usize) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for change in changes {
        let Change::Write(offset, data) = change else { continue };
        for (piece, ..) in pieces(*offset, data, piece_bytes) {
            *counts.entry(piece).or_default() += 1;
        }
    }
    counts
}

/// Cuts a write where the pieces of the file end: number of the piece, offset in the file, bytes.
fn pieces(offset: usize, data: &[u8], piece_bytes: usize) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let end = offset + data.len();
    let last = end.div_ceil(piece_bytes);
    (offset / piece_bytes..last).filter_map(move |piece| {
        let from = offset.max(piece * piece_bytes);
        let to = end.min((piece + 1) * piece_bytes);
        Some((piece, from, data.get(from - offset..to - offset)?))
    })
}
