//! Datafiles that no rule makes: versions, regions, text that is hard to read, and the vectors that were made wrong in
//! one way each.

use crate::mutants::{Mutant, read, vectors};

/// All of them, each of `example.json`.
pub(crate) fn mutants() -> Vec<Mutant> {
    let example = read("datafiles/example.json");
    let replaced = |place: &str, change: &str, from: &str, to: &str| {
        assert!(example.contains(from), "{from}");
        mutant(place, change, example.replacen(from, to, 1))
    };
    let version = |to: &str| {
        replaced("version", &format!("to {to}"), r#""version": "4""#, &format!(r#""version": {to}"#))
    };
    let region = |to: &str| {
        replaced("region", &format!("to {to}"), r#""region": "US""#, &format!(r#""region": {to}"#))
    };
    let mut mutants: Vec<Mutant> =
        [r#""1""#, r#""2""#, r#""3""#, r#""4.0""#, r#""5""#, "4", "4.0"].map(version).into();
    mutants.extend([r#""eu""#, r#""EU""#, r#""APAC""#].map(region));
    mutants.extend([
        mutant("datafile", "byte order mark", format!("\u{feff}{example}")),
        replaced("attributes[].key", "half of a pair", r#""key": "tier""#, r#""key": "\ud800""#),
        replaced("events[].id", "half of a pair", r#""id": "30827000001""#, r#""id": "3082\udc00""#),
        replaced("sdkKey", "half of a pair", "Bc7TestOnlyKey42", r"Bc7\ud83d"),
        replaced("unknown", "1e400", r#""version": "4""#, r#""version": "4", "unknown": 1e400"#),
        replaced("unknown", "NaN", r#""version": "4""#, r#""version": "4", "unknown": NaN"#),
        replaced("experiments[].variations[].id", "to fraction", r#""id": "30825200003""#, r#""id": 3.5"#),
        replaced("experiments[].variations[].id", "to opaque", r#""30825200003""#, r#""green""#),
    ]);
    let files = std::fs::read_dir(vectors().join("datafiles")).unwrap().count();
    assert_eq!(files, VECTORS.len() + 1, "each file beside example.json is in the list");
    mutants.extend(
        VECTORS
            .iter()
            .map(|(file, place, change)| mutant(place, change, read(&format!("datafiles/{file}.json")))),
    );
    mutants
}

fn mutant(place: &str, change: &str, text: String) -> Mutant {
    let name = format!("by hand, {place}, {change}");
    Mutant { name, place: place.to_owned(), change: change.to_owned(), text }
}

/// What is wrong with each vector.
const VECTORS: &[(&str, &str, &str)] = &[
    ("01_valid", "datafile", "none"),
    ("02_null", "datafile", "null"),
    ("03_empty_object", "datafile", "empty"),
    ("04_empty_string", "datafile", "to nothing"),
    ("05_not_json", "datafile", "to no JSON"),
    ("06_version_2", "version", "to \"2\""),
    ("07_version_5", "version", "to \"5\""),
    ("08_version_number", "version", "to number"),
    ("09_revision_number", "revision", "to number"),
    ("10_missing_accountId", "accountId", "drop"),
    ("11_missing_attributes", "attributes", "drop"),
    ("12_missing_botFiltering", "botFiltering", "drop"),
    ("13_missing_anonymizeIP", "anonymizeIP", "drop"),
    ("14_missing_rollouts", "rollouts", "drop"),
    ("15_missing_events", "events", "drop"),
    ("16_missing_groups", "groups", "drop"),
    ("17_missing_typedAudiences", "typedAudiences", "drop"),
    ("18_missing_featureFlags", "featureFlags", "drop"),
    ("19_missing_experiments", "experiments", "drop"),
    ("20_missing_audiences", "audiences", "drop"),
    ("21_missing_projectId", "projectId", "drop"),
    ("22_missing_revision", "revision", "drop"),
    ("23_missing_version", "version", "drop"),
    ("30_unknown_key", "unknown", "added"),
    ("31_events_null", "events", "null"),
    ("32_botFiltering_string", "botFiltering", "to text"),
    ("33_botFiltering_null", "botFiltering", "null"),
    ("34_accountId_number", "accountId", "to number"),
    ("35_region_lower", "region", "to \"eu\""),
    ("36_region_unknown", "region", "to \"APAC\""),
    ("37_integration_nokey", "integrations[].key", "drop"),
    ("38_array", "datafile", "to list"),
    ("39_layer_null", "experiments[].layerId", "null"),
];
