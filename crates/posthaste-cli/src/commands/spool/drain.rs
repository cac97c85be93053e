//! `posthaste spool drain`: delivers what waits, and takes nothing more.

use std::path::PathBuf;

use posthaste::{LogEvent, SpoolQueue};

use super::look::{self, look};
use crate::{
    common::{
        descriptors,
        exit::{Exit, Failure},
        spool_options, threads,
    },
    delivery::{self, Job, Length, Stage},
    input::{Position, Source},
    pipeline::{DeliveryArgs, Limits, Pipeline, Spooled},
};

/// Deliver what waits in a spool, and account for every event
///
/// Delivered records leave the spool. The unread rest of its input is given up, and `send` may give the spool another
/// one. The exit code is 0 only if everything was delivered and no stored record is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool drain DIR
  posthaste spool drain DIR --endpoint http://127.0.0.1:8080/v1/events
  posthaste spool drain DIR --max-time 5m --batch-size 500")]
pub(super) struct DrainArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    delivery: DeliveryArgs,
}

pub(super) fn run(args: &DrainArgs) -> Result<Exit, Failure> {
    args.delivery.check()?;
    descriptors::need(descriptors::OF_A_RUN)?;
    threads::need(threads::OF_A_RUN)?;
    let stage = Stage::set_up()?;
    let mut found = look(&args.dir)?;
    let first = found.records().next().transpose()?;
    if first.is_some_and(|record| look::holds_an_event(&record.bytes)) {
        let dir = args.dir.display();
        return Err(Failure::Refused(format!(
            "{dir} holds single events of a program, which delivers them when it starts; \
             or send them yourself: posthaste spool cat {dir} | posthaste send"
        )));
    }
    let queue = spool_options::open_queue(&args.dir, spool_options::ANY_SIZE)?;
    let start = queue.spool().meta().and_then(|meta| Position::read(&meta).ok());
    deliver(args, stage, queue, start)
}

/// As `send` would if its input had nothing more.
fn deliver(
    args: &DrainArgs,
    stage: Stage,
    queue: SpoolQueue<LogEvent>,
    start: Option<Position>,
) -> Result<Exit, Failure> {
    let job = Job::new(&args.delivery, Length::Nothing, |office| {
        Spooled::start(&args.delivery, Limits::default(), queue, start.clone(), None, office)
            .map(|spooled| Pipeline::Spool(Box::new(spooled)))
    })?;
    let job = Job { spool: Some(args.dir.clone()), ..job };
    let start = start.unwrap_or_else(|| Position::start("", None));
    let start = Position { given_up: true, ..start };
    delivery::run(stage, job, Source::nothing(&start), start, None)
}
