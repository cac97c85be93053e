//! Datafiles, sound and broken: what is accepted (docs/PROTOCOL.md 3.2), and what is said about the rest.

use posthaste::{DatafileError, ProjectConfig, Region};
use proptest::prelude::*;

use crate::support::{project, read};

/// The accept/reject matrix, file by file; `None`: accepted.
#[test]
fn each_vector_is_accepted_or_refused_with_its_place() {
    let expected: &[(&str, Option<&str>)] = &[
        ("01_valid", None),
        ("02_null", Some("datafile: expected object, found null")),
        ("03_empty_object", Some("version: expected string, found nothing")),
        (
            "04_empty_string",
            Some("not JSON: EOF while parsing a value (line 1, column 0); is the file complete?"),
        ),
        ("05_not_json", Some("not JSON: ")),
        ("06_version_2", Some("version: \"2\" is not supported: expected \"4\"")),
        ("07_version_5", Some("version: \"5\" is not supported: expected \"4\"")),
        ("08_version_number", Some("version: expected string, found number")),
        ("09_revision_number", Some("revision: expected string, found number")),
        ("10_missing_accountId", Some("accountId: expected string, found nothing")),
        ("11_missing_attributes", None),
        ("12_missing_botFiltering", None),
        ("13_missing_anonymizeIP", None),
        ("14_missing_rollouts", None),
        ("15_missing_events", None),
        ("16_missing_groups", None),
        ("17_missing_typedAudiences", None),
        ("18_missing_featureFlags", None),
        ("19_missing_experiments", None),
        ("20_missing_audiences", None),
        ("21_missing_projectId", Some("projectId: expected string, found nothing")),
        ("22_missing_revision", Some("revision: expected string, found nothing")),
        ("23_missing_version", Some("version: expected string, found nothing")),
        ("30_unknown_key", None),
        ("31_events_null", None),
        ("32_botFiltering_string", Some("botFiltering: expected boolean, found string")),
        ("33_botFiltering_null", None),
        ("34_accountId_number", Some("accountId: expected string, found number")),
        ("35_region_lower", None),
        ("36_region_unknown", Some("region: \"APAC\" is not supported: expected \"US\" or \"EU\"")),
        ("37_integration_nokey", None),
        ("38_array", Some("datafile: expected object, found list")),
        ("39_layer_null", None),
        ("example", None),
    ];
    let files = std::fs::read_dir(crate::support::vector("datafiles")).unwrap().count();
    assert_eq!(files, expected.len());
    for (name, error) in expected {
        let result = ProjectConfig::from_datafile(read(&format!("datafiles/{name}.json")));
        match (result, error) {
            (Ok(_), None) => {}
            (Err(found), Some(expected)) => {
                assert!(found.to_string().starts_with(expected), "{name}: {found}");
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
    }
}

#[test]
fn everything_that_larkspur_defines_is_found_by_key_and_by_id() {
    let config = project("larkspur.json");
    assert_eq!(
        (
            config.account_id(),
            config.project_id(),
            config.revision(),
            config.sdk_key(),
            config.environment_key()
        ),
        ("10000001", "10000002", "42", "LarkspurSdkKey01", "production")
    );
    assert!(config.anonymize_ip() && config.bot_filtering() && config.send_flag_decisions());
    assert_eq!(config.region(), Region::Us);
    assert_eq!(
        (config.experiments().len(), config.events().len(), config.attributes().len()),
        (5 + 2 + 3, 6, 6)
    );
    for (key, id) in [
        ("checkout_button", "40011"),
        ("grouped_home_b", "40017"),
        ("dark_mode_rule_adults", "41001"),
        ("one_click_everyone", "41003"),
    ] {
        assert_eq!(config.experiment_by_key(key).unwrap().id(), id);
        assert_eq!(config.experiment_by_id(id).unwrap().key(), key);
    }
    let experiment = config.experiment_by_key("checkout_button").unwrap();
    assert_eq!(experiment.layer_id(), "60011");
    assert_eq!(experiment.variation_by_key("green_button").unwrap().id(), "70112");
    assert_eq!(experiment.variation_by_id("70112").unwrap().key(), "green_button");
    assert_eq!(config.event_by_key("résumé_vu").unwrap().id(), "30015");
    assert_eq!(
        config.event_by_id("30012").unwrap().experiment_ids().collect::<Vec<_>>(),
        ["40011", "40012", "40013"]
    );
    assert_eq!(config.attribute_by_key("loyalty tier").unwrap().id(), "20015");
    assert_eq!(config.attribute_by_id("20015").unwrap().key(), "loyalty tier");
    assert!(config.experiment_by_key("nothing").is_err() && config.warnings().is_empty());
    assert_eq!(project("larkspur_eu.json").region(), Region::Eu);
    assert_eq!(project("datafiles/35_region_lower.json").region(), Region::Eu);
}

#[test]
fn an_error_names_the_path_into_lists() {
    let text = read("larkspur.json").replace("\"70121\",\n     \"key\"", "70121,\n     \"key\"");
    let error = ProjectConfig::from_datafile(text).unwrap_err();
    assert_eq!(error.to_string(), "experiments[1].variations[0].id: expected string, found number");
    let text = read("larkspur.json").replace("\"key\": \"grouped_home_b\",", "\"key\": null,");
    let error = ProjectConfig::from_datafile(text).unwrap_err();
    assert_eq!(error.to_string(), "groups[0].experiments[1].key: expected string, found null");
}

#[test]
fn the_last_of_a_key_counts_with_a_warning() {
    let json = r#"{"version":"4","accountId":"1","projectId":"2","revision":"3","events":[
        {"id":"10","key":"buy"},{"id":"11","key":"buy"}],"experiments":[
        {"id":"20","key":"e","layerId":"l1"},{"id":"21","key":"e","layerId":"l2"}]}"#;
    let config = ProjectConfig::from_datafile(json).unwrap();
    assert_eq!(config.event_by_key("buy").unwrap().id(), "11");
    assert_eq!(
        config.experiment_by_key("e").unwrap_err().to_string(),
        r#"experiment key "e" stands for several experiments: say which by its id, one of "20", "21""#
    );
    assert_eq!(config.warnings().len(), 2, "{:?}", config.warnings());
}

