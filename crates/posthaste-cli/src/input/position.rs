//! How far an input has been read into a spool: the metadata that `send --spool` stores with its records.
//!
//! One JSON object, in the same commit as the records made of what was read. Other programs' metadata is none.

use std::{fs::File, io};

use posthaste::ProjectConfig;
use serde::{Deserialize, Serialize};

use super::place::{Place, Print};
use crate::common::output::grouped;

/// What the metadata says it is.
const FORMAT: &str = "posthaste send";
/// The version that is written, and the only one that is read.
const VERSION: u32 = 2;
/// Metadata is at most 4,000 bytes, of which a character may take six; names are for people, and may be cut.
const NAME_CHARS_MAX: usize = 350;
const ID_CHARS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) format: String,
    pub(crate) version: u32,
    /// Where the input was, for people: it is told by its content.
    pub(crate) input: String,
    /// Behind what was read and dealt with.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// Of the file that the place is in, before it.
    pub(crate) lines: u64,
    /// Of files that came before that one, where a log is followed or several files are read. The counts below are of
    /// all of them.
    pub(crate) earlier_lines: u64,
    /// How many of several files came before it, and what they are told by.
    #[serde(default, skip_serializing_if = "Earlier::are_none")]
    pub(crate) earlier: Earlier,
    pub(crate) event_lines: u64,
    pub(crate) batch_lines: u64,
    #[serde(default)]
    pub(crate) blank_lines: u64,
    pub(crate) rejected: u64,
    /// Events in the records made of those lines.
    pub(crate) events: u64,
    /// `None` without a datafile.
    pub(crate) project: Option<Project>,
    /// Nothing more is to come: the input was read to its end, or its rest was given up.
    pub(crate) done: bool,
    /// Its rest was given up.
    pub(crate) given_up: bool,
}

/// Files that were read to their end, in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Earlier {
    pub(crate) files: u64,
    pub(crate) print: Print,
}

impl Earlier {
    fn are_none(&self) -> bool {
        self.files == 0
    }

    /// And this one, of which so many bytes were read; `None`: it is not as it was.
    pub(crate) fn and(self, file: &File, bytes: u64) -> io::Result<Option<Self>> {
        let print = self.print.and_file(file, bytes)?;
        Ok(print.map(|print| Self { files: self.files + 1, print }))
    }
}

/// The project that event lines were looked up in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Project {
    account: String,
    id: String,
    revision: String,
}

/// Metadata that is no position.
#[derive(Debug, thiserror::Error)]
#[error("it holds what another program, or another version of posthaste, has stored")]
pub(crate) struct Foreign;

impl Position {
    /// Before the first line.
    pub(crate) fn start(input: &str, config: Option<&ProjectConfig>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            input: shortened(input, NAME_CHARS_MAX),
            place: Place::default(),
            lines: 0,
            earlier_lines: 0,
            earlier: Earlier::default(),
            event_lines: 0,
            batch_lines: 0,
            blank_lines: 0,
            rejected: 0,
            events: 0,
            project: config.map(|config| Project {
                account: shortened(config.account_id(), ID_CHARS_MAX),
                id: shortened(config.project_id(), ID_CHARS_MAX),
                revision: shortened(config.revision(), ID_CHARS_MAX),
            }),
            done: false,
            given_up: false,
        }
    }

    /// Reads a spool's metadata.
    pub(crate) fn read(meta: &[u8]) -> Result<Self, Foreign> {
        let position: Self = serde_json::from_slice(meta).map_err(|_| Foreign)?;
        let is_ours = position.format == FORMAT && position.version == VERSION;
        is_ours.then_some(position).ok_or(Foreign)
    }

    pub(crate) fn to_meta(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("JSON with text keys, written to memory, cannot fail")
    }

    /// Whether lines of the two may be of one project. Its revision may change, and a datafile may come later.
    pub(crate) fn is_of_project_of(&self, other: &Self) -> bool {
        let ids = |project: &Project| (project.account.clone(), project.id.clone());
        match (&self.project, &other.project) {
            (Some(ours), Some(theirs)) => ids(ours) == ids(theirs),
            _ => true,
        }
    }

    /// Whether another input may take its place once nothing waits: it is done, or nothing was stored of it.
    pub(crate) fn is_free(&self) -> bool {
        self.done || self.events == 0
    }

    /// Of all files.
    pub(crate) fn lines_in_all(&self) -> u64 {
        self.earlier_lines + self.lines
    }

    /// Which input and how far, in words.
    pub(crate) fn in_words(&self) -> String {
        let Self { input, lines, done, .. } = self;
        let project = self.project.as_ref().map(|project| format!(" (project {})", project.id));
        let project = project.unwrap_or_default();
        let how_far = if *done { "done with at" } else { "read up to" };
        format!("{input:?}{project}, {how_far} line {}", grouped(*lines))
    }
}

fn shortened(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back() {
        let mut position = Position::start("events.jsonl", None);
        (position.place.bytes, position.lines, position.done) = (7, 1, true);
        assert_eq!(Position::read(&position.to_meta()).unwrap(), position);
    }

    #[test]
    fn other_metadata_is_no_position() {
        let of_version = |version| Position { version, ..Position::start("x", None) }.to_meta();
        let (older, newer) = (of_version(VERSION - 1), of_version(VERSION + 1));
        let first = br#"{"format":"posthaste send","version":1,"input":"x","bytes":0,"checksum":0,"lines":0,
            "event_lines":0,"batch_lines":0,"rejected":0,"events":0,"project":null,"done":true}"#;
        for meta in [&b""[..], b"null", b"{}", b"\xff", first, &older, &newer] {
            assert!(Position::read(meta).is_err());
        }
        assert!(Position::read(&of_version(VERSION)).is_ok());
    }

    #[test]
    fn a_position_fits_into_a_spool_whatever_its_names() {
        let position = Position::start(&"\u{1}".repeat(9_000), None);
        assert!(position.to_meta().len() < 4_000);
    }
}
