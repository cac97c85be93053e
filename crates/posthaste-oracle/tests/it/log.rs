//! Facts written down, and read back whatever is torn.

use std::io::Cursor;

use posthaste_oracle::{Answer, Cause, Fact, FactLog, Facts, Ledger, LogError};

use crate::verdicts::digest;

fn every_kind() -> Vec<Fact> {
    let (run, id, digest) = (4, u64::MAX, digest(5));
    let ledger = Ledger { recovered: 1, accepted: 2, delivered: 3, dead: 4, queued: 5, refused: 6 };
    let mut facts = vec![
        Fact::Started { run },
        Fact::Claimed { run, id, digest },
        Fact::Fresh { id },
        Fact::Accepted { run, id },
        Fact::Stored { run, id },
        Fact::NotStored { run, id },
        Fact::Refused { run, id },
        Fact::Stray { at_ms: 12 },
        Fact::Waiting { id, digest },
        Fact::Reported { run, ledger },
        Fact::Killed { run },
        Fact::Ended { run },
    ];
    for answer in [Answer::Taken, Answer::NotNow, Answer::Refused, Answer::RefusedInCompany] {
        facts.push(Fact::Arrived { id, digest, answer, at_ms: u64::MAX });
    }
    facts.extend([Cause::Refused, Cause::Excused].map(|cause| Fact::Dead { id, digest, cause }));
    facts
}

fn text(facts: &[Fact]) -> String {
    facts.iter().fold(String::new(), |text, fact| text + &fact.to_string() + "\n")
}

fn read(text: &[u8]) -> (Vec<Fact>, u64) {
    let mut facts = Facts::new(Cursor::new(text));
    let whole = facts.by_ref().collect::<Result<_, _>>().unwrap();
    (whole, facts.torn())
}

#[test]
fn every_fact_survives_being_written_down() {
    let facts = every_kind();
    assert_eq!(read(text(&facts).as_bytes()), (facts, 0));
}

#[test]
fn a_log_cut_anywhere_holds_the_facts_before_the_cut() {
    let facts = every_kind();
    let text = text(&facts);
    for cut in 0..text.len() {
        let (whole, torn) = read(&text.as_bytes()[..cut]);
        assert_eq!(whole, facts[..whole.len()], "cut at {cut}");
        let whole_bytes: usize = whole.iter().map(|fact| fact.to_string().len() + 1).sum();
        assert_eq!(torn, u64::from(whole_bytes < cut), "cut at {cut}");
        assert!(whole.len() == text[..cut].matches('\n').count());
    }
}

#[test]
fn a_process_goes_on_behind_what_a_killed_one_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts");
    FactLog::append_to(&path).unwrap().note(&Fact::Started { run: 1 }).unwrap();
    let mut torn = std::fs::read(&path).unwrap();
    torn.extend_from_slice(b"claim 1 12");
    std::fs::write(&path, torn).unwrap();
    let log = FactLog::append_to(&path).unwrap();
    log.note(&Fact::Started { run: 2 }).unwrap();
    drop(log);
    FactLog::append_to(&path).unwrap().note(&Fact::Ended { run: 2 }).unwrap();
    let facts = vec![Fact::Started { run: 1 }, Fact::Started { run: 2 }, Fact::Ended { run: 2 }];
    assert_eq!(read(&std::fs::read(&path).unwrap()), (facts, 1));
}

#[test]
fn threads_share_a_log_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("facts");
    let log = FactLog::append_to(&path).unwrap();
    let note = |run| (0..500).for_each(|id| log.note(&Fact::Accepted { run, id }).unwrap());
    std::thread::scope(|scope| {
        let note = &note;
        (1..=4).for_each(|run| drop(scope.spawn(move || note(run))));
    });
    let (facts, torn) = read(&std::fs::read(&path).unwrap());
    assert_eq!((facts.len(), torn), (2_000, 0));
}

#[test]
fn a_whole_line_that_means_nothing_is_an_error() {
    for line in [
        "dance 1 .",
        "claim 1 2 .",
        "claim 1 2 xyz .",
        "claim 1 2 00ff 3 .",
        "claim  1 2 00ff .",
        "start -1 .",
        "arrive 1 00ff maybe 3 .",
        "dead 1 00ff bored .",
        " .",
        "ledger 1 2 3 4 5 6 .",
        "start 1 . .",
    ] {
        let read: Result<Vec<_>, _> = Facts::new(Cursor::new(format!("{line}\n"))).collect();
        assert!(matches!(read, Err(LogError::Bad(bad)) if bad.0 == line), "{line}");
    }
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let mut facts = Facts::new(Cursor::new(vec![b'x'; 100_000]));
    assert!(facts.next().is_none());
    assert!(facts.torn() > 0);
}
