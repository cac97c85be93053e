//! Each law, kept and broken.

use posthaste_oracle::{Answer, Cause, Digest, Fact, Fault, Fresh, Ledger, Oracle, Verdict};

pub(crate) fn digest(id: u64) -> Digest {
    Digest::of(&id.to_le_bytes())
}

pub(crate) fn claim(run: u32, id: u64) -> Fact {
    Fact::Claimed { run, id, digest: digest(id) }
}

fn accept(run: u32, id: u64) -> Fact {
    Fact::Accepted { run, id }
}

fn store(run: u32, id: u64) -> Fact {
    Fact::Stored { run, id }
}

fn refuse(run: u32, id: u64) -> Fact {
    Fact::Refused { run, id }
}

fn answered(id: u64, answer: Answer) -> Fact {
    Fact::Arrived { id, digest: digest(id), answer, at_ms: 0 }
}

fn take(id: u64) -> Fact {
    answered(id, Answer::Taken)
}

fn bury(id: u64, cause: Cause) -> Fact {
    Fact::Dead { id, digest: digest(id), cause }
}

const START: Fact = Fact::Started { run: 1 };
const KILL: Fact = Fact::Killed { run: 1 };
const END: Fact = Fact::Ended { run: 1 };

/// The verdict over this and a fresh event of a process of its own that flows.
fn verdict(facts: impl IntoIterator<Item = Fact>) -> Verdict {
    let mut oracle = Oracle::new();
    oracle.extend(facts);
    let last = 99;
    let fresh = 999;
    oracle.extend([Fact::Started { run: last }, claim(last, fresh), Fact::Fresh { id: fresh }]);
    oracle.extend([accept(last, fresh), store(last, fresh), take(fresh), Fact::Ended { run: last }]);
    oracle.verdict()
}

/// That this is the only fault, once.
#[track_caller]
fn blames(facts: impl IntoIterator<Item = Fact>, fault: Fault, id: u64) {
    let verdict = verdict(facts);
    assert!(!verdict.ok(), "{verdict:?}");
    let found: Vec<_> = verdict.findings.iter().map(|finding| (finding.fault, finding.id)).collect();
    assert_eq!(found, [(fault, id)], "{verdict:?}");
    assert_eq!(verdict.contradictions, 0);
}

#[track_caller]
fn is_sound(facts: impl IntoIterator<Item = Fact>) -> Verdict {
    let verdict = verdict(facts);
    assert!(verdict.ok() && verdict.findings.is_empty(), "{verdict:?}");
    verdict
}

#[test]
fn an_undisturbed_history_is_sound() {
    let verdict = is_sound([START, claim(1, 7), accept(1, 7), store(1, 7), take(7), END]);
    assert_eq!(
        (verdict.claimed, verdict.accepted, verdict.stored, verdict.promised, verdict.arrived),
        (2, 2, 2, 2, 2)
    );
    assert_eq!((verdict.runs, verdict.kills, verdict.repeated, verdict.fresh), (2, 0, 0, Fresh::Flowed));
}

#[test]
fn a_stored_event_survives_the_death_of_its_process() {
    blames([START, claim(1, 7), accept(1, 7), store(1, 7), KILL], Fault::LostStored, 7);
    blames([START, claim(1, 7), accept(1, 7), store(1, 7), END], Fault::LostStored, 7);
    blames(
        [START, claim(1, 7), accept(1, 7), store(1, 7), answered(7, Answer::NotNow), KILL],
        Fault::LostStored,
        7,
    );
    is_sound([START, claim(1, 7), accept(1, 7), store(1, 7), KILL, take(7)]);
}

#[test]
fn an_accepted_event_lives_as_long_as_its_process() {
    blames([START, claim(1, 7), accept(1, 7), END], Fault::LostAccepted, 7);
    blames([START, claim(1, 7), accept(1, 7)], Fault::LostAccepted, 7);
    let verdict = is_sound([START, claim(1, 7), accept(1, 7), KILL]);
    assert_eq!((verdict.vanished, verdict.failed_and_gone, verdict.lost(), verdict.promised), (1, 0, 0, 1));
}

#[test]
fn a_failed_receipt_takes_nothing_back() {
    let failed = Fact::NotStored { run: 1, id: 7 };
    blames([START, claim(1, 7), accept(1, 7), failed, END], Fault::LostAccepted, 7);
    is_sound([START, claim(1, 7), accept(1, 7), failed, take(7), END]);
    is_sound([START, claim(1, 7), accept(1, 7), failed, bury(7, Cause::Excused), END]);
    let verdict = is_sound([START, claim(1, 7), accept(1, 7), failed, KILL]);
    assert_eq!((verdict.vanished, verdict.failed_and_gone), (1, 1));
}

