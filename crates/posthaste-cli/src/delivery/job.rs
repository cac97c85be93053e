//! What a run works with.

use std::{path::PathBuf, sync::Arc};

use posthaste::ProjectConfig;

use super::{intake::Progress, metrics};
use crate::{
    common::{
        exit::Failure,
        output::{Audience, Output},
    },
    pipeline::{DeadLetterOffice, DeliveryArgs, Keep, Pipeline},
};

/// How much there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Nobody knows: a stream, or a log that is followed.
    Unknown,
    /// So many bytes, those that earlier runs have read included.
    Bytes(u64),
    /// Nothing is read: what there is to deliver is there.
    Nothing,
}

impl From<Option<u64>> for Length {
    fn from(bytes: Option<u64>) -> Self {
        bytes.map_or(Self::Unknown, Self::Bytes)
    }
}

/// What a run works with.
pub(crate) struct Job<'a> {
    pub(crate) args: &'a DeliveryArgs,
    /// Counts the attributes that its events left out.
    pub(crate) config: Option<Arc<ProjectConfig>>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) output: Arc<Output>,
    pub(crate) length: Length,
    pub(crate) metrics: Option<metrics::Exporter>,
    pub(crate) rejects: Option<Arc<Keep>>,
    pub(crate) dead_letters: Option<Arc<Keep>>,
    pub(crate) office: Arc<DeadLetterOffice>,
    pub(crate) leftover: Option<Arc<Keep>>,
    /// Where what is left stays.
    pub(crate) spool: Option<PathBuf>,
    /// The same, where that is a stream: its address.
    pub(crate) stream: Option<String>,
    /// Until it is told to stop.
    pub(crate) follows: bool,
}

impl<'a> Job<'a> {
    /// Opens what a run needs besides its input; the pipeline is started last.
    pub(crate) fn new(
        args: &'a DeliveryArgs,
        length: Length,
        pipeline: impl FnOnce(&Arc<DeadLetterOffice>) -> Result<Pipeline, Failure>,
    ) -> Result<Self, Failure> {
        let metrics = args.metrics.map(metrics::Exporter::listen).transpose()?;
        let dead_letters = args.dead_letters.as_deref().map(Keep::open).transpose()?.map(Arc::new);
        let output = Arc::new(Output::new(Audience::of(args.json)));
        let office = Arc::new(DeadLetterOffice::new(dead_letters.clone(), Arc::clone(&output)));
        Ok(Self {
            args,
            config: None,
            pipeline: Arc::new(pipeline(&office)?),
            progress: Arc::default(),
            output,
            length,
            metrics,
            rejects: None,
            dead_letters,
            office,
            leftover: None,
            spool: None,
            stream: None,
            follows: false,
        })
    }
}
