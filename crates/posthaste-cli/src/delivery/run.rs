//! One run, from its first line to its books.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use posthaste::judge::Judge;
use posthaste::{Clock, SystemClock};

use super::{control, intake::Intake, job::Job, report::Report, stage::Stage};
use crate::{
    common::{
        exit::{self, Exit, Failure},
        output::{self, counted},
    },
    input::{Input, Position},
    lines::{EventMaker, Told},
};

/// Reads and delivers, and says what came of it.
pub(crate) fn run(
    stage: Stage,
    mut job: Job<'_>,
    input: Input,
    start: Position,
    maker: Option<EventMaker>,
) -> Result<Exit, Failure> {
    // Those that earlier runs have read.
    job.progress.bytes.store(input.bytes(), Relaxed);
    job.progress.line.store(start.lines, Relaxed);
    *job.progress.name.lock() = input.name();
    let intake = Intake {
        input,
        line: start.lines,
        earlier_lines: start.earlier_lines,
        is_stored: false,
        start,
        maker,
        judge: Judge::new(None).with_clock(SystemClock),
        told: Told::default(),
        pipeline: Arc::clone(&job.pipeline),
        progress: Arc::clone(&job.progress),
        rejects: job.rejects.clone(),
        output: Arc::clone(&job.output),
    };
    let started = SystemClock.elapsed();
    let metrics = job.metrics.take();
    let ended = control::run(&job, stage, intake, metrics).inspect_err(|_| job.pipeline.forget())?;
    let report = Report::new(&job, &ended, SystemClock.elapsed().saturating_sub(started));
    if let (Some(leftover), true) = (&job.leftover, report.total.left > 0) {
        job.pipeline.keep_leftover(leftover);
    }
    job.pipeline.forget();
    let exit = conclude(&job, &report);
    if ended.is_quit {
        // Whatever else would be waited for: requests under way, a disk.
        std::process::exit(exit::QUIT_AT_ONCE);
    }
    Ok(exit)
}

/// Says what has come of it all.
fn conclude(job: &Job<'_>, report: &Report) -> Exit {
    let unreported = job.progress.untold.load(Relaxed);
    if unreported > 0 {
        job.output.note(format_args!("… and {} more", output::grouped(unreported)));
    }
    if job.office.untold() > 0 {
        let untold = counted(job.office.untold(), "dead letter", "dead letters");
        job.output.note(format_args!("… and {untold} more"));
    }
    advise(job, report);
    if let Some(stopped) = &report.stopped {
        job.output.note(format_args!("posthaste: {stopped}"));
    }
    let keeps = [&job.rejects, &job.dead_letters, &job.leftover];
    let troubles: Vec<String> = keeps.into_iter().flatten().filter_map(|keep| keep.trouble()).collect();
    if let (Some(dir), true) = (&job.spool, report.total.left > 0) {
        let left = output::counted(report.total.left, "event stays", "events stay");
        let dir = dir.display();
        job.output.note(format_args!("posthaste: {left} in {dir}; run the same command again"));
    }
    if let (Some(stream), true) = (&job.stream, report.total.left > 0) {
        let left = output::grouped(report.total.left);
        job.output.note(format_args!("posthaste: about {left} stay in {stream}; run the same command again"));
    }
    for reason in &report.reasons {
        job.output.note(format_args!("posthaste: not delivered: {reason}"));
    }
    for trouble in &troubles {
        job.output.note(format_args!("posthaste: {trouble}"));
    }
    job.output.result(report);
    if report.is_fine() && troubles.is_empty() { Exit::Fine } else { Exit::Failed }
}

/// Says how to keep what this run could only count.
fn advise(job: &Job<'_>, report: &Report) {
    let spooled = job.spool.is_some() || job.stream.is_some();
    let lost = [
        (report.rejected, job.rejects.is_some(), "--rejects FILE keeps rejected lines"),
        (
            report.total.dead_lettered,
            spooled || job.dead_letters.is_some(),
            "--dead-letters FILE keeps dead letters",
        ),
        (report.total.left, spooled || job.leftover.is_some(), "--leftover FILE keeps what is left"),
    ];
    for (count, is_kept, advice) in lost {
        if count > 0 && !is_kept {
            job.output.tell_aside(format_args!("next time, {advice}"));
        }
    }
    if let (Some(dir), true) = (&job.spool, report.total.letters > 0) {
        let dir = dir.display();
        job.output.tell_aside(format_args!("`posthaste spool dead {dir}` lists the dead letters"));
    }
}
