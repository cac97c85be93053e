//! `posthaste send`: lines of a file or of standard input, to the Event API. Each line is delivered, or kept and
//! counted with the reason; the books at the end say how many of each.
//!
//! ```text
//! input ─ intake ─┬─ event lines ─▶ BatchEventProcessor ──┬─▶ Event API
//!                 ├─ batch lines ─▶ QueueEventDispatcher ─┘       │
//!                 └─ bad lines ───▶ --rejects     --dead-letters ◀┘ refused by the API
//! ```
//!
//! With `--spool`, both kinds of lines go through one queue on disk instead (see `pipeline`).
//!
//! Memory is bounded by the queues, whatever the size of the input: a full queue makes the reader wait.

mod args;
mod byte_bound;
mod control;
mod dead;
mod intake;
mod keep;
mod metrics;
mod pipeline;
mod progress;
mod report;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::ProgressBar;
use posthaste::{Clock, LogEvent, OptionsError, ProjectConfig, SpoolQueue, SystemClock};

pub(crate) use args::{DeliveryArgs, SendArgs};

use self::{
    dead::DeadLetterOffice,
    intake::{Intake, Progress},
    keep::Keep,
    pipeline::{InMemory, Limits, Pipeline, Spooled},
    report::Report,
};
use crate::{
    common::{
        datafile,
        exit::{Exit, Failure},
        output::{self, Audience, Output, counted},
    },
    input::{self, Input, Position, Source},
    lines::EventMaker,
};

/// What a run works with.
struct Job<'a> {
    args: &'a DeliveryArgs,
    pipeline: Arc<Pipeline>,
    progress: Arc<Progress>,
    output: Arc<Output>,
    bar: ProgressBar,
    metrics: Option<metrics::Exporter>,
    rejects: Option<Arc<Keep>>,
    dead_letters: Option<Arc<Keep>>,
    office: Arc<DeadLetterOffice>,
    leftover: Option<Arc<Keep>>,
    /// Where what is left stays.
    spool: Option<PathBuf>,
    /// Until it is told to stop.
    follows: bool,
}

pub(crate) fn run(args: &SendArgs) -> Result<Exit, Failure> {
    let config = args.datafile.as_deref().map(datafile::read).transpose()?;
    let config = config.map(|config| Arc::new(named(config, args)));
    check_files(args)?;
    let source = input::open(args.wanted(), config.as_deref())?;
    let keep = |path: &Option<_>| path.as_deref().map(Keep::open).transpose().map(|keep| keep.map(Arc::new));
    let (rejects, leftover) = (keep(&args.rejects)?, keep(&args.leftover)?);
    let job = Job::new(&args.delivery, source.length, |office| match source.queue {
        None => InMemory::start(args, config.clone(), office).map(Pipeline::Memory),
        Some(queue) => {
            let region = config.as_ref().map(|config| config.region());
            let start = Some(source.start.clone());
            Spooled::start(&args.delivery, Limits::of(args), queue, start, region, office)
                .map(|spooled| Pipeline::Spool(Box::new(spooled)))
        }
    })?;
    let job = Job { rejects, leftover, spool: args.spool.clone(), follows: args.follow, ..job };
    source.note.iter().for_each(|note| job.output.note(format_args!("posthaste: {note}")));
    let maker = config.map(|config| EventMaker::new(ProjectConfig::clone(&config)));
    job.run(source.input, source.start, maker)
}

/// Delivers what a spool holds, as `send` would if its input had nothing more.
pub(crate) fn drain(
    dir: &Path,
    args: &DeliveryArgs,
    queue: SpoolQueue<LogEvent>,
    start: Option<Position>,
) -> Result<Exit, Failure> {
    let job = Job::new(args, None, |office| {
        Spooled::start(args, Limits::default(), queue, start.clone(), None, office)
            .map(|spooled| Pipeline::Spool(Box::new(spooled)))
    })?;
    let job = Job { spool: Some(dir.to_owned()), ..job };
    let start = start.unwrap_or_else(|| Position::start("", None));
    let start = Position { given_up: true, ..start };
    job.run(Source::nothing(&start), start, None)
}

