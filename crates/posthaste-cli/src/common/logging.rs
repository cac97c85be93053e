//! What the library has to say beyond results: on stderr, as much as -v, -q or `POSTHASTE_LOG` ask for.
//!
//! By level and module alone: filters by span would bring a regular-expression engine, which takes longer to compile than
//! this whole folder.

use std::{
    env::VarError,
    io::{self, Write},
};

use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{bar, exit::Failure, terminal, terminal::Voice};

/// What is logged unless somebody says otherwise, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Warnings and errors, in lines for people.
    Text,
    /// And what the relay does that an operator asked for.
    RelayText,
    /// The same, as a JSON object on each line.
    RelayJson,
}

impl Style {
    fn filter(self) -> Targets {
        let troubles = Targets::new().with_default(LevelFilter::WARN);
        match self {
            Self::Text => troubles,
            Self::RelayText | Self::RelayJson => troubles.with_target("posthaste_relay", LevelFilter::INFO),
        }
    }
}

/// As the style has it, unless the command line or `POSTHASTE_LOG` says otherwise.
pub(crate) fn init(voice: Voice, style: Style) -> Result<(), Failure> {
    let asked = match std::env::var("POSTHASTE_LOG") {
        Ok(text) => filter(&text)?,
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(text)) => return Err(wrong(&text.to_string_lossy())),
    };
    let of = |level| Targets::new().with_default(level);
    let filter = voice.log_level().map(of).or(asked).unwrap_or_else(|| style.filter());
    let layer = tracing_subscriber::fmt::layer().with_writer(|| Stderr);
    let layer = match style {
        Style::Text | Style::RelayText => layer.with_ansi(terminal::stderr_has_colors()).boxed(),
        Style::RelayJson => layer.with_ansi(false).json().flatten_event(true).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    Ok(())
}

/// `None`: nothing is asked for.
fn filter(text: &str) -> Result<Option<Targets>, Failure> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    // A bare word would be taken for the name of a module, and nothing would ever be logged.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let is_known = |part: &str| match part.split_once('=') {
        Some((module, level)) => !module.trim().is_empty() && is_level(level.trim()),
        None => is_level(part.trim()),
    };
    if !text.split(',').all(is_known) {
        return Err(wrong(text));
    }
    text.parse().map(Some).map_err(|_| wrong(text))
}

fn wrong(text: &str) -> Failure {
    Failure::Usage(format!(
        "POSTHASTE_LOG={text:?} cannot be read; give off, error, warn, info, debug or trace, or MODULE=LEVEL such as \
         posthaste=debug, several with commas"
    ))
}

/// Steps around a bar.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bar::beside(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_names_modules() {
        for text in
            ["warn", "OFF", "posthaste=trace", "info,posthaste::delivery=debug", "warn, posthaste=debug"]
        {
            assert!(filter(text).unwrap().is_some(), "{text}");
        }
        for text in ["", " "] {
            assert!(filter(text).unwrap().is_none(), "{text:?}");
        }
        for text in ["loud", "warn,loud", "posthaste", "posthaste=loud", "=", "warn;info", ",", "a=b=c"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