#[test]
fn ten_megabytes_are_read() {
    let events: Vec<String> = (0..120_000)
        .map(|n| format!(r#"{{"id":"{n}","key":"event_{n}","experimentIds":["1","2","3"],"x":"{n}"}}"#))
        .collect();
    let json = format!(
        r#"{{"version":"4","accountId":"1","projectId":"2","revision":"3","events":[{}],"padding":"{}"}}"#,
        events.join(","),
        "x".repeat(3 << 20)
    );
    assert!(json.len() > 10 << 20, "{}", json.len());
    let config = ProjectConfig::from_datafile(&json).unwrap();
    assert_eq!(config.event_by_key("event_119999").unwrap().id(), "119999");
    let cut = &json.as_bytes()[..json.len() - 7];
    assert!(matches!(ProjectConfig::from_datafile(cut), Err(DatafileError::NotJson { .. })));
    let deep = format!("{}{}", "[".repeat(5 << 20), "]".repeat(5 << 20));
    assert!(matches!(ProjectConfig::from_datafile(deep), Err(DatafileError::NotJson { .. })));
}

#[test]
fn a_datafile_cut_anywhere_is_an_error() {
    let text = read("larkspur.json");
    for end in 0..text.trim_end().len() {
        assert!(ProjectConfig::from_datafile(&text.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

proptest! {
    /// Whatever replaces any value of a sound datafile, reading it ends in a project or an error that has a place.
    #[test]
    fn no_value_anywhere_makes_reading_panic(at in 0_usize..2_000, value in prop_oneof![
        Just("null"), Just("0"), Just("-1e400"), Just("\"\""), Just("[]"), Just("{}"), Just("true"), Just("[null]"), Just("[{}]"),
    ]) {
        let text = read("larkspur.json");
        let places: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
        let start = places[at % places.len()];
        let end = start + text[start..].find([',', '\n']).unwrap();
        let changed = format!("{}{value}{}", &text[..start], &text[end..]);
        if let Err(error) = ProjectConfig::from_datafile(changed) {
            prop_assert!(error.to_string().len() > 10);
        }
    }
}
