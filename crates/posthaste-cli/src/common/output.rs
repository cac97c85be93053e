//! The only place that writes to the terminal: results on stdout, for people or as JSON; everything else on stderr.
//!
//! A reader that went away (a closed pipe) is no reason to stop delivering, and neither is a full disk under stdout, so
//! nothing here fails; but of a result that could not be written, the exit code tells.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use serde::Serialize;

use super::{
    bar::{self, Bar},
    exit::{Exit, Failure},
    terminal,
};

/// Troubles of a kind that are reported one by one; the others are counted.
pub(crate) const REPORTED_MAX: u64 = 20;

/// Something that stdout would not take, though somebody reads it.
static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// How a command ended, considering what became of its results.
pub(crate) fn concluded(exit: Exit) -> Exit {
    if exit != Exit::Fine || !UNWRITTEN.load(Relaxed) {
        return exit;
    }
    // Nobody may be there to read this either.
    drop(writeln!(io::stderr().lock(), "posthaste: failed to write the result to stdout; is its disk full?"));
    Exit::Failed
}

/// Whom the results are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    People,
    Machines,
}

impl Audience {
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Machines } else { Self::People }
    }
}

/// Where a command speaks.
#[derive(Debug)]
pub(crate) struct Output {
    audience: Audience,
}

impl Output {
    pub(crate) fn new(audience: Audience) -> Self {
        Self { audience }
    }

    pub(crate) fn audience(&self) -> Audience {
        self.audience
    }

    /// The result, in the form that was asked for.
    pub(crate) fn result<T: Serialize + Display>(&self, result: &T) {
        match self.audience {
            Audience::People => self.say(result),
            Audience::Machines => self.say_json(result),
        }
    }

    /// A result for machines alone.
    pub(crate) fn say_json(&self, result: &impl Serialize) {
        self.say(json(result));
    }

    /// A line for people; machines do not need it.
    pub(crate) fn tell(&self, line: impl Display) {
        if self.audience == Audience::People {
            self.say(line);
        }
    }

    /// A line beside the result for people; machines do not need it.
    pub(crate) fn tell_aside(&self, line: impl Display) {
        if self.audience == Audience::People {
            self.inform(line);
        }
    }

    /// A line on stderr: what is going on, where that is no trouble.
    pub(crate) fn inform(&self, line: impl Display) {
        if !terminal::is_quiet() {
            self.note(line);
        }
    }

    /// A line on stdout.
    #[expect(clippy::unused_self, reason = "only who was given an output speaks")]
    pub(crate) fn say(&self, line: impl Display) {
        bar::beside(|| {
            let mut stdout = io::stdout().lock();
            if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush())
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                UNWRITTEN.store(true, Relaxed);
            }
        });
    }

    /// A line on stderr: what went wrong, or what nobody should miss.
    #[expect(clippy::unused_self, reason = "only who was given an output speaks")]
    pub(crate) fn note(&self, line: impl Display) {
        bar::beside(|| drop(writeln!(io::stderr().lock(), "{line}")));
    }
}

/// Many lines on stdout, of a command whose result they are: unlike above, what cannot be written is an error, but for
/// a reader that went away.
#[derive(Debug)]
pub(crate) struct Lines {
    stdout: io::BufWriter<io::Stdout>,
    closed: bool,
    /// Where the lines themselves do not show it.
    _working: Bar,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let is_shown = io::stdout().is_terminal();
        Self {
            stdout: io::BufWriter::with_capacity(64 * 1_024, io::stdout()),
            closed: false,
            _working: if is_shown { Bar::hidden() } else { Bar::working("writing") },
        }
    }

    /// Lines that are waited for: each look at them shows all that there are.
    pub(crate) fn as_they_come() -> Self {
        let stdout = io::BufWriter::with_capacity(64 * 1_024, io::stdout());
        Self { stdout, closed: false, _working: Bar::hidden() }
    }

    /// Writes out what has been put.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.stdout.flush();
        self.check(flushed)
    }

    /// Writes a line, or several, their ends included.
    pub(crate) fn put(&mut self, line: &[u8]) -> Result<(), Failure> {
        let written = self.stdout.write_all(line);
        self.check(written)
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.flush()
    }

    fn check(&mut self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => return Err(Failure::Stdout(error)),
            Ok(()) => {}
        }
        Ok(())
    }
}

/// Writing our own results as JSON cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("JSON with text keys, written to memory, cannot fail")
}

/// Shows how much of something is done, at a terminal, until it is dropped.
#[derive(Debug)]
pub(crate) struct Percentage(Bar);

impl Percentage {
    pub(crate) fn of(what: &'static str) -> Self {
        let bar = Bar::show_until_interrupted(1, "{msg} {percent}%");
        bar.set_message(what);
        Self(bar)
    }

    /// So much is done, of so much.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.0.set(done, total);
    }
}

/// What could not be had of a spool, in words: `5 lost, 2 unreadable`. Plain numbers, which programs look for. `None`:
/// everything was there.
pub(crate) fn losses(lost: u64, unreadable: u64) -> Option<String> {
    match (lost, unreadable) {
        (0, 0) => None,
        (lost, 0) => Some(format!("{lost} lost")),
        (0, unreadable) => Some(format!("{unreadable} unreadable")),
        (lost, unreadable) => Some(format!("{lost} lost, {unreadable} unreadable")),
    }
}

/// Text of others on one line, as it is but for what could drive a terminal or hide in one.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.trim().chars() {
        match char {
            '\n' | '\r' | '\t' => plain.push(' '),
            char if char.is_control() || is_invisible(char) => plain.extend(char.escape_unicode()),
            char => plain.push(char),
        }
    }
    plain
}

/// Marks that turn the direction of text, or take no room.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what it counts, in the singular where it is one.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_stays_as_it_is_and_cannot_drive_a_terminal() {
        for (text, said) in [
            (r#"{"error": "no \"x\""}"#, r#"{"error": "no \"x\""}"#),
            (" two\r\nlines\t", "two  lines"),
            ("\u{1b}[2J", r"\u{1b}[2J"),
            ("a\u{202e}b\u{200b}", r"a\u{202e}b\u{200b}"),
            ("größer → 🚀", "größer → 🚀"),
        ] {
            assert_eq!(plain(text), said);
        }
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
