//! The commands. Each command's own arguments stand in its own file.

use clap::{CommandFactory, FromArgMatches};

use crate::{
    commands::{
        collect::{self, CollectArgs},
        completions::{self, CompletionsArgs},
        demo::{self, DemoArgs},
        doctor::{self, DoctorArgs},
        expect::{self, ExpectArgs},
        ledger::{self, LedgerArgs},
        man::{self, ManArgs},
        relay::{self, RelayArgs},
        send::{self, SendArgs},
        spool::{self, SpoolArgs},
        tail::{self, TailArgs},
        torture::{self, ChildArgs, PublisherArgs, SenderArgs, TortureArgs},
        validate::{self, ValidateArgs},
    },
    common::{
        descriptors,
        exit::{Exit, Failure},
        logging::{self, Style},
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
    max_term_width = 80,
    after_help = "Examples:
  # See it work, without an account
  posthaste demo
  # Check events before sending them
  posthaste validate --datafile datafile.json events.jsonl
  # Send them
  posthaste send --datafile datafile.json events.jsonl
  # The same, and safe from kills and power cuts
  posthaste send --spool DIR --datafile datafile.json events.jsonl
  # What waits there
  posthaste spool status DIR
  # An Event API for this machine
  posthaste collect --datafile datafile.json
  # Whether an event has come there
  posthaste expect http://127.0.0.1:8080 '{\"key\":\"purchase\"}'
  # What comes to it
  posthaste tail http://127.0.0.1:8080
  # In front of it: stores what SDKs post, and delivers it
  posthaste relay --upstream us
  # What a stream that relays share promises
  posthaste doctor nats://127.0.0.1:4222/events
  # Whether all that went into it is accounted for
  posthaste ledger nats://127.0.0.1:4222/events
  # Kill it, and count what is lost
  posthaste torture --dir DIR

Environment:
  POSTHASTE_DATAFILE  the datafile, where --datafile is not given
  POSTHASTE_ENDPOINT  where to send to, where --endpoint is not given
  POSTHASTE_COLLECTOR_URL
                      the collector that tail follows, where none is given
  POSTHASTE_LOG       what to log on stderr: off, error, warn (default), info,
                      debug or trace; or MODULE=LEVEL, several with commas
  NO_COLOR            no colours, no progress bar

Exit codes: 0 all is well, 1 something failed, 2 wrong usage, 130 quit at once."
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
    Relay(Box<RelayArgs>),
    Collect(Box<CollectArgs>),
    Expect(ExpectArgs),
    Tail(TailArgs),
    Validate(ValidateArgs),
    Doctor(DoctorArgs),
    Ledger(LedgerArgs),
    Torture(TortureArgs),
    #[command(hide = true)]
    TortureChild(ChildArgs),
    #[command(hide = true)]
    TorturePublisher(PublisherArgs),
    #[command(hide = true)]
    TortureSender(SenderArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
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
        let ended = logging::init(self.voice, self.command.log_style()).and_then(|()| self.command.run());
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
            Self::Validate(_) | Self::Man(_) => (descriptors::OF_A_FILE, 0),
            // Some of its commands take more, and say so.
            Self::Spool(_) | Self::Expect(_) | Self::Tail(_) => (descriptors::OF_A_LOOK, 0),
            Self::Relay(args) if args.is_a_look() => (descriptors::OF_A_FILE, 0),
            Self::Collect(args) if args.is_a_look() => (descriptors::OF_A_FILE, 0),
            Self::Collect(_) | Self::Doctor(_) | Self::Ledger(_) | Self::Relay(_) => {
                (descriptors::OF_A_LOOK, threads::OF_A_SERVICE)
            }
            Self::Send(_) | Self::TortureChild(_) | Self::TorturePublisher(_) | Self::TortureSender(_) => {
                (descriptors::OF_A_RUN, threads::OF_A_RUN)
            }
            // Both sides of connections are here.
            Self::Demo(_) => (2 * descriptors::OF_A_RUN, threads::OF_A_RUN),
            // And their threads, in several processes.
            Self::Torture(_) => (2 * descriptors::OF_A_RUN, 4 * threads::OF_A_RUN),
        };
        descriptors::need(descriptors)?;
        threads::need(threads)
    }

    /// How what goes on is logged.
    fn log_style(&self) -> Style {
        match self {
            Self::Relay(args) => args.log_style(),
            _ => Style::Text,
        }
    }

    fn begin(&self) -> Result<Exit, Failure> {
        match self {
            Self::Demo(args) => demo::run(args),
            Self::Send(args) => send::run(args),
            Self::Spool(args) => spool::run(args),
            Self::Relay(args) => relay::run(args),
            Self::Collect(args) => collect::run(args),
            Self::Expect(args) => expect::run(args),
            Self::Tail(args) => tail::run(args),
            Self::Validate(args) => validate::run(args),
            Self::Doctor(args) => doctor::run(args),
            Self::Ledger(args) => ledger::run(args),
            Self::Torture(args) => torture::run(args),
            Self::TortureChild(args) => torture::run_child(args),
            Self::TorturePublisher(args) => torture::run_publisher(args),
            Self::TortureSender(args) => torture::run_sender(args),
            Self::Completions(args) => Ok(completions::run(args, Cli::command())),
            Self::Man(args) => man::run(args, Cli::command()),
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

    /// Every command with its name.
    fn commands(command: &clap::Command, found: &mut Vec<clap::Command>) {
        found.push(command.clone());
        command.get_subcommands().for_each(|command| commands(command, found));
    }

    /// What a shell would run of an example, each with its words.
    fn runs(examples: &str) -> Vec<Vec<String>> {
        let joined = examples.replace("\\\n", " ");
        let lines =
            joined.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with('#'));
        let parts = lines.flat_map(|line| line.split([';', '|', '&'])).map(|part| {
            let run = part.split(['<', '>']).next().unwrap_or_default();
            run.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        });
        parts.filter(|words| words.first().is_some_and(|word| word == "posthaste")).collect()
    }

    #[test]
    fn every_example_is_a_command_line() {
        let mut all = Vec::new();
        commands(&Cli::command(), &mut all);
        let mut count = 0;
        for command in all.iter().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.split_once("Examples:\n").map(|(_, rest)| rest).unwrap_or_default();
            let examples = runs(examples.split("\n\n").next().unwrap_or_default());
            assert!(!examples.is_empty(), "{} has no example", command.get_name());
            for words in examples {
                count += 1;
                let parsed = Cli::command().try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
            }
        }
        assert!(count > 30, "{count}");
    }
}