#[test]
fn an_event_that_waits_or_is_dead_is_not_lost() {
    let waiting = Fact::Waiting { id: 7, digest: digest(7) };
    assert_eq!(is_sound([START, claim(1, 7), accept(1, 7), store(1, 7), END, waiting]).waiting, 1);
    let refused = answered(7, Answer::Refused);
    let dead = [START, claim(1, 7), accept(1, 7), store(1, 7), refused, bury(7, Cause::Refused), END];
    assert_eq!(is_sound(dead).dead, 1);
}

#[test]
fn what_nobody_offered_is_invented() {
    blames([START, take(8), END], Fault::Invented, 8);
    blames([START, answered(8, Answer::NotNow), END], Fault::Invented, 8);
    blames([Fact::Waiting { id: 8, digest: digest(8) }], Fault::Invented, 8);
    let stray = verdict([Fact::Stray { at_ms: 5 }]);
    assert_eq!((stray.ok(), stray.invented), (false, 1));
}

#[test]
fn an_event_may_arrive_before_its_claim_is_heard() {
    is_sound([START, take(7), claim(1, 7), accept(1, 7), store(1, 7), END]);
}

#[test]
fn a_changed_payload_is_altered_whenever_it_shows() {
    let told = [START, claim(1, 7), accept(1, 7), store(1, 7), END];
    let other = Digest::of(b"another uuid");
    let arrived = |digest| Fact::Arrived { id: 7, digest, answer: Answer::Taken, at_ms: 0 };
    blames(told.into_iter().chain([arrived(other)]), Fault::Altered, 7);
    blames(told.into_iter().chain([take(7), arrived(other)]), Fault::Altered, 7);
    blames(told.into_iter().chain([arrived(other), take(7)]), Fault::Altered, 7);
    let dead = Fact::Dead { id: 7, digest: other, cause: Cause::Excused };
    blames(told.into_iter().chain([take(7), dead]), Fault::Altered, 7);
    let waiting = Fact::Waiting { id: 7, digest: other };
    blames(told.into_iter().chain([waiting]), Fault::Altered, 7);
}

#[test]
fn repeats_are_counted_and_legal() {
    let verdict = is_sound([START, claim(1, 7), accept(1, 7), store(1, 7), take(7), take(7), KILL, take(7)]);
    assert_eq!((verdict.repeated, verdict.arrived), (2, 2));
    let refused = answered(7, Answer::Refused);
    let letter = bury(7, Cause::Refused);
    let verdict = is_sound([START, claim(1, 7), accept(1, 7), refused, letter, KILL, refused, letter]);
    assert_eq!((verdict.letters_repeated, verdict.dead), (1, 1));
}

#[test]
fn a_refused_event_stays_away_unless_nobody_knows_what_became_of_it() {
    blames([START, claim(1, 7), refuse(1, 7), take(7), END], Fault::RefusedButThere, 7);
    blames([START, claim(1, 7), refuse(1, 7), answered(7, Answer::NotNow), KILL], Fault::RefusedButThere, 7);
    blames([START, claim(1, 7), refuse(1, 7), bury(7, Cause::Excused), END], Fault::RefusedButThere, 7);
    // Killed before it answered.
    is_sound([START, claim(1, 7), KILL, take(7)]);
    assert_eq!(is_sound([START, claim(1, 7), KILL]).unknown, 1);
    // And then refused by the next one.
    let second = [Fact::Started { run: 2 }, claim(2, 7), refuse(2, 7), Fact::Ended { run: 2 }];
    is_sound([START, claim(1, 7), KILL, take(7)].into_iter().chain(second));
    is_sound([START, claim(1, 7), accept(1, 7), KILL, take(7)].into_iter().chain(second));
}

#[test]
fn a_refused_event_may_be_offered_again() {
    let verdict = is_sound([START, claim(1, 7), refuse(1, 7), claim(1, 7), accept(1, 7), take(7), END]);
    assert_eq!((verdict.claimed, verdict.accepted, verdict.refused), (2, 2, 0));
    blames([START, claim(1, 7), refuse(1, 7), claim(1, 7), accept(1, 7), END], Fault::LostAccepted, 7);
    assert_eq!(is_sound([START, claim(1, 7), refuse(1, 7), END]).refused, 1);
}

#[test]
fn a_dead_letter_needs_a_receiver_that_refused_it_alone() {
    let told = [START, claim(1, 7), accept(1, 7), store(1, 7), END];
    let letter = bury(7, Cause::Refused);
    blames(told.into_iter().chain([letter]), Fault::UnjustlyDead, 7);
    for answer in [Answer::NotNow, Answer::Taken, Answer::RefusedInCompany] {
        blames(told.into_iter().chain([answered(7, answer), letter]), Fault::UnjustlyDead, 7);
    }
    is_sound(told.into_iter().chain([answered(7, Answer::Refused), letter]));
    is_sound(told.into_iter().chain([bury(7, Cause::Excused)]));
}

#[test]
fn a_living_process_answers() {
    blames([START, claim(1, 7), END], Fault::Unanswered, 7);
    blames([START, claim(1, 7)], Fault::Unanswered, 7);
}

