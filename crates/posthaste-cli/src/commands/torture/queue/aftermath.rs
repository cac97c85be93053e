//! What is left once everybody has ended: dead letters, what still waits, and what the ledger says of it all.

use posthaste::queue::jetstream::{JetStream, Verdict};
use posthaste_oracle::{Cause, Digest, Fact};

use super::{TENANT, stream::Own};
use crate::{
    commands::torture::{books::Books, payload},
    common::exit::Failure,
};

/// Messages or letters that are read at once.
const PAGE: usize = 256;

/// Writes down what is left. Whatever does not add up is returned.
pub(super) fn look(own: &Own, books: &Books) -> Result<Vec<String>, Failure> {
    note_letters(own, books)?;
    note_waiting(own, books)?;
    let ledger = own.patiently(JetStream::ledger)?;
    let differs = ledger.verdict == Verdict::Unbalanced;
    let findings = ledger.findings.into_iter().filter(|_| differs);
    Ok(findings.map(|finding| format!("the ledger does not add up: {finding}")).collect())
}

fn note_letters(own: &Own, books: &Books) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = own.patiently(|stream| stream.dead_letters(TENANT)?.page(after, PAGE))?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        for (_, letter) in &page {
            let cause = Cause::Refused;
            note_all(letter.item.body(), books, |id, digest| Fact::Dead { id, digest, cause });
        }
    }
}

fn note_waiting(own: &Own, books: &Books) -> Result<(), Failure> {
    let mut behind = 0;
    loop {
        let page = own.patiently(|stream| stream.read_behind(behind, PAGE))?;
        let Some(last) = page.last() else { return Ok(()) };
        behind = last.sequence;
        for message in &page {
            match &message.request {
                Ok(request) => note_all(request.body(), books, |id, digest| Fact::Waiting { id, digest }),
                Err(_) => books.note(Fact::Stray { at_ms: 0 }),
            }
        }
    }
}

fn note_all(body: &[u8], books: &Books, fact: impl Fn(u64, Digest) -> Fact) {
    match payload::read(body) {
        None => books.note(Fact::Stray { at_ms: 0 }),
        Some(events) => events.into_iter().for_each(|(id, digest)| books.note(fact(id, digest))),
    }
}
