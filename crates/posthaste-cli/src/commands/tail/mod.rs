//! `posthaste tail`: follows a running collector, through lost connections and without a gap.

mod follow;
mod shown;
mod sse;

use self::follow::Tail;
use crate::common::{
    exit::{Exit, Failure},
    output::{Audience, Output},
    remote::{CollectorUrl, Remote, encoded},
    signals::Uncaught,
};

/// Follow a running collector: a line for each event, as it comes
///
/// Bad events come with what is wrong, where, and how to mend it. A lost connection is taken up where it broke.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste tail http://127.0.0.1:8080
  posthaste tail http://127.0.0.1:8080 --visitor ann --verdict bad
  # Everything that is kept, then what comes, for programs
  posthaste tail http://127.0.0.1:8080 --after 0 --json

Filters must all fit. It goes on until Ctrl-C; the exit code is 1 where there is
no collector to begin with, or it refuses to tell.")]
pub(crate) struct TailArgs {
    /// The collector's URL
    #[arg(value_name = "URL", env = "POSTHASTE_COLLECTOR_URL")]
    url: CollectorUrl,
    #[command(flatten)]
    filters: Filters,
    /// How many of the events that are there already to show first
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: usize,
    /// Show all events that are newer than this one, by its id
    #[arg(long, value_name = "ID", conflicts_with = "last")]
    after: Option<u64>,
    /// Write events as JSON, one a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which events")]
struct Filters {
    /// The visitor's id; ann* is a prefix
    #[arg(long, value_name = "ID")]
    visitor: Option<String>,
    /// The experiment's key or id
    #[arg(long, value_name = "KEY")]
    experiment: Option<String>,
    /// The variation's key or id
    #[arg(long, value_name = "KEY")]
    variation: Option<String>,
    /// The event's key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The flag's key
    #[arg(long, value_name = "KEY")]
    flag: Option<String>,
    /// The event's uuid
    #[arg(long, value_name = "UUID")]
    uuid: Option<String>,
    /// The kind of a problem or a warning that it has
    #[arg(long, value_name = "KIND")]
    problem: Option<String>,
    /// The test session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// What is said of it: good, warned or bad
    #[arg(long, value_name = "VERDICT", value_parser = ["good", "warned", "bad"])]
    verdict: Option<String>,
    /// Text anywhere in the event
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

pub(crate) fn run(args: &TailArgs) -> Result<Exit, Failure> {
    let output = Output::new(Audience::of(args.json));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Uncaught::open()?.catch()?;
        let query = args.filters.query(args.url.session());
        let mut tail = Tail::new(Remote::new(args.url.clone()), query, &output);
        tokio::select! {
            followed = tail.follow(args.after, args.last) => followed,
            () = signals.next() => Ok(()),
        }?;
        tail.end()?;
        Ok(Exit::Fine)
    })
}

impl Filters {
    /// As a query, each with `&` before it. The URL may name a session, too.
    fn query(&self, session: Option<&str>) -> String {
        let session = self.session.as_deref().or(session);
        let pairs = [
            ("visitor", self.visitor.as_deref()),
            ("experiment", self.experiment.as_deref()),
            ("variation", self.variation.as_deref()),
            ("key", self.key.as_deref()),
            ("flag", self.flag.as_deref()),
            ("uuid", self.uuid.as_deref()),
            ("problem", self.problem.as_deref()),
            ("session", session),
            ("verdict", self.verdict.as_deref()),
            ("q", self.text.as_deref()),
        ];
        let given = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.fold(String::new(), |text, (name, value)| text + "&" + name + "=" + &encoded(value))
    }
}