#[test]
fn without_a_fresh_event_that_flows_nothing_is_sound() {
    let mut oracle = Oracle::new();
    oracle.extend([START, claim(1, 7), accept(1, 7), store(1, 7), take(7)]);
    assert_eq!((oracle.verdict().fresh, oracle.verdict().ok()), (Fresh::Untried, false));
    oracle.extend([claim(1, 8), Fact::Fresh { id: 8 }, accept(1, 8)]);
    assert_eq!((oracle.verdict().fresh, oracle.verdict().ok()), (Fresh::Stuck, false));
    oracle.note(take(8));
    assert!(oracle.verdict().ok());
    oracle.extend([claim(1, 9), Fact::Fresh { id: 9 }, accept(1, 9)]);
    assert_eq!(oracle.verdict().fresh, Fresh::Stuck);
    assert_eq!(oracle.claimed(), 3);
}

#[test]
fn facts_that_cannot_be_are_the_harness_fault_and_never_sound() {
    for facts in [
        &[accept(1, 7)][..],
        &[START, accept(1, 7)],
        &[START, START],
        &[KILL],
        &[START, END, KILL],
        &[claim(1, 7)],
        &[START, END, claim(1, 7)],
        &[START, claim(1, 7), store(1, 7), accept(1, 7), take(7)],
        &[START, claim(1, 7), accept(1, 7), refuse(1, 7), take(7)],
        &[START, claim(1, 7), accept(1, 7), take(7), claim(1, 7)],
        &[START, claim(1, 7), KILL, accept(1, 7)],
        &[START, claim(1, 7), refuse(1, 7), Fact::Claimed { run: 1, id: 7, digest: digest(8) }],
        &[
            START,
            claim(1, 7),
            accept(1, 7),
            store(1, 7),
            take(7),
            KILL,
            Fact::Started { run: 2 },
            claim(2, 7),
        ],
        &[Fact::Fresh { id: 3 }],
        &[Fact::Reported { run: 1, ledger: Ledger::default() }],
    ] {
        let verdict = verdict(facts.iter().copied());
        assert!(verdict.contradictions > 0 && !verdict.ok(), "{facts:?}: {verdict:?}");
    }
}

#[test]
fn findings_are_bounded_and_counts_are_not() {
    let mut facts = vec![START];
    facts.extend((0..500).flat_map(|id| [claim(1, id), accept(1, id), store(1, id)]));
    let verdict = verdict(facts);
    assert_eq!((verdict.lost(), verdict.findings.len()), (500, posthaste_oracle::EXAMPLES_MAX));
    assert_eq!(verdict.findings[0].to_string(), "event 0 (process 1) was said to be stored, and is nowhere");
}

/// One process with one event that arrived, one that is dead, one that waits, one that was refused.
fn reported(change: impl FnOnce(&mut Ledger)) -> Vec<String> {
    let mut ledger = Ledger { recovered: 0, accepted: 4, delivered: 2, dead: 1, queued: 1, refused: 1 };
    change(&mut ledger);
    let mut oracle = Oracle::new();
    oracle.note(START);
    for id in 1..=4 {
        oracle.extend([claim(1, id), accept(1, id), store(1, id)]);
    }
    oracle.extend([
        Fact::Fresh { id: 1 },
        take(1),
        take(2),
        answered(3, Answer::Refused),
        bury(3, Cause::Refused),
    ]);
    oracle.extend([Fact::Waiting { id: 4, digest: digest(4) }, claim(1, 5), refuse(1, 5)]);
    oracle.extend([Fact::Reported { run: 1, ledger }, END]);
    let verdict = oracle.verdict();
    assert_eq!(verdict.ok(), verdict.ledgers.is_empty());
    verdict.ledgers
}

#[test]
fn a_ledger_is_held_against_what_was_seen() {
    assert_eq!(reported(|_| {}), [""; 0]);
    assert_eq!(reported(|ledger| ledger.accepted = 3).len(), 2, "it does not balance either");
    for wrong in [
        reported(|ledger| (ledger.accepted, ledger.delivered) = (5, 3)),
        reported(|ledger| ledger.refused = 0),
        reported(|ledger| (ledger.queued, ledger.delivered) = (0, 3)),
        reported(|ledger| (ledger.dead, ledger.delivered) = (0, 3)),
        reported(|ledger| ledger.recovered = 1),
    ] {
        assert!(!wrong.is_empty());
    }
    let text = reported(|ledger| ledger.refused = 9).concat();
    assert_eq!(text, "process 1: it says 9 refused, and 1 were seen");
}

#[test]
fn of_a_killed_process_no_ledger_is_expected_to_agree() {
    let ledger = Ledger { accepted: 5, delivered: 5, ..Ledger::default() };
    is_sound([START, claim(1, 7), accept(1, 7), take(7), Fact::Reported { run: 1, ledger }, KILL]);
}
