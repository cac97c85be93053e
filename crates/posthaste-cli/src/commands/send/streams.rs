//! `--queue`: the stream that events go into, or come from.

use posthaste::queue::jetstream::{JetStream, JetStreamOptions, Role};

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
    let job = Job::new(&args.delivery, Length::Nothing, |office| {
        let streamed = Streamed::start(&args.delivery, stream, tenants, office)?;
        Ok(Pipeline::Stream(Box::new(streamed)))
    })?;
    let job = Job { stream: Some(address), ..job };
    let start = Position { given_up: true, ..Position::start("", None) };
    delivery::run(stage, job, Source::nothing(&start), start, None)
}

fn open(args: &SendArgs) -> Result<Option<JetStream>, Failure> {
    let Some(queue) = &args.queue else { return Ok(None) };
    let options = JetStreamOptions::new(nats::address("--queue", queue)?)
        .credentials(args.nats.credentials())
        .replicas(args.replicas);
    nats::open(options).map(Some)
}
