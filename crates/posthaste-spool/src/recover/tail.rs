//! The end of the log: what the last segment holds, and where it goes on.
//!
//! A frame tells how far the log was stored when it was written, so whatever lies before that was stored, and what is
//! missing of it is lost. Only the last commit has nothing behind it. Of that, whole batches are taken: each is whole by
//! its own checksums. The rest is a write that did not finish, and nobody was told that it had.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    batch::Batch,
    format::{
        segment::DATA_START,
        walk::{Frame, Item, Walker},
    },
};

/// What the last segment holds, and where it goes on.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Where the last sound frame ends.
    pub(crate) end: u64,
    /// Every record below this was stored.
    pub(crate) proven: u64,
    /// The number behind the last record found below that.
    pub(crate) last: u64,
    /// The number behind every one that is in a frame.
    pub(crate) high: u64,
    /// Whole batches from `proven` on, each with the number of its first record, and where it is.
    pub(crate) pending: Vec<(u64, Batch, Range<u64>)>,
    /// Records found from `proven` on that are part of no whole batch.
    pub(crate) unfinished: u64,
    /// What else lies there.
    pub(crate) torn: Vec<Range<u64>>,
    /// Bytes behind all of it that may as well have been there before.
    pub(crate) scraps: Vec<Range<u64>>,
    /// The newest metadata that was stored.
    pub(crate) meta: Option<Meta>,
    /// Of some batch that was confirmed, a part is missing.
    is_broken: bool,
    /// The place that the next frame of the batch at hand has, among those that were confirmed.
    next_place: u32,
    /// The segment begins as one should: where it has metadata from before, that was met.
    begins_sound: bool,
}

/// Metadata as it was found.
#[derive(Debug)]
pub(crate) struct Meta {
    /// The number of the record behind it.
    pub(crate) before: u64,
    /// Where its frame ends.
    pub(crate) end: u64,
    /// It came without records.
    pub(crate) is_alone: bool,
    pub(crate) bytes: Bytes,
}

impl Meta {
    fn of(frame: Frame) -> Self {
        Self {
            before: frame.head.sequence,
            end: end(&frame),
            is_alone: frame.head.place == 0,
            bytes: frame.payload,
        }
    }
}

impl Tail {
    /// Of a log without a segment.
    pub(crate) fn without_segment(known: u64) -> Self {
        Self { proven: known, last: known, high: known, ..Self::default() }
    }

    /// Walks through the last segment, whose first record is `first`. Every record below `known` was stored, and every
    /// frame before `known_end`.
    pub(crate) fn walk(walker: &mut Walker, first: u64, known: u64, known_end: u64) -> Self {
        let proven = first.max(known);
        let mut tail = Self { end: DATA_START, proven, last: first, high: first, ..Self::default() };
        let mut open = Vec::new();
        while let Some(item) = walker.next() {
            if let Item::Frame(frame) = &item {
                tail.begins_sound |= frame.offset == DATA_START;
                tail.end = end(frame);
                tail.proven = tail.proven.max(frame.head.synced());
                tail.high = tail.high.max(behind(frame));
            }
            open.push(item);
            tail.confirm(&mut open, known_end);
        }
        tail.conclude(open);
        tail
    }

