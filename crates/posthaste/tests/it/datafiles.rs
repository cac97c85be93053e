//! Datafiles, sound and broken: what is accepted (docs/PROTOCOL.md 3.2), and what is said about the rest.

use posthaste::{Batch, DatafileError, ProjectConfig, Region, UserContext};
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
        ("06_version_2", None),
        ("07_version_5", Some("version: \"5\" is not supported: expected \"2\", \"3\" or \"4\"")),
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
    let text = read("larkspur.json").replace("\"70121\",\n     \"key\"", "[70121],\n     \"key\"");
    let error = ProjectConfig::from_datafile(text).unwrap_err();
    assert_eq!(error.to_string(), "experiments[1].variations[0].id: expected string, found list");
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
fn an_owner_of_blanks_only_is_a_warning() {
    for (account, project, warned) in [
        ("1", "2", &[][..]),
        (" ", "2", &["accountId"]),
        ("1", "\\t", &["projectId"]),
        ("\u{a0}", " ", &["accountId", "projectId"]),
    ] {
        let json =
            format!(r#"{{"version":"4","accountId":"{account}","projectId":"{project}","revision":"3"}}"#);
        let config = ProjectConfig::from_datafile(json).unwrap();
        let about: Vec<_> =
            config.warnings().iter().map(|text| text.split_once(": only blanks").unwrap().0).collect();
        assert_eq!(about, warned);
    }
}

/// The rest of such a datafile is in order. Each place is told once, with what follows.
#[test]
fn an_id_or_key_that_says_nothing_is_a_warning() {
    let sound = r#"{"version":"4","accountId":"1","projectId":"2","revision":"3",
        "events":[{"id":"30","key":"buy"}], "attributes":[{"id":"20","key":"plan"}],
        "experiments":[{"id":"40","key":"test","layerId":"60","variations":[{"id":"70","key":"blue"}]}],
        "groups":[{"id":"80","experiments":[{"id":"41","key":"grouped","layerId":"61","variations":[]}]}]}"#;
    assert!(ProjectConfig::from_datafile(sound).unwrap().warnings().is_empty());
    for (value, path) in [
        ("30", "events[0].id"),
        ("buy", "events[0].key"),
        ("20", "attributes[0].id"),
        ("plan", "attributes[0].key"),
        ("40", "experiments[0].id"),
        ("test", "experiments[0].key"),
        ("70", "experiments[0].variations[0].id"),
        ("blue", "experiments[0].variations[0].key"),
        ("41", "groups[0].experiments[0].id"),
    ] {
        for (nothing, what) in [("", "empty"), (" ", "only blanks")] {
            let datafile = sound.replace(&format!("\"{value}\""), &format!("\"{nothing}\""));
            let config = ProjectConfig::from_datafile(datafile).unwrap();
            let [warning] = config.warnings() else { panic!("{path}: {:?}", config.warnings()) };
            assert!(warning.starts_with(&format!("{path}: {what}: ")), "{warning}");
        }
    }
}

