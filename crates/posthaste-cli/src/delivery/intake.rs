//! Reads lines and hands them over, on a thread of its own: reading blocks, and a full queue makes it wait.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use posthaste::{
    Refusal,
    judge::{Judge, Problem},
};
use tokio::sync::oneshot;

use crate::{
    common::output::{Output, REPORTED_MAX},
    input::{Input, Position, Step},
    lines::{self, EventMaker, Fault, Line, Size, Told},
    pipeline::{Keep, NotTaken, Pipeline},
};

/// How often to look whether an input has grown: soon enough for people, and next to nothing for the machine.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum End {
    /// There is no more.
    Input,
    /// There is no more but this line, which has no end yet.
    Unfinished(u64),
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
    pub(crate) blank_lines: AtomicU64,
    pub(crate) rejected: AtomicU64,
    /// Rejected lines that there was no room to tell of.
    pub(crate) untold: AtomicU64,
    /// Lines that something is odd about, and that are sent all the same.
    pub(crate) warned: AtomicU64,
    /// Visitors with a conversion that is earlier than all of their decisions.
    pub(crate) too_early: AtomicU64,
    /// Halves of surrogate pairs that were sent as U+FFFD.
    pub(crate) repaired: AtomicU64,
    /// The last line that was dealt with, of its file, and what its user calls that.
    pub(crate) line: AtomicU64,
    pub(crate) name: Mutex<String>,
    /// Held while a line is dealt with.
    stopped: Mutex<bool>,
    stopping: Condvar,
}

impl Progress {
    /// Once this has returned, no further line is taken, though the reader may still wait for one.
    pub(crate) fn stop(&self) {
        *self.stopped.lock() = true;
        self.stopping.notify_all();
    }

    /// Waits, and says whether it was told to stop.
    fn is_stopped_within(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.stopping.wait_for(&mut stopped, time);
        }
        *stopped
    }
}

pub(crate) struct Intake {
    pub(crate) input: Input,
    /// Where reading began, of earlier runs too.
    pub(crate) start: Position,
    /// The last line that was dealt with, of its file.
    pub(crate) line: u64,
    /// Lines of the files before that.
    pub(crate) earlier_lines: u64,
    /// Whether the position is, for certain.
    pub(crate) is_stored: bool,
    /// `None` without a datafile.
    pub(crate) maker: Option<EventMaker>,
    pub(crate) judge: Judge,
    pub(crate) told: Told,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) rejects: Option<Arc<Keep>>,
    pub(crate) output: Arc<Output>,
}

