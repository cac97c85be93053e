//! What adds up, and what does not: a table of streams and notes.

use super::{
    account::{Account, Ledger, Paper, Verdict},
    note::ProcessNote,
    opening::Opening,
};
use crate::queue::jetstream::{
    inspection::{Inspection, StreamFacts},
    traffic::{Messages, Traffic},
};

/// A stream that has taken so many messages, and has so many.
fn account(taken: u64, messages: u64) -> Account {
    Account {
        look: Inspection {
            events: facts("events", taken, messages),
            dead: None,
            tenants: Vec::new(),
            foreign_consumers: Vec::new(),
        },
        counted: None,
    }
}

/// The same beside dead letters.
fn account_with_dead(taken: u64, messages: u64, letters_taken: u64, letters: u64) -> Account {
    let mut account = account(taken, messages);
    account.look.dead = Some(facts("events-dead", letters_taken, letters));
    account
}

fn facts(name: &str, taken: u64, messages: u64) -> StreamFacts {
    StreamFacts {
        name: name.to_owned(),
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
        // On its way.
        (
            account(12, 0),
            vec![living(
                Messages { publishing: 2, settling: 2, ..counted(9, 9) },
                Messages { publishing: 2, settling: 2, ..counted(10, 10) },
            )],
        ),
        // A process that began after the first look.
        (account(3, 3), vec![Paper { before: None, after: Ok(note(counted(5, 0), false)), is_living: true }]),
        // A dead letter that was put back.
        (
            account_with_dead(11, 0, 2, 1),
            vec![ended(Messages { replayed: 1, buried: 2, removed: 1, ..counted(10, 11) })],
        ),
        // Dead letters: there, purged, being purged, buried under our eyes, and one that was there before.
        (account_with_dead(5, 0, 5, 5), vec![ended(Messages { buried: 5, ..counted(5, 5) })]),
        (account_with_dead(5, 0, 5, 2), vec![ended(Messages { buried: 5, removed: 3, ..counted(5, 5) })]),
        (
            account_with_dead(5, 0, 5, 4),
            vec![{
                let at = Messages { buried: 5, removing: 1, ..counted(5, 5) };
                living(at, at)
            }],
        ),
        (
            account_with_dead(5, 0, 3, 3),
            vec![living(Messages { buried: 1, ..counted(5, 5) }, Messages { buried: 5, ..counted(5, 5) })],
        ),
        (
            account_with_dead(5, 0, 5, 5),
            vec![ended(Messages { buried: 4, buried_again: 1, ..counted(5, 5) })],
        ),
    ] {
        assert_eq!(verdict(account.clone(), papers), (Verdict::Balanced, String::new()), "{account:?}");
    }
}

#[test]
fn what_may_have_been_counted_twice_is_unknown_with_how_many_could_hide_in_it() {
    for (account, messages, said) in [
        // Each message was leased again; the stream was purged after.
        (
            account(24, 0),
            Messages { settled_again: 36, ..counted(24, 36) },
            "up to 36 messages could have gone",
        ),
        // Even where a purge would not be needed.
        (account(9, 0), Messages { settled_again: 2, ..counted(9, 11) }, "up to 2 messages could have gone"),
        (account(9, 0), Messages { settling: 1, ..counted(9, 8) }, "up to 1 messages could have gone"),
        (account(9, 0), Messages { maybe_settled: 1, ..counted(9, 8) }, "up to 1 messages could have gone"),
        (account(9, 9), Messages { known: 1, ..counted(10, 0) }, "up to 1 messages could be lost"),
        (account(9, 9), Messages { given_up: 1, ..counted(8, 0) }, "up to 1 messages could be lost"),
        (account(9, 9), Messages { publishing: 1, ..counted(8, 0) }, "up to 1 messages could be lost"),
        // A removal without an answer, and a letter that two have buried.
        (
            account_with_dead(5, 0, 5, 4),
            Messages { buried: 5, maybe_removed: 1, ..counted(5, 5) },
            "up to 1 dead letters",
        ),
        (
            account_with_dead(5, 0, 5, 4),
            Messages { buried: 5, removing: 1, ..counted(5, 5) },
            "up to 1 dead letters",
        ),
        (
            account_with_dead(5, 0, 4, 4),
            Messages { buried: 4, buried_again: 1, ..counted(5, 5) },
            "up to 1 dead letters",
        ),
    ] {
        let (verdict, findings) = verdict(account, vec![ended(messages)]);
        assert_eq!(verdict, Verdict::Unknown, "{findings}");
        assert!(findings.starts_with(said), "{findings}");
    }
}

/// A stream that refuses: what others put there meanwhile could hide behind what does not get in.
#[test]
fn what_is_under_way_and_gets_no_further_is_unknown() {
    let stuck = |messages| vec![living(messages, messages)];
    for (account, messages, said) in [
        (account(2, 2), Messages { publishing: 3, ..counted(0, 0) }, "up to 3 messages could be lost"),
        (account(9, 0), Messages { settling: 4, ..counted(9, 5) }, "up to 4 messages could have gone"),
    ] {
        let (verdict, findings) = verdict(account, stuck(messages));
        assert_eq!(verdict, Verdict::Unknown);
        assert!(findings.starts_with(said), "{findings}");
    }
}

