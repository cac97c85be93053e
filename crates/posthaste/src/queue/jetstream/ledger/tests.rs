//! What adds up, and what does not: a table of streams and notes.

use super::{
    account::{Account, Ledger, Paper, Verdict},
    note::ProcessNote,
};
use crate::queue::jetstream::{
    inspection::{Inspection, StreamFacts},
    traffic::{Messages, Traffic},
};

/// A stream that has taken so many messages, and has so many.
fn account(taken: u64, messages: u64) -> Account {
    let events = StreamFacts {
        name: "events".to_owned(),
        storage: "file",
        retention: "workqueue",
        discard: "new",
        replicas: 1,
        leader: None,
        followers: Vec::new(),
        bytes_max: None,
        messages_max: None,
        age_max_ms: None,
        duplicate_window_ms: 120_000,
        messages,
        bytes: 0,
        taken,
        oldest_ms: None,
    };
    Account {
        look: Inspection { events, dead: None, tenants: Vec::new(), foreign_consumers: Vec::new() },
        counted: None,
    }
}

fn note(messages: Messages, has_ended: bool) -> ProcessNote {
    let mut note = ProcessNote::new("test", "both", "here".to_owned(), 0);
    note.traffic = Traffic { messages, ..Traffic::default() };
    note.has_ended = has_ended;
    note
}

fn counted(published: u64, settled: u64) -> Messages {
    Messages { published, settled, ..Messages::default() }
}

/// It said this before the look, and that after.
fn living(before: Messages, after: Messages) -> Paper {
    Paper { before: Some(note(before, false)), after: Ok(note(after, false)), is_living: true }
}

fn ended(messages: Messages) -> Paper {
    Paper { before: Some(note(messages, true)), after: Ok(note(messages, true)), is_living: false }
}

fn silent(messages: Messages) -> Paper {
    Paper { before: Some(note(messages, false)), after: Ok(note(messages, false)), is_living: false }
}

fn verdict(account: Account, papers: Vec<Paper>) -> (Verdict, String) {
    let ledger = Ledger::new(account, papers);
    (ledger.verdict, ledger.findings.join("; "))
}

#[test]
fn what_is_written_down_balances_and_what_is_under_way_is_no_fault() {
    for (account, papers) in [
        (account(0, 0), vec![]),
        (account(10, 0), vec![ended(counted(10, 0)), ended(counted(0, 10))]),
        (account(10, 4), vec![ended(counted(10, 6))]),
        // The stream was looked at somewhere between the two.
        (account(15, 7), vec![living(counted(10, 5), counted(20, 9))]),
        (account(10, 0), vec![living(counted(10, 10), counted(20, 20))]),
        (account(20, 0), vec![living(counted(10, 10), counted(20, 20))]),
        // On its way, and given up.
        (
            account(12, 0),
            vec![ended(Messages { publishing: 1, given_up: 1, settling: 2, ..counted(10, 10) })],
        ),
        // A process that began after the first look.
        (account(3, 3), vec![Paper { before: None, after: Ok(note(counted(5, 0), false)), is_living: true }]),
        // Counted by two: under a known id, and leased again.
        (account(9, 0), vec![ended(Messages { known: 1, settled_again: 2, ..counted(10, 11) })]),
        // A dead letter that was put back.
        (account(11, 0), vec![ended(Messages { replayed: 1, ..counted(10, 11) })]),
    ] {
        assert_eq!(verdict(account.clone(), papers), (Verdict::Balanced, String::new()), "{account:?}");
    }
}

#[test]
fn whatever_does_not_add_up_is_named() {
    for (account, papers, said) in [
        (account(9, 9), vec![ended(counted(10, 0))], "1 message is LOST"),
        (account(10, 7), vec![ended(counted(10, 0))], "3 messages have gone from the stream"),
        (account(12, 2), vec![ended(counted(10, 10))], "2 messages are in nobody's count"),
        (account(10, 4), vec![ended(counted(10, 8))], "2 messages are in the stream again"),
        // A loss shows whoever was killed.
        (account(9, 9), vec![silent(counted(10, 0))], "1 message is LOST"),
    ] {
        let (verdict, findings) = verdict(account, papers);
        assert_eq!(verdict, Verdict::Unbalanced);
        assert!(findings.starts_with(said), "{findings}");
    }
}

#[test]
fn what_a_silent_process_may_have_done_is_unknown_within_bounds() {
    let ledger = Ledger::new(account(30, 5), vec![ended(counted(10, 0)), silent(counted(8, 20))]);
    assert_eq!((ledger.verdict, ledger.findings.len()), (Verdict::Unknown, 0));
    let bounds = |bounds: super::Bounds| (bounds.low, bounds.high);
    assert_eq!(bounds(ledger.unknown_published), (12, Some(12)));
    assert_eq!(bounds(ledger.unknown_gone), (5, Some(5)));
    assert_eq!(bounds(ledger.messages.published), (18, None));
    // Even where nothing is missing: it may have died with more.
    assert_eq!(verdict(account(8, 8), vec![silent(counted(8, 0))]).0, Verdict::Unknown);
    let unreadable = Paper { before: None, after: Err("it has the form 2".to_owned()), is_living: false };
    let (verdict, findings) = verdict(account(8, 8), vec![unreadable]);
    assert_eq!(verdict, Verdict::Unknown);
    assert!(findings.contains("it has the form 2"), "{findings}");
}

#[test]
fn a_note_is_read_back_and_one_of_another_form_is_refused() {
    let written = note(counted(3, 2), true);
    assert_eq!(ProcessNote::read(&written.bytes()), Ok(written.clone()));
    let later = ProcessNote { form: 2, ..written };
    assert!(ProcessNote::read(&later.bytes()).unwrap_err().contains("form 2"));
    assert!(ProcessNote::read(b"{").is_err());
}
