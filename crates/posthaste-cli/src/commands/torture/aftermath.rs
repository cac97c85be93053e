//! What the dead process leaves: dead letters, what still waits, and what the tools say of it all.

use std::{ffi::OsStr, path::Path};

use posthaste_oracle::{Cause, Fact};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    books::Books,
    observe::{Observed, observe},
    payload,
    readers::PATIENCE,
};
use crate::common::exit::Failure;

/// A line of `spool dead`.
#[derive(Deserialize)]
struct Letter<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    reason: String,
}

/// What `spool status` says.
#[derive(Deserialize, Default)]
struct Status {
    records: u64,
    dead_letters: u64,
}

/// Why an event is dead although nobody need have refused it: it was told at once that it could not be kept.
const EXCUSED: &str = "not_stored";

/// Writes down what is left. Whatever the tools complain of is returned.
pub(super) fn look(dir: &Path, books: &Books) -> Result<Vec<String>, Failure> {
    let mut troubles = Vec::new();
    let (mut letters, mut waiting) = (0, 0);
    let dead = spool("dead", dir, None, |line| {
        letters += 1;
        note_letter(line, books);
    })?;
    let cat = spool("cat", dir, None, |line| {
        waiting += 1;
        note_all(line, books, |id, digest| Fact::Waiting { id, digest });
    })?;
    let verify = spool("verify", dir, None, |_| {})?;
    let mut status = Status::default();
    let told = spool("status", dir, Some("--json"), |line| {
        status = serde_json::from_slice(line).unwrap_or_default();
    })?;
    for (name, observed) in [("dead", dead), ("cat", cat), ("verify", verify), ("status", told)] {
        if !observed.is_fine() {
            troubles.push(format!("spool {name} failed after the end: {}", observed.said));
        }
    }
    if (status.records, status.dead_letters) != (waiting, letters) {
        troubles.push(format!(
            "spool status says {} waiting and {} dead, and there are {waiting} and {letters}",
            status.records, status.dead_letters
        ));
    }
    Ok(troubles)
}

fn spool(
    command: &str,
    dir: &Path,
    option: Option<&str>,
    on_line: impl FnMut(&[u8]) + Send,
) -> Result<Observed, Failure> {
    let mut args = vec![OsStr::new("spool"), OsStr::new(command), dir.as_os_str()];
    args.extend(option.map(OsStr::new));
    Ok(observe(&args, PATIENCE, on_line)?)
}

fn note_letter(line: &[u8], books: &Books) {
    let Ok(Letter { event, reason }) = serde_json::from_slice(line) else {
        return books.note(Fact::Stray { at_ms: 0 });
    };
    let cause = if reason == EXCUSED { Cause::Excused } else { Cause::Refused };
    note_all(event.get().as_bytes(), books, |id, digest| Fact::Dead { id, digest, cause });
}

fn note_all(body: &[u8], books: &Books, fact: impl Fn(u64, posthaste_oracle::Digest) -> Fact) {
    match payload::read(body) {
        None => books.note(Fact::Stray { at_ms: 0 }),
        Some(events) => events.into_iter().for_each(|(id, digest)| books.note(fact(id, digest))),
    }
}
