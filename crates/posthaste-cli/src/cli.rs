//! The commands. Each command's own arguments stand in its own file.

use clap::{CommandFactory, FromArgMatches};

use crate::{
    commands::{
        collect::{self, CollectArgs},
        completions::{self, CompletionsArgs},
        demo::{self, DemoArgs},
        send::{self, SendArgs},
        spool::{self, SpoolArgs},
        torture::{self, ChildArgs, TortureArgs},
        validate::{self, ValidateArgs},
    },
    common::{
        descriptors,
        exit::{Exit, Failure},
        logging,
        output::{Audience, Output},
        terminal::{self, Voice},
        threads,
    },
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
    command: Command,
    #[command(flatten)]
    voice: Voice,
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

impl Cli {
    /// Reads the command line; help and what clap refuses end the process.
    pub(crate) fn read() -> Self {
        let choice = terminal::color_choice(std::env::args_os());
        let matches = Self::command().color(choice).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Runs the command; an error is one line on stderr.
    pub(crate) fn run(&self) -> Exit {
        self.voice.settle();
        let ended = logging::init(self.voice).and_then(|()| self.command.run());
        ended.unwrap_or_else(|failure| {
            Output::new(Audience::People).note(format_args!("posthaste: {failure}"));
            failure.exit()
        })
    }
}

impl Command {
    fn run(&self) -> Result<Exit, Failure> {
        self.check_room()?;
        self.begin()
    }

    /// Refuses to begin with fewer descriptors and threads than the command takes.
    fn check_room(&self) -> Result<(), Failure> {
        let (descriptors, threads) = match self {
            Self::Completions(_) => (0, 0),
            Self::Validate(_) => (descriptors::OF_A_FILE, 0),
            // Some of its commands take more, and say so.
            Self::Spool(_) => (descriptors::OF_A_LOOK, 0),
            Self::Collect(_) => (descriptors::OF_A_LOOK, threads::OF_A_SERVICE),
            Self::Send(_) | Self::TortureChild(_) => (descriptors::OF_A_RUN, threads::OF_A_RUN),
            // Both sides of connections are here.
            Self::Demo(_) => (2 * descriptors::OF_A_RUN, threads::OF_A_RUN),
            // And their threads, in several processes.
            Self::Torture(_) => (2 * descriptors::OF_A_RUN, 4 * threads::OF_A_RUN),
        };
        descriptors::need(descriptors)?;
        threads::need(threads)
    }

    fn begin(&self) -> Result<Exit, Failure> {
        match self {
            Self::Demo(args) => demo::run(args),
            Self::Send(args) => send::run(args),
            Self::Spool(args) => spool::run(args),
            Self::Collect(args) => collect::run(args),
            Self::Validate(args) => validate::run(args),
            Self::Torture(args) => torture::run(args),
            Self::TortureChild(args) => torture::run_child(args),
            Self::Completions(args) => Ok(completions::run(args, Cli::command())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