    /// Whether nothing is missing in front of its end.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_broken && self.unfinished == 0 && self.torn.is_empty()
    }

    /// Whether metadata from before this segment may be missing in it.
    pub(crate) fn may_lack_meta(&self) -> bool {
        self.meta.is_none() && !self.begins_sound
    }

    /// The last metadata of a segment that was stored before the record `bound`.
    pub(crate) fn last_meta(walker: &mut Walker, bound: u64) -> Option<Meta> {
        let mut meta = None;
        while let Some(item) = walker.next() {
            if let Item::Frame(frame) = item
                && frame.head.is_meta
                && frame.head.sequence <= bound
            {
                // Where it stands says nothing: it is another segment.
                meta = Some(Meta { end: u64::MAX, ..Meta::of(frame) });
            }
        }
        meta
    }

    /// Lets go of everything up to the last frame that was stored for certain.
    fn confirm(&mut self, open: &mut Vec<Item>, known_end: u64) {
        let is_stored = |item: &Item| match item {
            Item::Frame(frame) if end(frame) <= known_end => true,
            Item::Frame(frame) if frame.head.is_meta => {
                frame.head.sequence <= self.proven && frame.head.place > 0
            }
            Item::Frame(frame) => frame.head.sequence < self.proven,
            Item::Gap(_) => false,
        };
        let Some(at) = open.iter().rposition(is_stored) else { return };
        for item in open.drain(..=at) {
            let Item::Frame(frame) = item else { continue };
            let is_whole = frame.head.place == 0 || frame.head.place == self.next_place;
            self.is_broken |= !is_whole;
            self.next_place = if is_whole { frame.head.place + 1 } else { 0 };
            if frame.head.is_meta {
                // That of a batch that was found to be unfinished, and left, speaks of records that are not there.
                if is_whole {
                    self.meta = Some(Meta::of(frame));
                }
            } else {
                self.last = self.last.max(behind(&frame));
            }
        }
    }

    /// Tells whole batches from unfinished ones. Behind one that is unfinished, metadata speaks of records that are not
    /// there, and so do the records that came with it.
    fn conclude(&mut self, open: Vec<Item>) {
        let mut batch: Vec<Frame> = Vec::new();
        let mut is_broken = false;
        for item in open {
            let frame = match item {
                Item::Gap(gap) if gap.is_scrap => {
                    self.scraps.extend(gap.pieces);
                    continue;
                }
                Item::Gap(gap) => {
                    // What was stored and is damaged tells nothing of the last write.
                    is_broken |= gap.missing.is_empty() || gap.missing.end > self.proven;
                    self.give_up(&mut batch);
                    self.torn.extend(gap.pieces);
                    continue;
                }
                Item::Frame(frame) => frame,
            };
            if !follows(&batch, &frame) {
                is_broken |= !batch.is_empty();
                self.give_up(&mut batch);
            }
            if frame.head.place as usize != batch.len() {
                is_broken = true;
                self.give_up(&mut vec![frame]);
                continue;
            }
            let count = frame.head.frames as usize;
            batch.push(frame);
            if batch.len() == count {
                self.take(&mut batch, is_broken);
            }
        }
        self.give_up(&mut batch);
    }

    fn take(&mut self, frames: &mut Vec<Frame>, is_broken: bool) {
        if is_broken && frames.iter().any(|frame| frame.head.is_meta) {
            return self.give_up(frames);
        }
        let first = frames.first().map_or(self.high, |frame| frame.head.sequence);
        let piece = frames.first().map_or(0, |frame| frame.offset)..frames.last().map_or(0, end);
        let mut batch = Batch::default();
        for frame in frames.drain(..) {
            if frame.head.is_meta {
                batch.meta = Some(frame.payload);
            } else {
                batch.records.push(frame.payload);
            }
        }
        if batch.records.is_empty() && first < self.proven {
            // Records behind it were stored, so it was.
            let bytes = batch.meta.unwrap_or_default();
            self.meta = Some(Meta { before: first, end: piece.end, is_alone: true, bytes });
            return;
        }
        self.pending.push((first, batch, piece));
    }

    fn give_up(&mut self, frames: &mut Vec<Frame>) {
        self.unfinished += frames.drain(..).filter(|frame| !frame.head.is_meta).count() as u64;
    }
}

/// Whether a frame may be the next one of this batch.
fn follows(batch: &[Frame], frame: &Frame) -> bool {
    batch.last().is_none_or(|last| {
        last.head.frames == frame.head.frames
            && last.head.place + 1 == frame.head.place
            && behind(last) == frame.head.sequence
    })
}

/// Where this frame ends.
fn end(frame: &Frame) -> u64 {
    frame.offset + frame.head.size()
}

/// The number behind this frame.
fn behind(frame: &Frame) -> u64 {
    frame.head.sequence + u64::from(!frame.head.is_meta)
}
