//! `posthaste spool drain`: delivers what waits, and takes nothing more.

use std::path::{Path, PathBuf};

use posthaste::{LogEvent, SpoolQueue, dispatch::EndPoint};
use posthaste_relay::TenantFolder;

use super::look::{self, look};
use crate::{
    common::{
        descriptors,
        exit::{Exit, Failure},
        output::{Audience, Output},
        spool_options, threads,
    },
    delivery::{self, Job, Length, Stage},
    input::{Position, Source},
    pipeline::{DeliveryArgs, Limits, Pipeline, Spooled, To},
};

/// Deliver what waits in a spool, and account for every event
///
/// Delivered records leave the spool. The unread rest of its input is given up, and `send` may give the spool another
/// one. The exit code is 0 only if everything was delivered and no stored record is lost.
///
/// The data folder of a relay that is gone is drained tenant by tenant, each to the upstream that is recorded there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool drain DIR
  posthaste spool drain DIR --endpoint http://127.0.0.1:8080/v1/events
  posthaste spool drain DIR --max-time 5m --batch-size 500
  # What a relay has left, to its upstreams
  posthaste spool drain ./posthaste-data")]
pub(super) struct DrainArgs {
    /// The spool's folder, or a relay's data folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Of a relay's data folder: send the events of all tenants to --endpoint instead
    #[arg(long)]
    all_tenants: bool,
    #[command(flatten)]
    delivery: DeliveryArgs,
}

pub(super) fn run(args: &DrainArgs) -> Result<Exit, Failure> {
    args.delivery.check()?;
    descriptors::need(descriptors::OF_A_RUN)?;
    threads::need(threads::OF_A_RUN)?;
    let tenants =
        posthaste_relay::tenants_in(&args.dir).map_err(|error| Failure::Refused(error.to_string()))?;
    if tenants.is_empty() {
        return drain(&args.dir, &args.delivery);
    }
    drain_tenants(args, &tenants)
}

/// One after the other; what one cannot deliver holds back no other.
fn drain_tenants(args: &DrainArgs, tenants: &[TenantFolder]) -> Result<Exit, Failure> {
    if args.delivery.endpoint.is_some() && !args.all_tenants {
        let dir = args.dir.display();
        return Err(Failure::Usage(format!(
            "{dir} is a relay's folder, whose tenants have upstreams of their own; \
             leave --endpoint out, or send all of them there with --all-tenants"
        )));
    }
    let output = Output::new(Audience::of(args.delivery.json));
    let mut exit = Exit::Fine;
    for TenantFolder { about, spool, .. } in tenants {
        let endpoint = args.delivery.endpoint.clone().unwrap_or_else(|| about.upstream.clone());
        output.tell_aside(format_args!(
            "tenant {} to {}",
            about.name,
            EndPoint::check(&endpoint).map_or_else(|error| error.to_string(), |endpoint| endpoint.address())
        ));
        let delivery = DeliveryArgs { endpoint: Some(endpoint), ..args.delivery.clone() };
        match drain(spool, &delivery) {
            Ok(Exit::Fine) => {}
            Ok(failed) => exit = failed,
            Err(failure) => {
                output.note(format_args!("posthaste: tenant {}: {failure}", about.name));
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn drain(dir: &Path, args: &DeliveryArgs) -> Result<Exit, Failure> {
    let stage = Stage::set_up()?;
    let mut found = look(dir)?;
    let first = found.records().next().transpose()?;
    if first.is_some_and(|record| look::holds_an_event(&record.bytes)) {
        let dir = dir.display();
        return Err(Failure::Refused(format!(
            "{dir} holds single events of a program, which delivers them when it starts; \
             or send them yourself: posthaste spool cat {dir} | posthaste send"
        )));
    }
    let queue = spool_options::open_queue(dir, spool_options::ANY_SIZE)?;
    let start = queue.spool().meta().and_then(|meta| Position::read(&meta).ok());
    deliver(dir, args, stage, queue, start)
}

/// As `send` would if its input had nothing more.
fn deliver(
    dir: &Path,
    args: &DeliveryArgs,
    stage: Stage,
    queue: SpoolQueue<LogEvent>,
    start: Option<Position>,
) -> Result<Exit, Failure> {
    let job = Job::new(args, Length::Nothing, |office| {
        let to = (&To::EndPoints, office);
        let spooled = Spooled::start(args, Limits::default(), queue, start.clone(), None, to)?;
        Ok(Pipeline::Spool(Box::new(spooled)))
    })?;
    let job = Job { spool: Some(dir.to_owned()), ..job };
    let start = start.unwrap_or_else(|| Position::start("", None));
    let start = Position { given_up: true, ..start };
    delivery::run(stage, job, Source::nothing(&start), start, None)
}
