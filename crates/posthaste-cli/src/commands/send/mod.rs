//! `posthaste send`: lines of a file or of standard input, to the Event API. Each line is delivered, or kept and
//! counted with the reason; the books at the end say how many of each.
//!
//! ```text
//! input ─ intake ─┬─ event lines ─▶ BatchEventProcessor ──┬─▶ Event API
//!                 ├─ batch lines ─▶ QueueEventDispatcher ─┘       │
//!                 └─ bad lines ───▶ --rejects     --dead-letters ◀┘ refused by the API
//! ```
//!
//! With `--queue`, both end in a stream instead of at the Event API; with `--deliver` they come from there (`streams`).
//!
//! With `--spool`, both kinds of lines go through one queue on disk instead (see `pipeline`).
//!
//! Memory is bounded by the queues, whatever the size of the input: a full queue makes the reader wait.

mod args;
mod streams;

use std::sync::Arc;

use posthaste::{ProjectConfig, queue::jetstream::Keeper};

pub(crate) use self::args::SendArgs;
use crate::{
    common::{
        datafile,
        exit::{Exit, Failure},
        output::{Audience, Output},
    },
    delivery::{self, Job, Stage},
    input,
    lines::EventMaker,
    pipeline::{self, InMemory, Keep, Limits, Pipeline, Spooled},
};

pub(crate) fn run(args: &SendArgs) -> Result<Exit, Failure> {
    args.delivery.check()?;
    let output = Output::new(Audience::of(args.delivery.json));
    let config = args.datafile.as_deref().map(|path| datafile::read_and_tell(path, &output)).transpose()?;
    let config = config.map(|config| Arc::new(named(config, args)));
    check_files(args)?;
    let stage = Stage::set_up()?;
    if args.deliver {
        return streams::deliver(args, stage);
    }
    let to = streams::to(args)?;
    let keeper = streams::keep_accepting(&to)?;
    let source = input::open(args.wanted(), config.as_deref())?;
    let keep = |path: &Option<_>| path.as_deref().map(Keep::open).transpose().map(|keep| keep.map(Arc::new));
    let (rejects, leftover) = (keep(&args.rejects)?, keep(&args.leftover)?);
    let job = Job::new(&args.delivery, source.length.into(), |office| match source.queue {
        None => {
            let memory = InMemory::start(&args.delivery, args.queue_size(), config.clone(), &to, office)?;
            Ok(Pipeline::Memory(memory))
        }
        Some(queue) => {
            let region = config.as_ref().map(|config| config.region());
            let start = Some(source.start.clone());
            let limits = Limits::of(args.spool_size, &args.delivery);
            let spooled = Spooled::start(&args.delivery, limits, queue, start, region, (&to, office))?;
            Ok(Pipeline::Spool(Box::new(spooled)))
        }
    })?;
    let job = Job {
        config: config.clone(),
        rejects,
        leftover,
        spool: args.spool.clone(),
        follows: args.follow,
        ..job
    };
    source.note.iter().for_each(|note| job.output.inform(format_args!("posthaste: {note}")));
    let maker = config.map(|config| EventMaker::new(ProjectConfig::clone(&config)));
    let ended = delivery::run(stage, job, source.input, source.start, maker);
    // The last word is a help to whoever reads the ledger; without it this run is taken for killed.
    let _ = keeper.map(Keeper::close);
    ended
}

/// The datafile's project, reporting under the name that was asked for.
fn named(config: ProjectConfig, args: &SendArgs) -> ProjectConfig {
    let name = args.client_name.as_deref().unwrap_or(posthaste::project::CLIENT_NAME);
    let version = args.client_version.as_deref().unwrap_or(posthaste::project::CLIENT_VERSION);
    config.with_client(name, version)
}

/// Refuses files that are the input or each other.
fn check_files(args: &SendArgs) -> Result<(), Failure> {
    let datafile = ("the datafile", args.datafile.as_deref());
    let inputs = args.inputs().map(|path| ("the input", Some(path)));
    pipeline::check_distinct(
        &inputs.chain([datafile]).collect::<Vec<_>>(),
        &[
            ("--rejects", args.rejects.as_deref()),
            ("--dead-letters", args.delivery.dead_letters.as_deref()),
            ("--leftover", args.leftover.as_deref()),
        ],
    )
}
