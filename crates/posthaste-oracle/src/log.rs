//! Facts as lines of text, through a pipe or a file: what a process that is killed at any moment has said up to then.
//!
//! Each line is handed to the system whole before the producer goes on, so that a missing line was never acted upon. The
//! last line of a killed process may be torn; a line that is whole and means nothing is an error.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::{BadFact, Fact};

/// Where facts are written, from any number of threads. Append-only.
#[derive(Debug)]
pub struct FactLog<W>(Mutex<W>);

/// No fact is longer.
const LINE_BYTES_MAX: u64 = 256;

impl<W: Write> FactLog<W> {
    /// Writes to this.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }

    /// Writes a fact. When this returns, the fact is out of this process's hands.
    pub fn note(&self, fact: &Fact) -> io::Result<()> {
        let line = format!("{fact}\n");
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(line.as_bytes())?;
        writer.flush()
    }
}

impl FactLog<File> {
    /// Goes on with a file, made if it is not there. What a killed process left of its last line is ended, and stays torn.
    pub fn append_to(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self::new(file))
    }
}

/// Reads facts, one after the other, as far as they are whole.
#[derive(Debug)]
pub struct Facts<R> {
    lines: R,
    torn: u64,
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file or pipe cannot be read.
    #[error("failed to read the facts: {0}")]
    Read(#[from] io::Error),
    /// A whole line means nothing.
    #[error(transparent)]
    Bad(#[from] BadFact),
}

impl<R: BufRead> Facts<R> {
    /// Reads from this.
    pub fn new(lines: R) -> Self {
        Self { lines, torn: 0 }
    }

    /// How many torn lines have been passed over.
    pub fn torn(&self) -> u64 {
        self.torn
    }

    /// The next line that is whole; `None` at the end.
    fn next_whole(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut line = Vec::new();
            (&mut self.lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
            match line.strip_suffix(b"\n") {
                Some(whole) if whole.ends_with(b" .") => return Ok(Some(whole.to_vec())),
                _ if line.is_empty() => return Ok(None),
                _ => self.torn += 1,
            }
        }
    }
}

impl<R: BufRead> Iterator for Facts<R> {
    type Item = Result<Fact, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_whole().transpose()?;
        Some(line.map_err(LogError::from).and_then(|line| {
            let text = String::from_utf8_lossy(&line);
            text.parse().map_err(LogError::from)
        }))
    }
}
