//! The run: each round does every case with every peer, one after the other, so that all meet the same weather. Peers
//! change places from round to round. What comes out is written as JSON, as Markdown and as plots.

mod case;
mod markdown;
mod peer;
mod plot;
mod results;

use std::{
    fs,
    io::{Error, Result, Write},
    path::{Path, PathBuf},
};

pub(crate) use case::Deliver;
use case::{Case, cases};
use peer::{Answer, Peer, peers};
use results::Results;

use crate::{process::Server, send, work::Files};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// A folder for the results: results.json, section.md, and a plot for each thing that is measured.
    #[arg(long)]
    out: PathBuf,
    /// A Markdown file whose section between the markers is replaced by the tables.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// How often everything is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long events are delivered in each measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Events queued, in thousands.
    #[arg(long, default_value_t = 1_000)]
    thousand: usize,
    /// Commits of the spool and of `SQLite` in each round.
    #[arg(long, default_value_t = 1_500)]
    commits: usize,
    /// One round of few cases.
    #[arg(long)]
    quick: bool,
    /// Another build of posthaste-bench, as a further peer.
    #[arg(long)]
    before: Option<PathBuf>,
    /// The `posthaste` program, to measure `posthaste send` too.
    #[arg(long)]
    posthaste: Option<PathBuf>,
    /// The benchmark of the spool, to compare it with `SQLite`.
    #[arg(long)]
    spool: Option<PathBuf>,
    /// Where the JavaScript and the Python SDK are, as scripts/sdks installs them.
    #[arg(long)]
    sdks: Option<PathBuf>,
    /// The driver of the Go package, built with a checkout of it.
    #[arg(long)]
    go: Option<PathBuf>,
    /// What was started, to be written down.
    #[arg(long, default_value = "posthaste-bench compare")]
    command_line: String,
    /// What else is to be written down: revision, compiler, day.
    #[arg(long, default_value = "")]
    about: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    fs::create_dir_all(&arguments.out)?;
    let work = tempfile::tempdir()?;
    let files = Files::write(work.path())?;
    let peers = peers(arguments)?;
    let mut results = Results::new(arguments, &peers);
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    for round in 0..rounds {
        for case in cases(arguments) {
            for at in 0..peers.len() {
                let peer = peers.get((at + round) % peers.len()).expect("within");
                if !peer.is_ours() && case.is_of_ours_alone() {
                    continue;
                }
                let answer = measure(arguments, work.path(), &files, &case, peer)?;
                tell(&format!("round {}, {case}, {}: {answer}", round + 1, peer.name))?;
                results.add(&case, peer, answer);
            }
        }
    }
    results.derive();
    write(arguments, &results)?;
    tell(&results.summary())
}

fn measure(arguments: &Arguments, work: &Path, files: &Files, case: &Case, peer: &Peer) -> Result<Answer> {
    let failed = |error: Error| Error::other(format!("{case}, {}: {error}", peer.name));
    let answer = match case {
        Case::Enqueue { threads } => peer.enqueue(files, case::thousands(arguments), *threads),
        Case::Deliver(how) => {
            let server = Server::start(how.delay_ms)?;
            peer.deliver(files, &server.url, case::seconds(arguments), how)
        }
        Case::Send { posthaste, how } => {
            send::measure(posthaste, work, how, case::send_seconds(arguments)).map(Answer::Figures)
        }
        Case::Spool { program } => peer::spool(program, &arguments.out, case::commits(arguments)),
    };
    answer.map_err(failed)
}

fn write(arguments: &Arguments, results: &Results) -> Result<()> {
    let out = &arguments.out;
    fs::write(out.join("results.json"), serde_json::to_string_pretty(results).map_err(Error::other)? + "\n")?;
    let plots = plot::all(results);
    for plot in &plots {
        fs::write(out.join(format!("{}.svg", plot.name)), &plot.svg)?;
    }
    let section = markdown::section(results, &plots);
    fs::write(out.join("section.md"), &section)?;
    let Some(path) = &arguments.markdown else { return Ok(()) };
    let text = fs::read_to_string(path)?;
    let replaced = markdown::replace(&text, &section)
        .ok_or_else(|| Error::other(format!("{}: the markers are missing", path.display())))?;
    fs::write(path, replaced)
}

fn tell(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
