//! A terminal that says to be a little narrower than it is.
//!
//! A bar is padded to the width of its terminal. The terminal echoes Ctrl-C as `^C` behind it: without room for that, the
//! line would wrap, and what is cleared then would be the line below the bar.

use std::io;

use console::Term;
use indicatif::TermLike;

/// Room for `^C^C`.
const ECHO: u16 = 4;

#[derive(Debug)]
pub(super) struct Narrow(Term);

impl Narrow {
    pub(super) fn stderr() -> Self {
        Self(Term::buffered_stderr())
    }
}

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        TermLike::width(&self.0).saturating_sub(ECHO)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, letters: usize) -> io::Result<()> {
        self.0.move_cursor_right(letters)
    }

    fn move_cursor_left(&self, letters: usize) -> io::Result<()> {
        self.0.move_cursor_left(letters)
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.write_line(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
