//! Keys of a datafile that look like misspelt ones.
//!
//! Unknown keys are no fault: newer datafiles have more of them. But where one looks like a key that is missing, what
//! stands under it would be passed over without a word: no experiment, no variation, or addresses that were to be
//! anonymised. An unknown key is told once for each kind of object, however often it occurs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    listed::Quoted,
    near::NearMisses,
    tree::{Node, Object, Path},
};
use crate::words::counted;

/// A kind of object in a datafile.
struct Kind {
    /// Every key that it is known to have, whether it is read or not.
    keys: &'static [&'static str],
    /// Which of them hold lists of objects that are read, and of which kind.
    lists: &'static [(&'static str, &'static Kind)],
}

static DATAFILE: Kind = Kind {
    keys: &[
        "accountId",
        "anonymizeIP",
        "attributes",
        "audiences",
        "botFiltering",
        "environmentKey",
        "events",
        "experiments",
        "featureFlags",
        "groups",
        "holdouts",
        "integrations",
        "localHoldouts",
        "projectId",
        "region",
        "revision",
        "rollouts",
        "sdkKey",
        "sendFlagDecisions",
        "typedAudiences",
        "variables",
        "version",
    ],
    lists: &[
        ("attributes", &ATTRIBUTE),
        ("events", &EVENT),
        ("experiments", &EXPERIMENT),
        ("featureFlags", &FLAG),
        ("groups", &GROUP),
        ("holdouts", &EXPERIMENT),
        ("localHoldouts", &EXPERIMENT),
        ("rollouts", &ROLLOUT),
    ],
};

static ATTRIBUTE: Kind = Kind { keys: &["id", "key"], lists: &[] };

static EVENT: Kind = Kind { keys: &["experimentIds", "id", "key"], lists: &[] };

/// Holdouts as well.
static EXPERIMENT: Kind = Kind {
    keys: &[
        "audienceConditions",
        "audienceIds",
        "cmab",
        "forcedVariations",
        "id",
        "includedRules",
        "key",
        "layerId",
        "status",
        "trafficAllocation",
        "type",
        "variations",
    ],
    lists: &[("variations", &VARIATION)],
};

static VARIATION: Kind = Kind { keys: &["featureEnabled", "id", "key", "variables"], lists: &[] };

static FLAG: Kind = Kind { keys: &["experimentIds", "id", "key", "rolloutId", "variables"], lists: &[] };

static GROUP: Kind = Kind {
    keys: &["experiments", "id", "policy", "trafficAllocation"],
    lists: &[("experiments", &EXPERIMENT)],
};

static ROLLOUT: Kind = Kind { keys: &["experiments", "id"], lists: &[("experiments", &EXPERIMENT)] };

/// A sentence for each unknown key that looks like one which is missing beside it.
pub(super) fn warnings(datafile: &Object<'_>) -> Vec<String> {
    let mut found = Found::default();
    look(datafile, &DATAFILE, &mut found);
    found.into_values().map(|misspelt| misspelt.in_words()).collect()
}

/// By the kind's keys and the unknown one.
type Found = BTreeMap<(&'static [&'static str], String), Misspelt>;

struct Misspelt {
    /// Where it is first.
    path: String,
    key: String,
    near: NearMisses,
    more: u64,
}

impl Misspelt {
    fn in_words(&self) -> String {
        let Self { path, key, near, more } = self;
        let at = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let others = match more {
            0 => String::new(),
            more => format!(" So in {}", counted(*more, "more place", "more places")),
        };
        format!("{at}key {} is not read{near}{others}", Quoted(key))
    }
}

fn look(object: &Object<'_>, kind: &'static Kind, found: &mut Found) {
    for key in object.map.keys().filter(|key| !kind.keys.contains(&key.as_str())) {
        let near = meant(key, kind, object.map);
        if near.keys().len() == 0 {
            continue;
        }
        let misspelt = || Misspelt { path: object.path.to_string(), key: key.clone(), near, more: 0 };
        let known = found.entry((kind.keys, key.clone())).and_modify(|known| known.more += 1);
        known.or_insert_with(misspelt);
    }
    for (key, kind) in kind.lists {
        let items = object.map.get(*key).and_then(Value::as_array).into_iter().flatten();
        let path = Path::Key(&object.path, key);
        for (at, value) in items.enumerate() {
            // What is no object is told by whoever reads it.
            if let Ok(item) = (Node { path: Path::Item(&path, at), value }).object() {
                look(&item, kind, found);
            }
        }
    }
}

/// The keys that are missing and look like this one.
fn meant(key: &str, kind: &Kind, map: &Map<String, Value>) -> NearMisses {
    let missing = kind.keys.iter().copied().filter(|known| !map.contains_key(*known));
    NearMisses::of(key, missing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn warnings_of(datafile: &Value) -> Vec<String> {
        warnings(&Object { path: Path::Root, map: datafile.as_object().unwrap() })
    }

    #[test]
    fn only_what_looks_like_a_missing_key_is_named() {
        for (datafile, expected) in [
            (
                json!({"experimets": [], "anonymiseIP": true, "events": []}),
                &[
                    r#"key "anonymiseIP" is not read: did you mean "anonymizeIP"?"#,
                    r#"key "experimets" is not read: did you mean "experiments"?"#,
                ][..],
            ),
            (json!({"eventsV2": [], "events": []}), &[]),
            (json!({"something": 1, "": 2}), &[]),
            (
                json!({"experiments": [5, null, {"variatons": []}]}),
                &[r#"experiments[2]: key "variatons" is not read: did you mean "variations"?"#],
            ),
            (
                json!({"groups": [{"experiments": [{"id": "1"}, {"layerID": "2"}, {"layerID": "3"}]}]}),
                &[
                    r#"groups[0].experiments[1]: key "layerID" is not read: did you mean "layerId"? So in 1 more place"#,
                ],
            ),
        ] {
            assert_eq!(warnings_of(&datafile), expected, "{datafile}");
        }
    }

    /// Every key of every kind, a letter left out, in an object at every place of that kind.
    #[test]
    fn each_key_is_named_at_each_place_where_it_may_be_missing() {
        fn at_each_place(kind: &'static Kind, path: &str, wrap: &dyn Fn(Value) -> Value, count: &mut u32) {
            for key in kind.keys.iter().filter(|key| key.len() > 3) {
                let slip = key.chars().enumerate().filter(|(at, _)| *at != 2).map(|(_, letter)| letter);
                let slip: String = slip.collect();
                let at = if path.is_empty() { String::new() } else { format!("{path}: ") };
                let expected = format!("{at}key {slip:?} is not read: did you mean {key:?}");
                let found = warnings_of(&wrap(json!({slip: 1})));
                assert!(found.len() == 1 && found[0].starts_with(&expected), "{expected}: {found:?}");
                *count += 1;
            }
            for (key, inner) in kind.lists {
                let path = if path.is_empty() { format!("{key}[0]") } else { format!("{path}.{key}[0]") };
                at_each_place(inner, &path, &|value| wrap(json!({*key: [value]})), count);
            }
        }
        let mut count = 0;
        at_each_place(&DATAFILE, "", &|value| value, &mut count);
        assert!(count > 80, "{count}");
    }
}
