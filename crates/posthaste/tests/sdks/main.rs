//! Which datafiles are taken, and what events are made of them: compared with the official Python and JavaScript SDKs.
//!
//! The vectors' datafiles are changed in one place each. Both SDKs, as real programs, and posthaste are asked whether
//! they take what comes out, and what they send for the same calls. Each difference must be a row of the table in
//! docs/PARITY.md, "Datafiles: what is accepted", and each row must be seen.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod answers;
mod by_hand;
mod calls;
mod differences;
mod mutants;
mod programs;
mod rows;

use std::collections::BTreeMap;

use answers::Answer;
use calls::{Call, calls_of};
use differences::{Differences, Sdk};
use mutants::Mutant;
use rows::Rows;

/// The requests that posthaste and both SDKs are known to send alike, over all datafiles as they are.
const CALLS: usize = 53;

fn asked() -> Vec<(Mutant, Vec<Call>)> {
    let calls: BTreeMap<&str, Vec<Call>> =
        mutants::DATAFILES.iter().map(|(name, _)| (*name, calls_of(name))).collect();
    let by_hand = by_hand::mutants().into_iter().map(|mutant| ("datafiles/example.json", mutant));
    mutants::drawn().into_iter().chain(by_hand).map(|(name, mutant)| (mutant, calls[name].clone())).collect()
}

#[test]
fn datafiles_are_taken_as_the_official_sdks_take_them() {
    let asked = asked();
    assert!(asked.len() > 500, "{} datafiles", asked.len());
    let (python, javascript) = programs::ask_both(&asked);
    let mut differences = Differences::default();
    for (((mutant, calls), python), javascript) in asked.iter().zip(&python).zip(&javascript) {
        let ours = Answer::ours(&mutant.text, calls);
        differences.add(Sdk::Python, mutant, &ours, python);
        differences.add(Sdk::JavaScript, mutant, &ours, javascript);
    }
    eprintln!("{} datafiles compared, {} kinds of difference", asked.len(), differences.len());
    let wrong = Rows::of_parity().compare(&differences);
    assert!(wrong.is_empty(), "docs/PARITY.md and what was seen differ:\n{}", wrong.join("\n"));
}

/// Without this the comparison above might compare nothing.
#[test]
fn sound_datafiles_give_the_same_requests() {
    let whole = |name: &str| (Mutant::none(name), calls_of(name));
    let asked: Vec<_> = mutants::DATAFILES.iter().map(|(name, _)| whole(name)).collect();
    let (python, javascript) = programs::ask_both(&asked);
    let mut sent = 0;
    for (((mutant, calls), python), javascript) in asked.iter().zip(&python).zip(&javascript) {
        let ours = Answer::ours(&mutant.text, calls);
        assert_eq!(&ours, python, "{}: Python", mutant.name);
        assert_eq!(&ours, javascript, "{}: JavaScript", mutant.name);
        sent += ours.requests();
    }
    assert!(sent >= CALLS, "{sent} requests compared");
}