impl Intake {
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
        loop {
            if let Err(end) = self.step() {
                return end;
            }
        }
    }

    fn step(&mut self) -> Result<(), End> {
        match self.input.step().map_err(End::Unreadable)? {
            Step::Line(size) => self.finish(|intake| {
                intake.deal_with(size)?;
                intake.progress.lines.fetch_add(1, Relaxed);
                Ok(())
            }),
            Step::Rest(size) => self.finish(|intake| intake.deal_with_rest(size)),
            Step::Begin(note) => {
                self.output.note(format_args!("posthaste: {note}"));
                self.begin()
            }
            Step::Next => self.begin(),
            Step::Wait => self.wait(),
            Step::Unfinished(line) => Err(self.leave_unfinished(line)),
            Step::End => Err(End::Input),
        }
    }

    /// Deals with what was read, and is done with it then.
    fn finish(&mut self, deal: impl FnOnce(&mut Self) -> Result<(), End>) -> Result<(), End> {
        let progress = Arc::clone(&self.progress);
        let stopped = progress.stopped.lock();
        if *stopped {
            return Err(End::Stopped);
        }
        deal(self)?;
        self.input.dealt_with();
        self.line = self.input.line().number();
        self.is_stored = false;
        progress.line.store(self.line, Relaxed);
        progress.bytes.store(self.input.bytes(), Relaxed);
        Ok(self.pipeline.line_done(|| self.position())?)
    }

    /// Another file follows, or the same again.
    fn begin(&mut self) -> Result<(), End> {
        let number = self.input.line().number();
        self.earlier_lines += self.line - number;
        self.line = number;
        self.told = Told::default();
        self.progress.line.store(number, Relaxed);
        *self.progress.name.lock() = self.input.name();
        self.is_stored = false;
        self.store()
    }

    fn wait(&mut self) -> Result<(), End> {
        self.store()?;
        if self.progress.is_stopped_within(LOOK_EVERY) { Err(End::Stopped) } else { Ok(()) }
    }

    fn store(&mut self) -> Result<(), End> {
        if !self.is_stored {
            self.pipeline.pause(self.position())?;
            self.is_stored = true;
        }
        Ok(())
    }

    fn leave_unfinished(&self, line: u64) -> End {
        self.output.note(format_args!(
            "{}:{line}: this line has no end yet, and is left for the next run; if it is complete, add a line end",
            self.input.name()
        ));
        End::Unfinished(line)
    }

    /// Sees to it that what was read is safe, unless nothing can be made safe any more.
    fn conclude(&self, end: End) -> End {
        self.progress.too_early.store(self.judge.visits().too_early(), Relaxed);
        for warning in self.judge.visits().warnings() {
            self.output.note(format_args!("posthaste: warning: {warning}"));
        }
        if matches!(end, End::NotStored(_)) {
            return end;
        }
        let position = Position { done: matches!(end, End::Input), ..self.position() };
        self.pipeline.reading_done(position).err().map_or(end, End::from)
    }

    /// Behind the lines that have been dealt with.
    fn position(&self) -> Position {
        let (start, progress) = (&self.start, &self.progress);
        let (input, earlier) = self.input.file().unwrap_or_else(|| (start.input.clone(), start.earlier));
        Position {
            input,
            earlier,
            place: self.input.place().unwrap_or_else(|| start.place.clone()),
            lines: self.line,
            earlier_lines: self.earlier_lines,
            event_lines: start.event_lines + progress.event_lines.load(Relaxed),
            batch_lines: start.batch_lines + progress.batch_lines.load(Relaxed),
            blank_lines: start.blank_lines + progress.blank_lines.load(Relaxed),
            rejected: start.rejected + progress.rejected.load(Relaxed),
            done: false,
            ..start.clone()
        }
    }

    fn deal_with(&mut self, size: Size) -> Result<(), End> {
        if size == Size::TooLong {
            return self.reject(size, &Fault::TooLong(self.input.line().bytes_max()));
        }
        if self.is_blank() {
            self.progress.blank_lines.fetch_add(1, Relaxed);
            return Ok(());
        }
        match self.take() {
            Ok(()) => Ok(()),
            Err(Trouble::Fault(fault)) => self.reject(size, &fault),
            Err(Trouble::End(end)) => Err(end),
        }
    }

    /// The line was taken for whole. If it has only got its end since, it was.
    fn deal_with_rest(&mut self, size: Size) -> Result<(), End> {
        if size == Size::Whole && self.is_blank() { Ok(()) } else { self.reject(size, &Fault::WentOn) }
    }

    fn is_blank(&self) -> bool {
        lines::is_blank(self.input.line().content())
    }

    /// Hands the line over.
    fn take(&mut self) -> Result<(), Trouble> {
        let text = lines::text(self.input.line().content())?;
        match lines::parse(text.as_str())? {
            Line::Event(line) => {
                let maker = self.maker.as_mut().ok_or(Trouble::End(End::NoDatafile))?;
                let event = maker.make(&line)?;
                let warnings = self.judge.event(&event);
                self.pipeline.add_event(event)?;
                self.warn(&warnings);
                self.progress.event_lines.fetch_add(1, Relaxed);
            }
            Line::Batch(body) => {
                let judgement = self.judge.batch(body.as_bytes());
                // Good events do not wait for bad neighbours, which the API leaves out.
                if judgement.good == 0 {
                    return Err(Trouble::Fault(Fault::BadBatch(judgement.problems)));
                }
                self.pipeline.add_batch(body)?;
                self.warn(&[judgement.problems, judgement.warnings].concat());
                self.progress.batch_lines.fetch_add(1, Relaxed);
            }
        }
        self.progress.repaired.fetch_add(text.repaired(), Relaxed);
        Ok(())
    }

    /// The first few are told; all are counted.
    fn warn(&self, warnings: &[Problem]) {
        if warnings.is_empty() {
            return;
        }
        let (name, number) = (self.input.name(), self.input.line().number());
        if self.progress.warned.fetch_add(1, Relaxed) < REPORTED_MAX {
            for warning in warnings {
                self.output.note(format_args!("{name}:{number}: warning: {warning}"));
            }
        }
    }

    /// The first few are told; all others are counted.
    fn tell(&mut self, fault: &Fault) {
        let line = self.input.line();
        let number = line.number();
        let Some(told) = self.told.tell(number, line.content(), fault) else { return };
        if self.progress.rejected.load(Relaxed) < REPORTED_MAX {
            self.output.note(format_args!("{}:{number}: {told}", self.input.name()));
        } else {
            self.progress.untold.fetch_add(1, Relaxed);
        }
    }

    fn reject(&mut self, size: Size, fault: &Fault) -> Result<(), End> {
        self.tell(fault);
        let rejects = self.rejects.clone();
        let put = |piece: &[u8]| rejects.as_ref().is_none_or(|rejects| rejects.put(piece));
        let mut is_kept = put(self.input.line().raw());
        if size == Size::TooLong {
            self.input.rest(|piece| is_kept &= put(piece)).map_err(End::Unreadable)?;
        }
        if !is_kept {
            return Err(End::NotKept);
        }
        self.progress.rejected.fetch_add(1, Relaxed);
        Ok(())
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