/// Whatever holds the experiment.
#[test]
fn a_variation_that_an_experiment_has_twice_is_a_warning() {
    for (variations, warning) in [
        (r#"{"id":"1","key":"a"},{"id":"2","key":"b"}"#, None),
        (
            r#"{"id":"1","key":"a"},{"id":"2","key":"a"}"#,
            Some(
                r#"experiment "e": variation key "a" stands for several ids, "1", "2": the last one counts"#,
            ),
        ),
        (
            r#"{"id":"1","key":"a"},{"id":"1","key":"b"}"#,
            Some(r#"experiment "e": variation id "1" occurs twice: the last one counts"#),
        ),
    ] {
        let experiment = format!(r#"[{{"id":"20","key":"e","layerId":"l","variations":[{variations}]}}]"#);
        for place in [
            format!(r#""experiments":{experiment}"#),
            format!(r#""holdouts":{experiment}"#),
            format!(r#""localHoldouts":{experiment}"#),
            format!(r#""groups":[{{"id":"g","experiments":{experiment}}}]"#),
            format!(r#""rollouts":[{{"id":"r","experiments":{experiment}}}]"#),
        ] {
            let json = format!(r#"{{"version":"4","accountId":"1","projectId":"2","revision":"3",{place}}}"#);
            let config = ProjectConfig::from_datafile(json).unwrap();
            assert_eq!(config.warnings(), warning.as_slice(), "{place}");
            let last = config.experiments()[0].variations().last().unwrap();
            assert_eq!(config.experiments()[0].variation_by_key(last.key()), Some(last));
        }
    }
}

/// Half of larkspur's ids as numbers: the same events.
#[test]
fn ids_that_are_whole_numbers_stand_for_their_digits() {
    let text = read("larkspur.json");
    let ids = ["40011", "60011", "70111", "70112", "30012", "20010", "65010", "41001"];
    let numbers = ids.iter().fold(text, |text, id| text.replace(&format!("\"{id}\""), id));
    let config = ProjectConfig::from_datafile(numbers).unwrap();
    let user = UserContext::new("visitor-1").attribute("plan", "pro");
    for (experiment, variation) in [("checkout_button", "green_button"), ("dark_mode_rule_adults", "on")] {
        let made = |config: ProjectConfig| {
            let event = config.as_todays_sdks_send().impression(experiment, variation, &user).unwrap();
            Batch::from_user_events(&[event.with_uuid("1").with_timestamp_ms(1)])
        };
        assert_eq!(made(config.clone()), made(project("larkspur.json")));
    }
    assert_eq!(config.event_by_id("30012").unwrap().key(), "purchase");
    let first = config.event_by_id("30012").unwrap().experiment_ids().next();
    assert_eq!(first, Some("40011"));
    for (id, found) in
        [("-1", "number"), ("1.0", "number"), ("1e3", "number"), ("18446744073709551616", "number")]
    {
        let text = read("larkspur.json").replace("\"70111\",\n     \"key\"", &format!("{id},\n     \"key\""));
        let error = ProjectConfig::from_datafile(text).unwrap_err().to_string();
        assert_eq!(error, format!("experiments[0].variations[0].id: expected string, found {found}"), "{id}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let marked = [b"\xEF\xBB\xBF", read("larkspur.json").as_bytes()].concat();
    assert_eq!(ProjectConfig::from_datafile(marked).unwrap().revision(), "42");
    assert!(ProjectConfig::from_datafile(b"\xEF\xBB\xBF").is_err());
    let twice = [b"\xEF\xBB\xBF\xEF\xBB\xBF", read("larkspur.json").as_bytes()].concat();
    assert!(ProjectConfig::from_datafile(twice).is_err());
}

#[test]
fn halves_of_surrogate_pairs_are_replaced_and_counted() {
    let json = |text: &str| {
        format!(
            r#"{{"version":"4","accountId":"1","projectId":"2","revision":"3","events":[{{"id":"10","key":"{text}"}}]}}"#
        )
    };
    for (text, read, warning) in [
        (r"\ud83d\ude00", "😀", None),
        (r"a\ud83d", "a\u{fffd}", Some(r#"1 half of a surrogate pair (such as "\ud800") is read as U+FFFD"#)),
        (
            r"\ude00-\ud83d",
            "\u{fffd}-\u{fffd}",
            Some(r#"2 halves of surrogate pairs (such as "\ud800") are read as U+FFFD"#),
        ),
    ] {
        let config = ProjectConfig::from_datafile(json(text)).unwrap();
        assert_eq!(config.events()[0].key(), read);
        assert_eq!(config.warnings(), warning.as_slice());
    }
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    for (json, place) in [(&b"{\n \"a\": \"b\xFF\"}"[..], "line 2, column 9"), (b"\xFF", "line 1, column 1")]
    {
        let error = ProjectConfig::from_datafile(json).unwrap_err().to_string();
        assert_eq!(error, format!("not JSON: not UTF-8 ({place}); is the file complete?"));
    }
}

#[test]
fn an_empty_account_or_project_is_an_error() {
    for key in ["accountId", "projectId"] {
        let id = if key == "accountId" { "10000001" } else { "10000002" };
        let text =
            read("larkspur.json").replace(&format!("\"{key}\": \"{id}\""), &format!("\"{key}\": \"\""));
        let error = ProjectConfig::from_datafile(text).unwrap_err();
        assert!(matches!(&error, DatafileError::Empty { path, .. } if path == key), "{error:?}");
        let problem = "it is empty, and the Event API drops events without it: copy the datafile again";
        assert_eq!(error.to_string(), format!("{key}: {problem}"));
    }
}

#[test]
fn a_misspelt_key_is_named_where_the_right_one_is_missing() {
    for (from, to, expected) in [
        (
            "\"accountId\"",
            "\"acountId\"",
            r#"accountId: expected string, found nothing, but there is "acountId": did you mean "accountId"?"#,
        ),
        (
            "\"version\"",
            "\"Version\"",
            r#"version: expected string, found nothing, but there is "Version": did you mean "version"?"#,
        ),
        ("\"revision\"", "\"number\"", "revision: expected string, found nothing"),
    ] {
        let text = read("larkspur.json").replacen(from, to, 1);
        assert_eq!(ProjectConfig::from_datafile(text).unwrap_err().to_string(), expected);
    }
    let text = read("larkspur.json").replacen("\"id\": \"40011\"", "\"Id\": \"40011\"", 1);
    assert_eq!(
        ProjectConfig::from_datafile(text).unwrap_err().to_string(),
        r#"experiments[0].id: expected string, found nothing, but there is "Id": did you mean "id"?"#
    );
}

/// No event carries them.
#[test]
fn an_sdk_key_that_is_no_text_is_a_warning() {
    let text = read("larkspur.json").replace("\"LarkspurSdkKey01\"", "7");
    let config = ProjectConfig::from_datafile(text).unwrap();
    assert_eq!(config.sdk_key(), "");
    assert_eq!(config.warnings(), ["sdkKey: expected string, found number: taken for absent"]);
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
