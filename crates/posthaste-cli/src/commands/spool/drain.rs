//! `posthaste spool drain`: delivers what waits, and takes nothing more.

use std::path::PathBuf;

use super::look::{self, look};
use crate::{
    commands::send::{self, DeliveryArgs},
    common::{
        exit::{Exit, Failure},
        spool_options,
    },
    input::Position,
};

/// Deliver what waits in a spool, and account for every event
///
/// What is delivered leaves the spool; the rest of an input that was being read is given up, and another may follow.
/// The exit code is 0 only if everything was delivered. Records that were stored and are lost are counted, and the exit code
/// is 1 then.
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
    let mut found = look(&args.dir)?;
    let first = found.records().next().transpose()?;
    if first.is_some_and(|record| look::holds_an_event(&record.bytes)) {
        let dir = args.dir.display();
        return Err(Failure::Refused(format!(
            "{dir} holds single events of a program, which delivers them itself when it starts; \
             or send them yourself: posthaste spool cat {dir} | posthaste send"
        )));
    }
    let queue = spool_options::open_queue(&args.dir, spool_options::ANY_SIZE)?;
    let start = queue.spool().meta().and_then(|meta| Position::read(&meta).ok());
    send::drain(&args.dir, &args.delivery, queue, start)
}
