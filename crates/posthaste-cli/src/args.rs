//! The commands, and the forms of argument that they share. Each command's own arguments stand in its own file.

use std::{
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use posthaste::ProjectConfig;

use crate::{
    collect::{self, CollectArgs},
    completions::{self, CompletionsArgs},
    demo::{self, DemoArgs},
    exit::{Exit, Failure},
    output::{Audience, Output},
    send::{self, SendArgs},
    spool::{self, SpoolArgs},
    torture::{self, ChildArgs, TortureArgs},
    validate::{self, ValidateArgs},
};

/// Delivers experiment events to Optimizely's Event API, and accounts for every one
#[derive(Debug, clap::Parser)]
#[command(
    name = "posthaste",
    version,
    max_term_width = 100,
    after_help = "Examples:
  posthaste demo                                                    see it work, without an account
  posthaste validate --datafile datafile.json events.jsonl          check events before sending them
  posthaste send --datafile datafile.json events.jsonl              send them
  posthaste send --spool DIR --datafile datafile.json events.jsonl  the same, and safe from kills and power cuts
  posthaste spool status DIR                                        what waits there
  posthaste collect --datafile datafile.json                        an Event API for this machine
  posthaste torture --dir DIR                                       kill it, and count what is lost

Environment:
  POSTHASTE_LOG  how much to log on stderr: error, warn (default), info, debug, trace
  NO_COLOR       no colours, no progress bar

Exit codes: 0 all is well, 1 something failed, 2 wrong usage, 130 stopped at once."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What each is for stands with its arguments, in its own file.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Send(Box<SendArgs>),
    Spool(SpoolArgs),
    Collect(CollectArgs),
    Validate(ValidateArgs),
    Torture(TortureArgs),
    #[command(hide = true)]
    TortureChild(ChildArgs),
    Completions(CompletionsArgs),
}

impl Command {
    /// Runs the command; an error is one line on stderr.
    pub(crate) fn run(&self) -> Exit {
        let ended = match self {
            Self::Demo(args) => demo::run(args),
            Self::Send(args) => send::run(args),
            Self::Spool(args) => spool::run(args),
            Self::Collect(args) => collect::run(args),
            Self::Validate(args) => validate::run(args),
            Self::Torture(args) => torture::run(args),
            Self::TortureChild(args) => torture::run_child(args),
            Self::Completions(args) => Ok(completions::run(args)),
        };
        ended.unwrap_or_else(|failure| {
            Output::new(Audience::People).note(format_args!("posthaste: {failure}"));
            failure.exit()
        })
    }
}

/// A span of time, such as `500ms`, `30s` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let example = "give a time such as 500ms, 30s or 2m";
    let span: jiff::SignedDuration = text.parse().map_err(|_| example.to_owned())?;
    Duration::try_from(span).map_err(|_| format!("a time cannot be negative; {example}"))
}

/// A length of time that is one: of nothing nothing can come.
pub(crate) fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time < Duration::from_millis(1) => {
            Err("give 1ms at least, such as 500ms, 30s or 2m".to_owned())
        }
        time => Ok(time),
    }
}

/// A number of things, one at least.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("give 1 at least".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("give a number, such as 10".to_owned()),
    }
}

/// An address to listen on: `HOST:PORT`, or a port alone, which means this machine only.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let first = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    first.ok_or_else(|| "give HOST:PORT or a port, such as 127.0.0.1:8080 or 8080".to_owned())
}

/// Reads a datafile from disk.
pub(crate) fn datafile(path: &Path) -> Result<ProjectConfig, Failure> {
    let named = || PathBuf::from(path);
    let text = std::fs::read(path).map_err(|source| Failure::Read { path: named(), source })?;
    ProjectConfig::from_datafile(text).map_err(|source| Failure::Datafile { path: named(), source })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1h 5s", 3_605_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "30", "-1s", "soon", "1 fortnight"] {
            assert!(duration(text).is_err() && some_time(text).is_err(), "{text}");
        }
        assert!(some_time("0s").is_err() && some_time("1ns").is_err() && some_time("1ms").is_ok());
        assert!(at_least_one("0").is_err() && at_least_one("x").is_err() && at_least_one("7") == Ok(7));
    }

    #[test]
    fn an_address_is_a_port_or_a_host_with_one() {
        assert_eq!(address("8080"), Ok(SocketAddr::from(([127, 0, 0, 1], 8080))));
        assert_eq!(address("0.0.0.0:0"), Ok(SocketAddr::from(([0, 0, 0, 0], 0))));
        assert!(address("nowhere").is_err());
        assert!(address("70000").is_err());
    }
}
