//! Where an SDK and posthaste do not agree: one entry for each kind, with an example.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    answers::{Answer, Request},
    mutants::Mutant,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sdk {
    Python,
    JavaScript,
}

/// One kind: which change of which place makes which SDK do what else than posthaste does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub(crate) place: String,
    pub(crate) change: String,
    pub(crate) sdk: Sdk,
    /// `refused` and `taken`: the SDK does, and posthaste does not. `no request`, `request`: the SDK sends, likewise.
    /// Else a field of the request.
    pub(crate) kind: String,
}

/// All of them, each with the first mutant that shows it.
#[derive(Debug, Default)]
pub(crate) struct Differences(BTreeMap<Difference, String>);

impl Differences {
    pub(crate) fn add(&mut self, sdk: Sdk, mutant: &Mutant, ours: &Answer, theirs: &Answer) {
        for (kind, example) in kinds(ours, theirs) {
            let (place, change) = (mutant.place.clone(), mutant.change.clone());
            let example = format!("{}: {example}", mutant.name);
            self.0.entry(Difference { place, change, sdk, kind }).or_insert(example);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Difference, &str)> {
        self.0.iter().map(|(difference, example)| (difference, example.as_str()))
    }
}

fn kinds(ours: &Answer, theirs: &Answer) -> Vec<(String, String)> {
    match (ours, theirs) {
        (Answer::Refused(_), Answer::Refused(_)) => Vec::new(),
        (Answer::Taken(_), Answer::Refused(reason)) => vec![("refused".to_owned(), reason.clone())],
        (Answer::Refused(reason), Answer::Taken(_)) => vec![("taken".to_owned(), reason.clone())],
        (Answer::Taken(ours), Answer::Taken(theirs)) => ours
            .iter()
            .zip(theirs)
            .flat_map(|(ours, theirs)| of_requests(ours.as_ref(), theirs.as_ref()))
            .collect(),
    }
}

fn of_requests(ours: Option<&Request>, theirs: Option<&Request>) -> Vec<(String, String)> {
    match (ours, theirs) {
        (None, None) => Vec::new(),
        (Some(ours), None) => vec![("no request".to_owned(), ours.body.to_string())],
        (None, Some(theirs)) => vec![("request".to_owned(), theirs.body.to_string())],
        (Some(ours), Some(theirs)) => {
            let mut fields = BTreeSet::new();
            differing("body", &ours.body, &theirs.body, &mut fields);
            if ours.url != theirs.url {
                fields.insert(("url".to_owned(), format!("{} for {}", ours.url, theirs.url)));
            }
            fields.into_iter().collect()
        }
    }
}

/// The names of the fields that differ, each with both values.
fn differing(name: &str, ours: &Value, theirs: &Value, fields: &mut BTreeSet<(String, String)>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                differing(key, &ours[key], &theirs[key], fields);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(a, b)| differing(name, a, b, fields));
        }
        _ if ours == theirs => {}
        _ => {
            fields.insert((name.to_owned(), format!("{ours}, theirs {theirs}")));
        }
    }
}
