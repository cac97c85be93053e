//! Events made by key, and what is said of a key that makes none.

use posthaste::{
    ConversionError, ExperimentKeyError, ImpressionError, NO_TAGS, ProjectConfig, UserContext,
    create_conversion_user_event, create_impression_user_event, testing::ManualClock,
};
use proptest::prelude::*;
use serde_json::{Map, json};

use crate::support::larkspur;

fn user() -> UserContext {
    UserContext::new("visitor-1").attribute("plan", "pro")
}

#[test]
fn by_key_and_by_what_was_looked_up_are_the_same_event() {
    let config = larkspur().with_clock(ManualClock::at_ms(1_795_500_003_394));
    let experiment = config.experiment_by_key("checkout_button").unwrap();
    let by_hand =
        create_impression_user_event(&config, experiment, experiment.variation_by_key("control"), &user());
    let by_key = config.impression("checkout_button", "control", &user()).unwrap();
    assert_eq!(by_key.with_uuid("1"), by_hand.with_uuid("1"));

    let tags = Map::from_iter([("revenue".to_owned(), json!(4200)), ("sku".to_owned(), json!("A1"))]);
    let purchase = config.event_by_key("purchase").unwrap();
    let by_hand = create_conversion_user_event(&config, purchase, &user(), &tags).with_uuid("1");
    for by_key in [
        config.conversion("purchase", &user(), &tags).unwrap(),
        config.conversion("purchase", &user(), tags.clone()).unwrap(),
        config.conversion("purchase", &user(), [("sku", json!("A1")), ("revenue", json!(4200))]).unwrap(),
        config.conversion("purchase", &user(), tags.iter().filter(|(key, _)| !key.is_empty())).unwrap(),
    ] {
        assert_eq!(by_key.with_uuid("1"), by_hand);
    }
    let none = create_conversion_user_event(&config, purchase, &user(), &Map::new()).with_uuid("1");
    assert_eq!(config.conversion("purchase", &user(), NO_TAGS).unwrap().with_uuid("1"), none);
}

