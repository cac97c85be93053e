//! `posthaste spool cat`: the way out of a spool that needs nothing but a shell.

use std::{path::PathBuf, sync::Arc};

use posthaste::{
    Context, EventKind, LogEvent, ProjectConfig, RawBatch, UserEvent, Visitor, create_event_context,
};

use super::look::{self, look};
use crate::{
    common::{
        datafile,
        exit::{Exit, Failure},
        output::Lines,
    },
    lines,
};

/// Write what waits as lines that `send` reads, oldest first
///
/// Each line is a request as it would be sent, with uuids and times: sending it again counts once. With --datafile,
/// events are written by their keys instead. The spool stays as it is; lines that its owner delivers meanwhile may be
/// among those that are written. Lost and unreadable records are counted on stderr, and make the exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste spool cat DIR > batches.jsonl
  posthaste spool cat DIR --datafile datafile.json > events.jsonl
  posthaste spool cat DIR | \\
      posthaste send --endpoint http://127.0.0.1:8080/v1/events")]
pub(super) struct CatArgs {
    /// The spool's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write events by the keys of this datafile, and others as they are
    #[arg(long, value_name = "FILE")]
    datafile: Option<PathBuf>,
}

pub(super) fn run(args: &CatArgs) -> Result<Exit, Failure> {
    let config = args.datafile.as_deref().map(datafile::read).transpose()?;
    let keys = config.map(Keys::new);
    let mut found = look(&args.dir)?;
    let mut lines = Lines::new();
    let mut unreadable = 0;
    for record in found.records() {
        match look::request(&record?.bytes) {
            Err(_) => unreadable += 1,
            Ok(request) => {
                let written = keys.as_ref().and_then(|keys| keys.event_lines(&request));
                lines.put(&written.unwrap_or_else(|| [request.body(), &b"\n"[..]].concat()))?;
            }
        }
        if lines.is_closed() {
            return Ok(Exit::Fine);
        }
    }
    lines.end()?;
    unreadable += found.status().unreadable_records;
    Ok(look::told(look::newly_lost(&found), unreadable, "records"))
}

/// The way back from ids to keys.
struct Keys {
    config: ProjectConfig,
    context: Arc<Context>,
}

impl Keys {
    fn new(config: ProjectConfig) -> Self {
        Self { context: create_event_context(&config), config }
    }

    /// The request's events, a line each; `None` where one of them is not the project's, or not as posthaste makes
    /// them.
    fn event_lines(&self, request: &LogEvent) -> Option<Vec<u8>> {
        let batch = RawBatch::parse(request.body()).ok()?;
        let is = |field: &str, id: &str| {
            let named = batch.field(field).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
            named.as_deref() == Some(id)
        };
        if !is("account_id", self.config.account_id()) || !is("project_id", self.config.project_id()) {
            return None;
        }
        let mut lines = Vec::new();
        for visitor in batch.visitors() {
            let visitor: Visitor = serde_json::from_str(visitor.get()).ok()?;
            let event = UserEvent::from_visitor(Arc::clone(&self.context), &visitor).ok()?;
            lines.extend(self.knows(&event).then(|| lines::event_line(&event, &self.config))?);
        }
        Some(lines)
    }

    fn knows(&self, event: &UserEvent) -> bool {
        match event.kind() {
            EventKind::Impression(impression) => {
                let experiment = self.config.experiment_by_id(impression.experiment_id());
                experiment.is_some_and(|experiment| {
                    impression.variation_id().is_none_or(|id| experiment.variation_by_id(id).is_some())
                })
            }
            EventKind::Conversion(conversion) => self.config.event_by_key(conversion.key()).is_some(),
        }
    }
}
