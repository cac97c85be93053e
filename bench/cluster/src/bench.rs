//! One cluster, and everybody who works on it: a round is all of them in turn.

use std::{
    io::Result,
    path::{Path, PathBuf},
};

use posthaste::LogEvent;
use tokio::runtime::Runtime;

use crate::{
    bare::{Ack, Bare},
    ours::{Ours, spool},
    work::{Case, Sample, measured, request},
};

/// Who takes turns. What one puts into a stream, it fetches too.
const TURNS: [Turn; 5] = [Turn::Bare, Turn::BareWithHeaders, Turn::Queue, Turn::Pipeline, Turn::Spool];

#[derive(Debug, Clone, Copy)]
enum Turn {
    Bare,
    BareWithHeaders,
    Queue,
    Pipeline,
    Spool,
}

pub(crate) type Round = Vec<(Case, Sample)>;

pub(crate) struct Bench<'a> {
    count: usize,
    bare: Bare,
    ours: Ours,
    upstream: &'a str,
    folder: PathBuf,
    runtime: &'a Runtime,
}

impl<'a> Bench<'a> {
    /// `servers`: HOST:PORT, with commas between; each event is on all of them.
    pub(crate) fn new(servers: &str, upstream: &'a str, folder: &Path, runtime: &'a Runtime) -> Result<Self> {
        let count = servers.split(',').count();
        let bare = runtime.block_on(Bare::open(servers, count))?;
        let ours = Ours::open(servers, count)?;
        Ok(Self { count, bare, ours, upstream, folder: folder.to_owned(), runtime })
    }

    /// How many servers there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn round(&self, batch: usize, round: usize, seconds: f64) -> Result<Round> {
        let request = request(self.upstream, batch)?;
        let mut samples = Vec::new();
        for at in 0..TURNS.len() {
            let turn = TURNS.get((at + round) % TURNS.len()).copied().unwrap_or(Turn::Bare);
            samples.extend(self.runtime.block_on(self.turn(turn, &request, seconds))?);
        }
        Ok(samples)
    }

    async fn turn(&self, turn: Turn, request: &LogEvent, seconds: f64) -> Result<Round> {
        match turn {
            Turn::Bare => self.bare(request, false, Ack::Said, seconds).await,
            Turn::BareWithHeaders => self.bare(request, true, Ack::Confirmed, seconds).await,
            Turn::Queue => {
                let added = measured(self.ours.add(request, seconds)).await?;
                let settled = measured(self.ours.settle(whole(added))).await?;
                Ok(vec![(Case::QueueAdd, added), (Case::QueueSettle, settled)])
            }
            Turn::Pipeline => {
                Ok(vec![(Case::Pipeline, measured(self.ours.deliver(request, seconds)).await?)])
            }
            Turn::Spool => {
                let folder = tempfile::tempdir_in(&self.folder)?;
                Ok(vec![(Case::SpoolAdd, measured(spool(folder.path(), request, seconds)).await?)])
            }
        }
    }

    async fn bare(&self, request: &LogEvent, has_headers: bool, ack: Ack, seconds: f64) -> Result<Round> {
        let published = measured(self.bare.publish(request, has_headers, seconds)).await?;
        let fetched = measured(self.bare.fetch(whole(published), ack)).await?;
        self.bare.purge().await?;
        let publish = if has_headers { Case::BarePublishWithHeaders } else { Case::BarePublish };
        let fetch = if ack == Ack::Confirmed { Case::BareAckConfirmed } else { Case::BareAck };
        Ok(vec![(publish, published), (fetch, fetched)])
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a count")]
fn whole(sample: Sample) -> u64 {
    sample.requests as u64
}
