//! The bar at the bottom of a terminal. Whatever else is written steps around it.
//!
//! Invariants: there is one bar at most; it is drawn only at a lively terminal; once it is dropped, or the command is
//! interrupted, nothing of it is left on the screen.

use std::{io::Read, os::unix::net::UnixStream, thread, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    low_level::{emulate_default_handler, pipe},
};

use super::{narrow::Narrow, terminal, threads};

/// How often it is drawn at most.
const REDRAWN_HZ: u8 = 20;
/// The one that is drawn.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

#[derive(Debug)]
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// None at all.
    pub(crate) fn hidden() -> Self {
        Self(None)
    }

    /// Of a command that catches signals itself.
    pub(crate) fn show(length: u64, template: &str) -> Self {
        if !terminal::stderr_is_lively() {
            return Self::hidden();
        }
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Narrow::stderr()), REDRAWN_HZ);
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style(template));
        *SHOWN.lock() = Some(bar.clone());
        Self(Some(bar))
    }

    /// Of a command that signals end at once.
    pub(crate) fn show_until_interrupted(length: u64, template: &str) -> Self {
        let bar = Self::show(length, template);
        if bar.is_shown() {
            // Without it, an interrupted command leaves its bar behind: that is no reason to fail.
            drop(clear_when_interrupted());
        }
        bar
    }

    /// Shows that something is going on whose length nobody knows.
    pub(crate) fn working(on: &'static str) -> Self {
        // The bar's own thread is started in a way that panics.
        if !threads::can_be_started() {
            return Self::hidden();
        }
        let bar = Self::show_until_interrupted(0, "{spinner} {msg}");
        if let Self(Some(bar)) = &bar {
            bar.set_message(on);
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        bar
    }

    pub(crate) fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn set(&self, done: u64, length: u64) {
        if let Self(Some(bar)) = self {
            bar.set_length(length.max(1));
            bar.set_position(done);
        }
    }

    pub(crate) fn set_message(&self, message: impl Into<String>) {
        if let Self(Some(bar)) = self {
            bar.set_message(message.into());
        }
    }

    /// Says how it stands in one line, and in another, where there is something to say, why it stands still.
    pub(crate) fn set_lines(&self, (one, other): (&str, &str), first: String, second: String) {
        if let Self(Some(bar)) = self {
            bar.set_style(style(if second.is_empty() { one } else { other }));
            bar.set_prefix(first);
            bar.set_message(second);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_shown() {
            clear();
        }
    }
}

/// Writes something while no bar is in the way.
pub(crate) fn beside<T>(write: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().clone();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}

fn clear() {
    let shown = SHOWN.lock().take();
    if let Some(bar) = shown {
        bar.finish_and_clear();
    }
}

/// The process dies of the signal all the same.
fn clear_when_interrupted() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        let (mut reader, writer) = UnixStream::pair()?;
        let watch = move || {
            if matches!(reader.read(&mut [0]), Ok(1..)) {
                clear();
                drop(emulate_default_handler(signal));
            }
        };
        // First somebody who reads: a signal that nobody reads of would be lost.
        thread::Builder::new().spawn(watch)?;
        pipe::register(signal, writer)?;
    }
    Ok(())
}