#[test]
fn dead_letters_that_nobody_removed_have_to_be_there() {
    for (account, messages, missing) in [
        // Purged by others, or by a limit.
        (account_with_dead(5, 0, 5, 2), Messages { buried: 5, ..counted(5, 5) }, 3),
        (account_with_dead(5, 0, 5, 1), Messages { buried: 5, removed: 3, ..counted(5, 5) }, 1),
        // Letters of processes that keep no counts, too.
        (account_with_dead(5, 0, 7, 4), Messages { buried: 5, removed: 2, ..counted(5, 5) }, 1),
        (account_with_dead(5, 0, 5, 2), Messages { buried: 5, maybe_removed: 1, ..counted(5, 5) }, 2),
        // The stream was deleted, and made anew.
        (account(5, 0), Messages { buried: 5, removed: 1, ..counted(5, 5) }, 4),
        (account_with_dead(5, 0, 1, 1), Messages { buried: 5, ..counted(5, 5) }, 4),
    ] {
        let ledger = Ledger::new(account.clone(), vec![ended(messages)]);
        let findings = ledger.findings.join("; ");
        assert_eq!(
            (ledger.verdict, ledger.unknown_dead_letters),
            (Verdict::Unbalanced, missing),
            "{findings}"
        );
        let is = if missing == 1 { "dead letter is" } else { "dead letters are" };
        assert!(
            findings.starts_with(&format!("{missing} {is} gone, and nobody says who has them")),
            "{findings}"
        );
        // A killed process may have removed them.
        let (verdict, findings) = verdict(account, vec![silent(messages)]);
        assert_eq!(verdict, Verdict::Unknown);
        assert!(findings.contains(&format!("up to {missing} dead letters are gone")), "{findings}");
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

/// The books as they begin with this account and these notes: living, or silent.
fn opening(account: &Account, said: &[(&str, Messages, bool)]) -> Opening {
    let mut opening = Opening::new(
        ProcessNote::new("books", "begun", "here".to_owned(), 0),
        &account.look,
        account.counted,
    );
    for (key, messages, is_silent) in said {
        opening.go_on((*key).to_owned(), spoken(*messages, 1), *is_silent);
    }
    Opening::read(&opening.bytes()).unwrap()
}

/// A note after so many words.
fn spoken(messages: Messages, words: u64) -> ProcessNote {
    ProcessNote { words, ..note(messages, false) }
}

/// What the new books say of this account, where each process has said this by now.
fn since(opening: &Opening, mut account: Account, said: &[(&str, Messages, u64, bool)]) -> (Verdict, String) {
    opening.adjust(&mut account.look);
    let papers = said.iter().filter_map(|&(key, messages, words, is_living)| {
        let said = spoken(messages, words);
        opening.since(key, Paper { before: Some(said.clone()), after: Ok(said), is_living })
    });
    verdict(account, papers.chain([opening.stock()]).collect())
}

#[test]
fn books_that_begin_know_nothing_of_what_was_unknown_and_miss_what_goes_after() {
    // 30 taken, 12 in it; two letters of five; one lives, one is silent, with more than it has said.
    let began = account_with_dead(30, 12, 5, 2);
    let lived =
        Messages { known: 2, settled_again: 1, maybe_settled: 1, buried: 5, removed: 1, ..counted(20, 9) };
    let books = opening(&began, &[("lives", lived, false), ("dead", counted(4, 3), true)]);
    let dead = ("dead", counted(4, 3), 1, false);
    let fine = (Verdict::Balanced, String::new());
    let lives = |messages, words| ("lives", messages, words, true);
    assert_eq!(since(&books, began, &[lives(lived, 2), dead]), fine);
    // It publishes 3, delivers 5, buries 1 of them, puts a letter back and purges another.
    let more = Messages {
        published: lived.published + 3,
        settled: lived.settled + 5,
        buried: lived.buried + 1,
        replayed: 1,
        removed: lived.removed + 2,
        ..lived
    };
    let now = account_with_dead(34, 11, 6, 1);
    assert_eq!(since(&books, now, &[lives(more, 9), dead]), fine);
    for (account, said) in [
        (account_with_dead(34, 10, 6, 1), "1 message has gone from the stream"),
        (account_with_dead(33, 10, 6, 1), "1 message is LOST"),
        (account_with_dead(35, 12, 6, 1), "1 message is in nobody's count"),
        (account_with_dead(34, 12, 6, 1), "1 message is in the stream again"),
        (account_with_dead(34, 11, 6, 0), "1 dead letter is gone"),
        (account_with_dead(0, 0, 0, 0), "16 messages are LOST"),
    ] {
        let (verdict, findings) = since(&books, account, &[lives(more, 9), dead]);
        assert_eq!(verdict, Verdict::Unbalanced, "{said}");
        assert!(findings.starts_with(said), "{findings}");
    }
    // Who is killed from now on leaves an unknown again, even if it said nothing more.
    for words in [1, 9] {
        let killed = ("lives", lived, words, false);
        assert_eq!(since(&books, account_with_dead(30, 12, 5, 2), &[killed, dead]).0, Verdict::Unknown);
    }
    // One that was cut off, and is back, counts from what it had said.
    let back = ("dead", counted(6, 3), 5, true);
    assert_eq!(since(&books, account_with_dead(32, 14, 5, 2), &[lives(lived, 2), back]), fine);
}

#[test]
fn a_note_is_read_back_and_one_of_another_form_is_refused() {
    let written = note(counted(3, 2), true);
    assert_eq!(ProcessNote::read(&written.bytes()), Ok(written.clone()));
    let later = ProcessNote { form: 2, ..written };
    assert!(ProcessNote::read(&later.bytes()).unwrap_err().contains("form 2"));
    assert!(ProcessNote::read(b"{").is_err());
}
