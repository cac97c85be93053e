//! `--queue`: the stream that events go into, or come from.

use posthaste::queue::jetstream::{JetStream, JetStreamOptions, Keeper, ProcessCounts, Role};

use super::SendArgs;
use crate::{
    common::{
        exit::{Exit, Failure},
        nats,
    },
    delivery::{self, Job, Length, Stage},
    input::{Position, Source},
    pipeline::{Pipeline, Streamed, To},
};

/// Whose events they are, unless told otherwise: those of a relay's tenant that takes what no other does.
const TENANT: &str = "default";

/// Where requests go.
pub(super) fn to(args: &SendArgs) -> Result<To, Failure> {
    let Some(stream) = open(args)? else { return Ok(To::EndPoints) };
    let tenant = args.tenant.as_deref().unwrap_or(TENANT);
    let queue = stream.queue(tenant, Role::Accept).map_err(|error| Failure::Refused(error.to_string()))?;
    Ok(To::Stream(queue))
}

/// Sends what is in the stream.
pub(super) fn deliver(args: &SendArgs, stage: Stage) -> Result<Exit, Failure> {
    let Some(stream) = open(args)? else { return Ok(Exit::Fine) };
    let address = stream.options().address().to_string();
    let tenants = if let Some(tenant) = &args.tenant {
        vec![tenant.clone()]
    } else {
        let counts = stream.tenants().map_err(|error| Failure::Refused(error.to_string()))?;
        counts.into_keys().collect()
    };
    let keeper = keep_ledger(&stream, "deliver")?;
    let job = Job::new(&args.delivery, Length::Nothing, |office| {
        let streamed = Streamed::start(&args.delivery, stream, tenants, office)?;
        Ok(Pipeline::Stream(Box::new(streamed)))
    })?;
    let job = Job { stream: Some(address), ..job };
    let start = Position { given_up: true, ..Position::start("", None) };
    let ended = delivery::run(stage, job, Source::nothing(&start), start, None);
    keeper.close();
    ended
}

/// Keeps what this run puts into the stream in the stream's ledger. None: it does not go into one.
pub(super) fn keep_accepting(to: &To) -> Result<Option<Keeper>, Failure> {
    match to {
        To::Stream(queue) => keep_ledger(&queue.stream(), "accept").map(Some),
        To::EndPoints => Ok(None),
    }
}

/// What goes through the connection is all that this run does.
fn keep_ledger(stream: &JetStream, role: &str) -> Result<Keeper, Failure> {
    let seen = stream.clone();
    let counts = move || {
        let traffic = seen.traffic();
        let buried_of_leased = traffic.buried.saturating_sub(traffic.unreadable);
        ProcessCounts {
            accepted: traffic.accepted,
            waiting: traffic.publishing,
            delivered: traffic.settled.saturating_sub(buried_of_leased),
            buried: traffic.buried,
        }
    };
    Ok(Keeper::start(stream, "send", role, counts)?)
}

fn open(args: &SendArgs) -> Result<Option<JetStream>, Failure> {
    let Some(queue) = &args.queue else { return Ok(None) };
    let options = JetStreamOptions::new(nats::address("--queue", queue)?)
        .credentials(args.nats.credentials())
        .replicas(args.replicas);
    nats::open(options).map(Some)
}
