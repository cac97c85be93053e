//! `posthaste send`: lines of a file or of standard input, to the Event API. Each line is delivered, or kept and
//! counted with the reason; the books at the end say how many of each.
//!
//! ```text
//! input ─ intake ─┬─ event lines ─▶ BatchEventProcessor ──┬─▶ Event API
//!                 ├─ batch lines ─▶ QueueEventDispatcher ─┘       │
//!                 └─ bad lines ───▶ --rejects     --dead-letters ◀┘ refused by the API
//! ```
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
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use indicatif::ProgressBar;
use posthaste::{Clock, ProjectConfig, SystemClock};

pub(crate) use args::SendArgs;

use self::{
    dead::DeadLetterOffice,
    intake::{Intake, Progress},
    keep::Keep,
    pipeline::Pipeline,
    report::Report,
};
use crate::{
    args as common,
    exit::{Exit, Failure},
    lines::{EventMaker, LineReader},
    output::{self, Audience, Output, counted},
};

/// Few system calls for a fast reader, little memory for all others.
const READ_BYTES: usize = 256 * 1_024;

/// What a run works with.
struct Job<'a> {
    args: &'a SendArgs,
    pipeline: Arc<Pipeline>,
    progress: Arc<Progress>,
    output: Arc<Output>,
    bar: ProgressBar,
    rejects: Option<Arc<Keep>>,
    dead_letters: Option<Arc<Keep>>,
    office: Arc<DeadLetterOffice>,
    leftover: Option<Arc<Keep>>,
}

pub(crate) fn run(args: &SendArgs) -> Result<Exit, Failure> {
    let config = args.datafile.as_deref().map(common::datafile).transpose()?;
    let config = config.map(|config| Arc::new(named(config, args)));
    let (input, length) = open(args.input())?;
    let metrics = args.metrics.map(metrics::Exporter::listen).transpose()?;
    let job = Job::new(args, config.clone(), length)?;
    let intake = Intake {
        lines: LineReader::new(input, args.max_line_bytes),
        maker: config.map(|config| EventMaker::new(ProjectConfig::clone(&config))),
        pipeline: Arc::clone(&job.pipeline),
        progress: Arc::clone(&job.progress),
        rejects: job.rejects.clone(),
        output: Arc::clone(&job.output),
    };
    let started = SystemClock.elapsed();
    let ended = control::run(&job, intake, metrics)?;
    job.bar.finish_and_clear();
    let report = Report::new(&job, &ended, SystemClock.elapsed().saturating_sub(started));
    if let (Some(leftover), true) = (&job.leftover, report.total.left > 0) {
        job.pipeline.keep_leftover(leftover);
    }
    job.pipeline.forget();
    Ok(job.conclude(&report))
}

impl<'a> Job<'a> {
    fn new(
        args: &'a SendArgs,
        config: Option<Arc<ProjectConfig>>,
        length: Option<u64>,
    ) -> Result<Self, Failure> {
        keep::check_distinct(
            &[("the input", args.input()), ("the datafile", args.datafile.as_deref())],
            &[
                ("--rejects", args.rejects.as_deref()),
                ("--dead-letters", args.dead_letters.as_deref()),
                ("--leftover", args.leftover.as_deref()),
            ],
        )?;
        let keep = |path: &Option<_>| path.as_deref().map(Keep::open).transpose().map(|k| k.map(Arc::new));
        let rejects = keep(&args.rejects)?;
        let dead_letters = keep(&args.dead_letters)?;
        let leftover = keep(&args.leftover)?;
        let is_lively = output::stderr_is_lively() && !args.json;
        let bar = if is_lively { progress::bar(length) } else { ProgressBar::hidden() };
        let output = Arc::new(Output::new(Audience::of(args.json)).with_bar(bar.clone()));
        let office = Arc::new(DeadLetterOffice::new(dead_letters.clone(), Arc::clone(&output)));
        let pipeline = Arc::new(Pipeline::start(args, config, &office)?);
        let progress = Arc::default();
        Ok(Self { args, pipeline, progress, output, bar, rejects, dead_letters, office, leftover })
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
        let lost = [
            (report.rejected, &self.args.rejects, "--rejects FILE keeps rejected lines"),
            (report.total.dead_lettered, &self.args.dead_letters, "--dead-letters FILE keeps dead letters"),
            (report.total.left, &self.args.leftover, "--leftover FILE keeps what is left"),
        ];
        for (count, path, advice) in lost {
            if count > 0 && path.is_none() {
                self.output.tell_aside(format_args!("next time, {advice}"));
            }
        }
    }
}

/// The datafile's project, reporting under the name that was asked for.
fn named(config: ProjectConfig, args: &SendArgs) -> ProjectConfig {
    let name = args.client_name.as_deref().unwrap_or(posthaste::project::CLIENT_NAME);
    let version = args.client_version.as_deref().unwrap_or(posthaste::project::CLIENT_VERSION);
    config.with_client(name, version)
}

/// The input, and its length where it has one.
fn open(path: Option<&Path>) -> Result<(Box<dyn BufRead + Send>, Option<u64>), Failure> {
    let Some(path) = path else {
        return Ok((Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())), None));
    };
    let wrong = |source| Failure::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    if metadata.is_dir() {
        return Err(wrong(io::ErrorKind::IsADirectory.into()));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::with_capacity(READ_BYTES, file)), length))
}
