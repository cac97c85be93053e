//! What the user wants to see: how much is said, and whether there may be colours and motion.
//!
//! Decided once, before anything is written; everybody else asks here.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
    sync::OnceLock,
};

use clap::{ArgAction, ColorChoice};
use tracing_subscriber::filter::LevelFilter;

/// The options that every command has.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "What is shown")]
pub(crate) struct Voice {
    /// Say only what went wrong, besides the result
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log more: -v what is going on, -vv details, -vvv everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Colours and the progress bar: at a terminal, always (the bar still needs a terminal), or never
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    color: Color,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    /// At a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    Always,
    Never,
}

static VOICE: OnceLock<Voice> = OnceLock::new();

impl Voice {
    /// From now on, for the whole process.
    pub(crate) fn settle(self) {
        // The first one counts; there is no second.
        let _ = VOICE.set(self);
    }

    /// What to log, where the command line says it.
    pub(crate) fn log_level(self) -> Option<LevelFilter> {
        match self {
            Self { quiet: true, .. } => Some(LevelFilter::ERROR),
            Self { verbose: 0, .. } => None,
            Self { verbose: 1, .. } => Some(LevelFilter::INFO),
            Self { verbose: 2, .. } => Some(LevelFilter::DEBUG),
            _ => Some(LevelFilter::TRACE),
        }
    }
}

fn voice() -> Voice {
    VOICE.get().copied().unwrap_or_default()
}

/// Whether only what went wrong is to be said.
pub(crate) fn is_quiet() -> bool {
    voice().quiet
}

/// Whether what is logged may have colours.
pub(crate) fn stderr_has_colors() -> bool {
    match voice().color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stderr().is_terminal() && !no_color(),
    }
}

/// Whether stderr is a terminal whose user has not said no to colours and motion.
pub(crate) fn stderr_is_lively() -> bool {
    io::stderr().is_terminal() && stderr_has_colors() && !is_quiet()
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// What `--color` says, for help and errors that are written before the command line has been read.
pub(crate) fn color_choice<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> ColorChoice {
    let mut choice = ColorChoice::Auto;
    let mut is_value = false;
    for arg in args {
        let arg = arg.as_ref().as_encoded_bytes();
        let value = if is_value { Some(arg) } else { arg.strip_prefix(b"--color=") };
        choice = match value {
            Some(b"always") => ColorChoice::Always,
            Some(b"never") => ColorChoice::Never,
            Some(_) => ColorChoice::Auto,
            None => choice,
        };
        is_value = !is_value && arg == b"--color";
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_help_are_found_in_the_arguments() {
        for (args, choice) in [
            (&["posthaste", "--help"][..], ColorChoice::Auto),
            (&["posthaste", "--color", "always", "--help"], ColorChoice::Always),
            (&["posthaste", "--help", "--color=never"], ColorChoice::Never),
            (&["posthaste", "--color=never", "--color", "auto"], ColorChoice::Auto),
            (&["posthaste", "--color"], ColorChoice::Auto),
        ] {
            assert_eq!(color_choice(args), choice, "{args:?}");
        }
    }

    #[test]
    fn the_command_line_says_what_is_logged() {
        let loud = |verbose| Voice { verbose, ..Voice::default() }.log_level();
        assert_eq!(
            [0, 1, 2, 3, 9].map(loud),
            [
                None,
                Some(LevelFilter::INFO),
                Some(LevelFilter::DEBUG),
                Some(LevelFilter::TRACE),
                Some(LevelFilter::TRACE)
            ]
        );
        assert_eq!(Voice { quiet: true, ..Voice::default() }.log_level(), Some(LevelFilter::ERROR));
    }
}
