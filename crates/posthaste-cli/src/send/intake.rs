//! Reads lines and hands them over, on a thread of its own: reading blocks, and a full queue makes it wait.

use std::{
    io::{self, BufRead},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use posthaste::Refusal;
use tokio::sync::oneshot;

use super::{
    keep::Keep,
    pipeline::{NotTaken, Pipeline},
    tracked::{Place, Tracked},
};
use crate::{
    lines::{self, EventMaker, Fault, Line, LineReader, Size},
    output::Output,
    spool::Position,
};

/// Rejected lines that are reported one by one; the others are counted.
pub(crate) const REPORTED_MAX: u64 = 20;

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum End {
    /// There is no more.
    Input,
    /// It was told to.
    Stopped,
    /// An event, and no datafile to look its keys up in.
    NoDatafile,
    /// The input cannot be read any further.
    Unreadable(io::Error),
    /// A line that was refused could not be kept.
    NotKept,
    /// Lines could not be stored in the spool.
    NotStored(Refusal),
}

/// How far reading has come. Shared with whoever wants to know.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Lines that have been dealt with, whatever came of them.
    pub(crate) lines: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) event_lines: AtomicU64,
    pub(crate) batch_lines: AtomicU64,
    pub(crate) rejected: AtomicU64,
    /// Held while a line is dealt with.
    stopped: Mutex<bool>,
}

impl Progress {
    /// Once this has returned, no further line is taken, though the reader may still wait for one.
    pub(crate) fn stop(&self) {
        *self.stopped.lock() = true;
    }
}

pub(crate) struct Intake<R> {
    pub(crate) lines: LineReader<Tracked<R>>,
    /// Where reading began, of earlier runs too.
    pub(crate) start: Position,
    /// Behind the last line that was dealt with.
    pub(crate) place: Place,
    /// `None` without a datafile.
    pub(crate) maker: Option<EventMaker>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) rejects: Option<Arc<Keep>>,
    pub(crate) output: Arc<Output>,
}

impl<R: BufRead + Send + 'static> Intake<R> {
    /// Starts reading. The thread is left to itself: one that waits for a terminal cannot be made to end.
    pub(crate) fn start(mut self) -> io::Result<oneshot::Receiver<End>> {
        let (sender, receiver) = oneshot::channel();
        std::thread::Builder::new().name("intake".to_owned()).spawn(move || {
            let end = self.run();
            let end = self.conclude(end);
            drop(self);
            drop(sender.send(end));
        })?;
        Ok(receiver)
    }

    fn run(&mut self) -> End {
        let progress = Arc::clone(&self.progress);
        loop {
            let size = match self.lines.advance() {
                Ok(Some(size)) => size,
                Ok(None) => return End::Input,
                Err(error) => return End::Unreadable(error),
            };
            let stopped = progress.stopped.lock();
            if *stopped {
                return End::Stopped;
            }
            if let Err(end) = self.deal_with(size) {
                return end;
            }
            progress.lines.fetch_add(1, Relaxed);
            self.place = self.lines.input().place();
            progress.bytes.store(self.place.bytes, Relaxed);
            if let Err(not_taken) = self.pipeline.line_done(|| self.position()) {
                return not_taken.into();
            }
        }
    }

    /// Sees to it that what was read is safe, unless nothing can be made safe any more.
    fn conclude(&self, end: End) -> End {
        if matches!(end, End::NotStored(_)) {
            return end;
        }
        let position = Position { done: matches!(end, End::Input), ..self.position() };
        self.pipeline.reading_done(position).err().map_or(end, End::from)
    }

    /// Behind the lines that have been dealt with.
    fn position(&self) -> Position {
        let (start, progress) = (&self.start, &self.progress);
        Position {
            bytes: self.place.bytes,
            checksum: self.place.checksum,
            lines: start.lines + progress.lines.load(Relaxed),
            event_lines: start.event_lines + progress.event_lines.load(Relaxed),
            batch_lines: start.batch_lines + progress.batch_lines.load(Relaxed),
            rejected: start.rejected + progress.rejected.load(Relaxed),
            done: false,
            ..start.clone()
        }
    }

    fn deal_with(&mut self, size: Size) -> Result<(), End> {
        if size == Size::TooLong {
            return self.reject_too_long();
        }
        if self.lines.content().trim_ascii().is_empty() {
            return Ok(());
        }
        match self.take() {
            Ok(()) => Ok(()),
            Err(Trouble::Fault(fault)) => self.reject(&fault),
            Err(Trouble::End(end)) => Err(end),
        }
    }

    /// Hands the line over.
    fn take(&mut self) -> Result<(), Trouble> {
        let content = self.lines.content();
        match lines::parse(content)? {
            Line::Event(line) => {
                let maker = self.maker.as_mut().ok_or(Trouble::End(End::NoDatafile))?;
                self.pipeline.add_event(maker.make(&line)?, content.len())?;
                self.progress.event_lines.fetch_add(1, Relaxed);
            }
            Line::Batch(body) => {
                self.pipeline.add_batch(body)?;
                self.progress.batch_lines.fetch_add(1, Relaxed);
            }
        }
        Ok(())
    }

    fn reject(&mut self, fault: &Fault) -> Result<(), End> {
        let number = self.lines.number();
        let before = self.progress.rejected.fetch_add(1, Relaxed);
        if before < REPORTED_MAX {
            self.output.note(format_args!("line {number}: {fault}"));
        }
        let is_kept = self.rejects.as_ref().is_none_or(|rejects| rejects.put(self.lines.raw()));
        if is_kept { Ok(()) } else { Err(End::NotKept) }
    }

    fn reject_too_long(&mut self) -> Result<(), End> {
        self.reject(&Fault::TooLong(self.lines.bytes_max()))?;
        let rejects = self.rejects.clone();
        let mut is_kept = true;
        let keep = |piece: &[u8]| is_kept &= rejects.as_ref().is_none_or(|rejects| rejects.put(piece));
        self.lines.rest(keep).map_err(End::Unreadable)?;
        if is_kept { Ok(()) } else { Err(End::NotKept) }
    }
}

enum Trouble {
    Fault(Fault),
    End(End),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NotTaken> for Trouble {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Fault(fault) => Self::Fault(fault),
            NotTaken::Closed => Self::End(End::Stopped),
            NotTaken::NotStored(reason) => Self::End(End::NotStored(reason)),
        }
    }
}

/// Of what is not about one line.
impl From<NotTaken> for End {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Fault(Fault::Refused(reason)) | NotTaken::NotStored(reason) => Self::NotStored(reason),
            NotTaken::Fault(_) | NotTaken::Closed => Self::Stopped,
        }
    }
}
