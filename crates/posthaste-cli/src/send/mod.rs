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
mod intake;
mod keep;
mod metrics;
mod pipeline;
mod progress;
mod report;
mod resume;
mod source;
mod tracked;

use std::{
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::ProgressBar;
use posthaste::{Clock, LogEvent, ProjectConfig, SpoolQueue, SystemClock};

pub(crate) use args::{DeliveryArgs, SendArgs};
pub(crate) use tracked::Place;

use self::{
    intake::{Intake, Progress},
    keep::Keep,
    pipeline::{InMemory, Limits, Pipeline, Spooled},
    report::Report,
    source::Source,
    tracked::Tracked,
};
use crate::{
    args as common,
    exit::{Exit, Failure},
    lines::{EventMaker, LineReader},
    output::{self, Audience, Output},
    spool::Position,
};

/// What lines are read from.
type Input = Tracked<Box<dyn BufRead + Send>>;

/// What a run works with.
struct Job<'a> {
    args: &'a DeliveryArgs,
    pipeline: Arc<Pipeline>,
    progress: Arc<Progress>,
    output: Arc<Output>,
    bar: ProgressBar,
    rejects: Option<Arc<Keep>>,
    dead_letters: Option<Arc<Keep>>,
    leftover: Option<Arc<Keep>>,
    /// Where what is left stays.
    spool: Option<PathBuf>,
}

pub(crate) fn run(args: &SendArgs) -> Result<Exit, Failure> {
    let config = args.datafile.as_deref().map(common::datafile).transpose()?;
    let config = config.map(|config| Arc::new(named(config, args)));
    check_files(args)?;
    let source = Source::open(args, config.as_deref())?;
    let metrics = args.delivery.metrics.map(metrics::Exporter::listen).transpose()?;
    let keep = |path: &Option<_>| path.as_deref().map(Keep::open).transpose().map(|keep| keep.map(Arc::new));
    let dead_letters = keep(&args.delivery.dead_letters)?;
    let (rejects, leftover) = (keep(&args.rejects)?, keep(&args.leftover)?);
    let letters = dead_letters.clone();
    let pipeline = match source.queue {
        None => Pipeline::Memory(InMemory::start(args, config.clone(), letters)?),
        Some(queue) => {
            let (limits, region) = (Limits::of(args), config.as_ref().map(|config| config.region()));
            let start = Some(source.start.clone());
            Pipeline::Spool(Spooled::start(&args.delivery, limits, queue, start, region, letters)?)
        }
    };
    let job = Job {
        rejects,
        leftover,
        spool: args.spool.clone(),
        ..Job::new(&args.delivery, pipeline, dead_letters, source.length)
    };
    source.note.iter().for_each(|note| job.output.note(format_args!("posthaste: {note}")));
    let maker = config.map(|config| EventMaker::new(ProjectConfig::clone(&config)));
    job.run(
        LineReader::after(source.start.lines, source.input, args.max_line_bytes),
        source.start,
        maker,
        metrics,
    )
}

/// Delivers what a spool holds, as `send` would if its input had nothing more.
pub(crate) fn drain(
    dir: &Path,
    args: &DeliveryArgs,
    queue: SpoolQueue<LogEvent>,
    start: Option<Position>,
) -> Result<Exit, Failure> {
    keep::check_distinct(None, &[("--dead-letters", args.dead_letters.as_deref())])?;
    let metrics = args.metrics.map(metrics::Exporter::listen).transpose()?;
    let dead_letters = args.dead_letters.as_deref().map(Keep::open).transpose()?.map(Arc::new);
    let letters = dead_letters.clone();
    let pipeline = Spooled::start(args, Limits::default(), queue, start.clone(), None, letters)?;
    let job =
        Job { spool: Some(dir.to_owned()), ..Job::new(args, Pipeline::Spool(pipeline), dead_letters, None) };
    let start = start.unwrap_or_else(|| Position::start("", None));
    let nothing: Input = Tracked::at(start.place(), Box::new(io::empty()));
    job.run(LineReader::after(start.lines, nothing, 1), start, None, metrics)
}

impl<'a> Job<'a> {
    fn new(
        args: &'a DeliveryArgs,
        pipeline: Pipeline,
        dead_letters: Option<Arc<Keep>>,
        length: Option<u64>,
    ) -> Self {
        let is_lively = output::stderr_is_lively() && !args.json;
        let bar = if is_lively { progress::bar(length) } else { ProgressBar::hidden() };
        Self {
            args,
            pipeline: Arc::new(pipeline),
            progress: Arc::default(),
            output: Arc::new(Output::new(Audience::of(args.json)).with_bar(bar.clone())),
            bar,
            rejects: None,
            dead_letters,
            leftover: None,
            spool: None,
        }
    }

    fn run(
        &self,
        lines: LineReader<Input>,
        start: Position,
        maker: Option<EventMaker>,
        metrics: Option<metrics::Exporter>,
    ) -> Result<Exit, Failure> {
        let intake = Intake {
            place: lines.input().place(),
            lines,
            start,
            maker,
            pipeline: Arc::clone(&self.pipeline),
            progress: Arc::clone(&self.progress),
            rejects: self.rejects.clone(),
            output: Arc::clone(&self.output),
        };
        let started = SystemClock.elapsed();
        let ended = control::run(self, intake, metrics)?;
        self.bar.finish_and_clear();
        let report = Report::new(self, &ended, SystemClock.elapsed().saturating_sub(started));
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
        if let Some(stopped) = &report.stopped {
            self.output.note(format_args!("posthaste: {stopped}"));
        }
        let keeps = [&self.rejects, &self.dead_letters, &self.leftover];
        let troubles: Vec<String> = keeps.into_iter().flatten().filter_map(|keep| keep.trouble()).collect();
        if let (Some(dir), true) = (&self.spool, report.total.left > 0) {
            let left = output::counted(report.total.left, "event stays", "events stay");
            self.output.note(format_args!("posthaste: {left} in {dir:?}; run the same command again"));
        }
        for trouble in &troubles {
            self.output.note(format_args!("posthaste: {trouble}"));
        }
        self.output.result(report);
        if report.is_fine() && troubles.is_empty() { Exit::Fine } else { Exit::Failed }
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
        args.input(),
        &[
            ("--rejects", args.rejects.as_deref()),
            ("--dead-letters", args.delivery.dead_letters.as_deref()),
            ("--leftover", args.leftover.as_deref()),
        ],
    )
}