impl<'a> Job<'a> {
    fn new(
        args: &'a DeliveryArgs,
        length: Option<u64>,
        pipeline: impl FnOnce(&Arc<DeadLetterOffice>) -> Result<Pipeline, OptionsError>,
    ) -> Result<Self, Failure> {
        let metrics = args.metrics.map(metrics::Exporter::listen).transpose()?;
        let dead_letters = args.dead_letters.as_deref().map(Keep::open).transpose()?.map(Arc::new);
        let is_lively = output::stderr_is_lively() && !args.json;
        let bar = if is_lively { progress::bar(length) } else { ProgressBar::hidden() };
        let output = Arc::new(Output::new(Audience::of(args.json)).with_bar(bar.clone()));
        let office = Arc::new(DeadLetterOffice::new(dead_letters.clone(), Arc::clone(&output)));
        Ok(Self {
            args,
            pipeline: Arc::new(pipeline(&office)?),
            progress: Arc::default(),
            output,
            bar,
            metrics,
            rejects: None,
            dead_letters,
            office,
            leftover: None,
            spool: None,
            follows: false,
        })
    }

    fn run(mut self, input: Input, start: Position, maker: Option<EventMaker>) -> Result<Exit, Failure> {
        let intake = Intake {
            input,
            line: start.lines,
            earlier_lines: start.earlier_lines,
            is_stored: false,
            start,
            maker,
            pipeline: Arc::clone(&self.pipeline),
            progress: Arc::clone(&self.progress),
            rejects: self.rejects.clone(),
            output: Arc::clone(&self.output),
        };
        let started = SystemClock.elapsed();
        let metrics = self.metrics.take();
        let ended = control::run(&self, intake, metrics)?;
        self.bar.finish_and_clear();
        let report = Report::new(&self, &ended, SystemClock.elapsed().saturating_sub(started));
        if let (Some(leftover), true) = (&self.leftover, report.total.left > 0) {
            self.pipeline.keep_leftover(leftover);
        }
        self.pipeline.forget();
        Ok(self.conclude(&report))
    }

    /// Says what has come of it all.
    fn conclude(&self, report: &Report) -> Exit {
        let unreported = report.rejected.saturating_sub(intake::REPORTED_MAX);
        if unreported > 0 {
            self.output.note(format_args!("… and {} more", output::grouped(unreported)));
        }
        if self.office.untold() > 0 {
            let untold = counted(self.office.untold(), "dead letter", "dead letters");
            self.output.note(format_args!("… and {untold} more"));
        }
        self.advise(report);
        if let Some(stopped) = &report.stopped {
            self.output.note(format_args!("posthaste: {stopped}"));
        }
        let keeps = [&self.rejects, &self.dead_letters, &self.leftover];
        let troubles: Vec<String> = keeps.into_iter().flatten().filter_map(|keep| keep.trouble()).collect();
        if let (Some(dir), true) = (&self.spool, report.total.left > 0) {
            let left = output::counted(report.total.left, "event stays", "events stay");
            let dir = dir.display();
            self.output.note(format_args!("posthaste: {left} in {dir}; run the same command again"));
        }
        for trouble in &troubles {
            self.output.note(format_args!("posthaste: {trouble}"));
        }
        self.output.result(report);
        if report.is_fine() && troubles.is_empty() { Exit::Fine } else { Exit::Failed }
    }
}

impl Job<'_> {
    /// Says how to keep what this run could only count.
    fn advise(&self, report: &Report) {
        let spooled = self.spool.is_some();
        let lost = [
            (report.rejected, self.rejects.is_some(), "--rejects FILE keeps rejected lines"),
            (
                report.total.dead_lettered,
                spooled || self.dead_letters.is_some(),
                "--dead-letters FILE keeps dead letters",
            ),
            (report.total.left, spooled || self.leftover.is_some(), "--leftover FILE keeps what is left"),
        ];
        for (count, is_kept, advice) in lost {
            if count > 0 && !is_kept {
                self.output.tell_aside(format_args!("next time, {advice}"));
            }
        }
        if let (Some(dir), true) = (&self.spool, report.total.letters > 0) {
            let dir = dir.display();
            self.output.tell_aside(format_args!("`posthaste spool dead {dir}` lists the dead letters"));
        }
    }
}

/// The datafile's project, reporting under the name that was asked for.
fn named(config: ProjectConfig, args: &SendArgs) -> ProjectConfig {
    let name = args.client_name.as_deref().unwrap_or(posthaste::project::CLIENT_NAME);
    let version = args.client_version.as_deref().unwrap_or(posthaste::project::CLIENT_VERSION);
    config.with_client(name, version)
}

/// Refuses files that are the input or each other.
fn check_files(args: &SendArgs) -> Result<(), Failure> {
    keep::check_distinct(
        &[("the input", args.input()), ("the datafile", args.datafile.as_deref())],
        &[
            ("--rejects", args.rejects.as_deref()),
            ("--dead-letters", args.delivery.dead_letters.as_deref()),
            ("--leftover", args.leftover.as_deref()),
        ],
    )
}