#[test]
fn an_unknown_experiment_names_near_misses() {
    for (key, text) in [
        ("chekout_button", r#"no experiment "chekout_button": did you mean "checkout_button"?"#),
        ("signup-copy", r#"no experiment "signup-copy": did you mean "signup_copy"?"#),
        (
            "dark_mode",
            r#"no experiment "dark_mode": did you mean "dark_mode_everyone" or "dark_mode_rule_adults"?"#,
        ),
        ("pricing", r#"no experiment "pricing""#),
        ("", r#"no experiment """#),
        ("a\u{1b}[2J", r#"no experiment "a\u{1b}[2J""#),
    ] {
        let config = larkspur();
        assert_eq!(config.experiment_by_key(key).unwrap_err().to_string(), text);
        let error = config.impression(key, "control", &user()).unwrap_err();
        assert!(
            matches!(error, ImpressionError::Experiment(ExperimentKeyError::Unknown { .. })),
            "{error:?}"
        );
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn an_unknown_event_names_near_misses() {
    for (key, text) in [
        ("purchse", r#"no event "purchse": did you mean "purchase"?"#),
        ("Search_Performed", r#"no event "Search_Performed": did you mean "search performed"?"#),
        ("resume_vu", r#"no event "resume_vu": did you mean "résumé_vu"?"#),
        ("refund", r#"no event "refund""#),
    ] {
        let error = larkspur().conversion(key, &user(), NO_TAGS).unwrap_err();
        assert!(matches!(error, ConversionError::UnknownEvent { .. }));
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn an_unknown_variation_lists_the_experiments_own() {
    let error = larkspur().impression("signup_copy", "shrot", &user()).unwrap_err();
    let text = r#"no variation "shrot" of experiment "signup_copy": it has "short", "long", "funny""#;
    assert_eq!(error.to_string(), text);
    let ImpressionError::UnknownVariation { variations, .. } = error else { panic!("{error:?}") };
    assert_eq!((variations.names().len(), variations.more()), (3, 0));
    let error = larkspur().impression("signup_copy", "Funy", &user()).unwrap_err();
    let text = r#"no variation "Funy" of experiment "signup_copy": it has "short", "long", "funny": did you mean "funny"?"#;
    assert_eq!(error.to_string(), text);
}

/// The rules of two flags, and a group's member, have one key; other users' SDKs report one of them at random.
fn shared_key() -> ProjectConfig {
    let datafile = r#"{"version": "4", "accountId": "900100200", "projectId": "900100300", "revision": "7",
        "experiments": [
            {"id": "11", "key": "rule_ab", "layerId": "21", "variations": [{"id": "1101", "key": "on"}]},
            {"id": "12", "key": "rule_ab", "layerId": "22", "variations": [{"id": "1201", "key": "on"}]},
            {"id": "13", "key": "alone", "layerId": "23"}, {"id": "13", "key": "alone", "layerId": "24"}],
        "groups": [{"id": "1", "experiments": [{"id": "14", "key": "rule_ab", "layerId": "25"}]}],
        "featureFlags": [{"id": "31", "key": "flag_one", "experimentIds": ["11"]},
                         {"id": "32", "key": "flag_two", "experimentIds": ["12"]}]}"#;
    ProjectConfig::from_datafile(datafile).unwrap()
}

#[test]
fn a_key_of_several_experiments_is_no_guess() {
    let config = shared_key();
    let error = config.impression("rule_ab", "on", &user()).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"experiment key "rule_ab" stands for several experiments: say which by its id, one of "11", "12", "14""#
    );
    let ImpressionError::Experiment(ExperimentKeyError::Ambiguous { key, ids, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((&*key, ids.names().collect::<Vec<_>>()), ("rule_ab", vec!["11", "12", "14"]));
    for id in ["11", "12"] {
        let experiment = config.experiment_by_id(id).unwrap();
        let event =
            create_impression_user_event(&config, experiment, experiment.variation_by_key("on"), &user());
        assert_eq!(event.impression().unwrap().experiment_id(), id);
    }
    let warning = r#"experiment key "rule_ab" stands for several ids, "11", "12", "14": say which by its id"#;
    assert!(config.warnings().contains(&warning.to_owned()), "{:?}", config.warnings());
}

#[test]
fn one_experiment_that_stands_there_twice_is_not_several() {
    let config = shared_key();
    assert_eq!(config.experiment_by_key("alone").unwrap().layer_id(), "24");
    assert_eq!(config.warnings()[0], r#"experiment id "13" occurs twice: the last one counts"#);
}

/// Whoever writes a datafile writes its keys: an error must not grow with them.
#[test]
fn thousands_of_one_key_make_a_short_error() {
    let experiments: Vec<String> =
        (0..20_000).map(|n| format!(r#"{{"id":"{n}","key":"{}"}}"#, "k".repeat(300))).collect();
    let datafile = format!(
        r#"{{"version":"4","accountId":"1","projectId":"2","revision":"3","experiments":[{}]}}"#,
        experiments.join(",")
    );
    let config = ProjectConfig::from_datafile(datafile).unwrap();
    let error = config.experiment_by_key(&"k".repeat(300)).unwrap_err().to_string();
    assert!(error.len() < 300 && error.ends_with(r#""9" and 19990 more"#), "{error}");
    assert_eq!(config.warnings().len(), 1);
}

proptest! {
    /// Whatever the key: an event, or an error that is short and in one line.
    #[test]
    fn any_key_is_an_event_or_a_short_error(key in ".{0,300}", variation in ".{0,300}") {
        let config = larkspur();
        let errors = [
            config.impression(&key, &variation, &user()).err().map(|error| error.to_string()),
            config.impression("checkout_button", &variation, &user()).err().map(|error| error.to_string()),
            config.conversion(&key, &user(), NO_TAGS).err().map(|error| error.to_string()),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(error.chars().count() < 1_500 && !error.contains(['\n', '\u{1b}']), "{error}");
        }
    }
}
