//! What a run works with.

use std::{path::PathBuf, sync::Arc};

use indicatif::{ProgressBar, ProgressStyle};
use posthaste::{OptionsError, ProjectConfig};

use super::{intake::Progress, metrics};
use crate::{
    common::{
        exit::Failure,
        output::{self, Audience, Output},
    },
    pipeline::{DeadLetterOffice, DeliveryArgs, Keep, Pipeline},
};

/// What a run works with.
pub(crate) struct Job<'a> {
    pub(crate) args: &'a DeliveryArgs,
    /// Counts the attributes that its events left out.
    pub(crate) config: Option<Arc<ProjectConfig>>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) output: Arc<Output>,
    pub(crate) bar: ProgressBar,
    pub(crate) metrics: Option<metrics::Exporter>,
    pub(crate) rejects: Option<Arc<Keep>>,
    pub(crate) dead_letters: Option<Arc<Keep>>,
    pub(crate) office: Arc<DeadLetterOffice>,
    pub(crate) leftover: Option<Arc<Keep>>,
    /// Where what is left stays.
    pub(crate) spool: Option<PathBuf>,
    /// Until it is told to stop.
    pub(crate) follows: bool,
}

impl<'a> Job<'a> {
    /// Opens what a run needs besides its input; the pipeline is started last.
    pub(crate) fn new(
        args: &'a DeliveryArgs,
        length: Option<u64>,
        pipeline: impl FnOnce(&Arc<DeadLetterOffice>) -> Result<Pipeline, OptionsError>,
    ) -> Result<Self, Failure> {
        let metrics = args.metrics.map(metrics::Exporter::listen).transpose()?;
        let dead_letters = args.dead_letters.as_deref().map(Keep::open).transpose()?.map(Arc::new);
        let is_lively = output::stderr_is_lively() && !args.json;
        let bar = if is_lively { bar(length) } else { ProgressBar::hidden() };
        let output = Arc::new(Output::new(Audience::of(args.json)).with_bar(bar.clone()));
        let office = Arc::new(DeadLetterOffice::new(dead_letters.clone(), Arc::clone(&output)));
        Ok(Self {
            args,
            config: None,
            pipeline: Arc::new(pipeline(&office)?),
            progress: Arc::default(),
            output,
            bar,
            metrics,
            rejects: None,
            dead_letters,
            office,
            leftover: None,
            spool: None,
            follows: false,
        })
    }
}

/// A bar over the bytes of the input, or a spinner where nobody knows how many there are.
fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:30} {bytes}/{total_bytes} {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}
