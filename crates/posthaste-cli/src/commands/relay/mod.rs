//! `posthaste relay`: takes what any Optimizely SDK posts, stores it, and delivers it, until told to stop.

mod check;
mod flags;
mod listeners;
mod plan;
mod serve;

use self::flags::Flags;
use crate::common::{
    exit::{Exit, Failure},
    logging::Style,
    output::{Audience, Output},
};

/// Take what any Optimizely SDK posts, store it, and deliver it
///
/// Point SDKs at the printed URL. A request is answered 204 once its events are on disk; from then on they are
/// delivered, however long that takes. With --queue they go on into a stream of NATS, which any number of
/// relays share. SIGHUP reads the files of tokens and accounts anew.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  posthaste relay --upstream us
  # Beside a collector, to try it
  posthaste relay --upstream http://127.0.0.1:8080/v1/events --listen 8090
  # All options in a file
  posthaste relay --config relay.toml
  # In front of a stream that several relays share, and behind it
  posthaste relay --queue nats://127.0.0.1/events --role accept
  posthaste relay --queue nats://127.0.0.1/events --role deliver --upstream us
  # Any free port; the first line says which
  posthaste relay --upstream us --listen 0 --admin 0 --json

Every option of the file can stand in the environment as well, such as
POSTHASTE_RELAY_LISTEN or POSTHASTE_RELAY_LIMITS_BODY_BYTES_MAX. Flags are over
the environment, which is over the file.

Sockets that LISTEN_FDS passes on, as systemd does, take the place of --listen
and --admin: the first is for events, a second one for the admin interface.
While the relay is started again, clients then wait and are not refused."
)]
pub(crate) struct RelayArgs {
    #[command(subcommand)]
    command: Option<RelayCommand>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, clap::Subcommand)]
enum RelayCommand {
    Check(CheckArgs),
    Config(ConfigArgs),
}

/// Say whether a relay with these options would start, and what it would do
///
/// Reads every file, and tries whether the folder can be written. Exits with 0 if all is well, 1 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste relay check --config relay.toml")]
struct CheckArgs {
    #[command(flatten)]
    flags: Flags,
}

/// Print every option that is in force, as a file, and where each comes from
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  # Every option there is, with its default
  posthaste relay config --upstream us
  # What the environment makes of a file
  posthaste relay config --config relay.toml --json")]
struct ConfigArgs {
    #[command(flatten)]
    flags: Flags,
}

impl RelayArgs {
    /// Whether it only looks, and serves nobody.
    pub(crate) fn is_a_look(&self) -> bool {
        self.command.is_some()
    }

    /// How what it has to say is logged.
    pub(crate) fn log_style(&self) -> Style {
        self.flags.log_format.style()
    }
}

pub(crate) fn run(args: &RelayArgs) -> Result<Exit, Failure> {
    match &args.command {
        None => serve::run(&args.flags),
        Some(RelayCommand::Check(CheckArgs { flags })) => check::run(flags),
        Some(RelayCommand::Config(ConfigArgs { flags })) => show(flags),
    }
}

/// Prints what is in force; what is wrong as an error.
fn show(flags: &Flags) -> Result<Exit, Failure> {
    let settings = flags.settings();
    settings.config()?;
    let output = Output::new(Audience::of(flags.json));
    match output.audience() {
        Audience::People => output.say(settings.to_string().trim_end()),
        Audience::Machines => output.say(settings.to_json()),
    }
    Ok(Exit::Fine)
}
