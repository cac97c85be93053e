//! Keys of a datafile that look like misspelt ones.
//!
//! Unknown keys are no fault: newer datafiles have more of them. But where one looks like a key that is missing, what
//! stands under it would be passed over without a word: no experiment, or addresses that were to be anonymised.

use serde_json::{Map, Value};

use super::{listed::Quoted, near::NearMisses};

/// Every key that datafiles are known to have at their top, whether it is read or not.
const KNOWN: [&str; 22] = [
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
];

/// A sentence for each unknown key that looks like one which is missing.
pub(super) fn warnings(datafile: &Map<String, Value>) -> Vec<String> {
    let missing: Vec<&str> = KNOWN.into_iter().filter(|key| !datafile.contains_key(*key)).collect();
    let unknown = datafile.keys().filter(|key| !KNOWN.contains(&key.as_str()));
    unknown
        .map(|key| (key, NearMisses::of(key, missing.iter().copied())))
        .filter(|(_, near)| near.keys().len() > 0)
        .map(|(key, near)| format!("key {} is not read{near}", Quoted(key)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        ] {
            assert_eq!(warnings(datafile.as_object().unwrap()), expected, "{datafile}");
        }
    }
}
