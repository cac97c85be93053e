//! Small inputs of kinds that users of other tools have reported in public, with what is right for each
//! (tests/cases/README.md says where they are from): `validate`, `send` and the collector give one answer.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{Collector, Files, Server, post, run, run_with};

fn case(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name).display().to_string()
}

fn read(name: &str) -> Vec<u8> {
    fs::read(case(name)).unwrap()
}

/// What is right for a body.
struct Body {
    file: &'static str,
    /// What is wrong with it; empty: nothing.
    problem: &'static str,
    /// What is odd about it; empty: nothing.
    warning: &'static str,
    repaired: u64,
    impressions: u64,
    conversions: u64,
}

const SOUND: Body = Body { file: "", problem: "", warning: "", repaired: 0, impressions: 0, conversions: 1 };

const BODIES: [Body; 8] = [
    Body { file: "impression-by-type.json", impressions: 1, conversions: 0, ..SOUND },
    Body { file: "attr-type-location.json", ..SOUND },
    Body { file: "event-no-key.json", ..SOUND },
    Body { file: "bom-batch.json", ..SOUND },
    Body { file: "bom-batch.jsonl", ..SOUND },
    Body { file: "lone-surrogate.json", repaired: 1, ..SOUND },
    Body { file: "project-id-empty.json", problem: "project_id: ", conversions: 0, ..SOUND },
    Body { file: "batch-no-visitors.jsonl", problem: "body: holds no events", conversions: 0, ..SOUND },
];

/// Every file of the folder: what `validate` names of it, beside which datafile. Errors, then warnings.
const KINDS: [(&str, &str, &[&str], &[&str]); 14] = [
    ("attr-type-location.json", "", &[], &[]),
    ("batch-no-visitors.jsonl", "", &["no-events"], &[]),
    ("bom-batch.json", "", &[], &[]),
    ("bom-batch.jsonl", "", &[], &[]),
    ("bom-datafile.json", "", &[], &[]),
    (
        "conversion-before-impression.jsonl",
        "dup-rule-key.datafile.json",
        &[],
        &["conversion-before-decision"],
    ),
    ("dup-rule-key.datafile.json", "", &[], &[]),
    // An event line that cannot be made is no body: it has words, and no kind.
    ("dup-rule-key.jsonl", "dup-rule-key.datafile.json", &["null"], &[]),
    ("event-no-key.json", "", &[], &[]),
    ("holdout.datafile.json", "", &[], &[]),
    ("holdout.jsonl", "holdout.datafile.json", &[], &[]),
    ("impression-by-type.json", "", &[], &[]),
    ("lone-surrogate.json", "", &[], &[]),
    ("project-id-empty.json", "", &["project-id-empty"], &[]),
];

#[test]
fn each_case_has_the_kinds_of_problems_that_it_stands_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = files.filter(|name| name != "README.md").collect();
    files.sort();
    assert_eq!(files, KINDS.map(|(file, ..)| file));
    for (file, datafile, errors, warnings) in KINDS {
        let (file, path) = (case(file), case(datafile));
        let beside: &[&str] = if datafile.is_empty() { &[] } else { &["--datafile", &path] };
        let found = run(&[&["validate", "--json"], beside, &[&file]].concat()).json();
        let problems = found["problems"].as_array().unwrap();
        let kinds: Vec<_> =
            problems.iter().map(|problem| problem["kind"].as_str().unwrap_or("null")).collect();
        assert_eq!(kinds, errors, "{found}");
        let told = found["warnings"].as_array().unwrap();
        let kinds = told.iter().filter_map(|text| text.as_str()?.strip_suffix(']')?.rsplit_once('['));
        assert_eq!(kinds.map(|(_, kind)| kind).collect::<Vec<_>>(), warnings, "{found}");
    }
}

/// A visitor in two variations, a bot, and a time that has not come: told of event lines as of bodies, and counted.
#[test]
fn what_is_counted_otherwise_is_told_everywhere() {
    let datafile = case("bom-datafile.json");
    let agent = r#""$opt_user_agent":"Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/119.0 Safari/537.36""#;
    let seen = |variation: &str, more: &str| {
        format!(
            r#"{{"type":"impression","user_id":"ann","experiment_id":"11","variation":"{variation}"{more}}}"#
        )
    };
    for (lines, kind, words, mixed) in [
        ([seen("on", ""), seen("on", "")], "", "two variations", 0),
        ([seen("on", ""), seen("off", "")], "visitor-in-two-variations", "two variations", 1),
        (
            [seen("on", ""), seen("on", &format!(r#","attributes":{{{agent}}}"#))],
            "user-agent-of-a-bot",
            "looks like a bot's",
            0,
        ),
        (
            [seen("on", ""), seen("on", r#","timestamp":9999999999999"#)],
            "timestamp-in-the-future",
            "in the future",
            0,
        ),
    ] {
        let (input, is_told) = (lines.join("\n"), !kind.is_empty());
        let ran = run_with(&["validate", "--datafile", &datafile, "-"], input.as_bytes());
        assert_eq!(ran.ended(0).stdout.contains(words), is_told, "{ran:?}");
        assert!(ran.stdout.contains(kind), "{ran:?}");
        let collector = Collector::start(&["--datafile", &datafile]);
        let args = ["send", "--datafile", &datafile, "--endpoint", &collector.url, "-"];
        let ran = run_with(&args, input.as_bytes());
        assert_eq!(ran.ended(0).stderr.contains(words), is_told, "{ran:?}");
        let (ledger, good) = (collector.get("/ledger"), collector.good());
        assert_eq!((&ledger["good"], &ledger["bad"]), (&json!(2), &json!(0)), "{ledger}");
        assert_eq!((&ledger["warned"], &ledger["mixed"]), (&json!(u64::from(is_told)), &json!(mixed)));
        let kinds: Vec<_> = good.iter().filter_map(|event| event["warnings"][0]["kind"].as_str()).collect();
        assert_eq!(kinds.concat(), kind);
    }
}

#[test]
fn validate_gives_the_right_answer_to_each_body() {
    for body in BODIES {
        let ran = run(&["validate", "--json", &case(body.file)]);
        let found = ran.ended(i32::from(!body.problem.is_empty())).json();
        check(&body, &found["problems"], &found["warnings"]);
        assert_eq!(found["repaired"], body.repaired, "{}", body.file);
    }
}

#[test]
fn send_gives_the_right_answer_to_each_body() {
    for body in BODIES {
        let collector = Collector::start(&[]);
        let ran = run(&["send", "--json", "--endpoint", &collector.url, &case(body.file)]);
        let report = ran.ended(i32::from(!body.problem.is_empty())).json();
        assert_eq!(report["repaired"], body.repaired, "{}", body.file);
        assert!(ran.stderr.contains(body.problem) && ran.stderr.contains(body.warning), "{ran:?}");
        counts(&body, &collector, 0);
    }
}

#[test]
fn the_collector_gives_the_right_answer_to_each_body() {
    for body in BODIES {
        let collector = Collector::start(&[]);
        assert_eq!(post(&collector.url, &read(body.file), None).0, 204, "{}", body.file);
        let bad = u64::from(!body.problem.is_empty());
        counts(&body, &collector, bad);
        let listed = collector.get("/bad");
        check(&body, listed.get(0).map_or(&json!([]), |event| &event["problems"]), &json!([]));
        assert_eq!(collector.get("/ledger")["repaired"], body.repaired, "{}", body.file);
    }
}

/// `1` and `true` ask for a failure status where a body is bad; nothing else does.
#[test]
fn the_collector_is_strict_where_a_header_asks_for_it() {
    let collector = Collector::start(&[]);
    for body in BODIES {
        let bad = if body.problem.is_empty() { 204 } else { 400 };
        for (header, status) in [("1", bad), ("true", bad), ("TRUE", bad), ("0", 204), ("yes", 204)] {
            let (found, text) = post(&collector.url, &read(body.file), Some(header));
            assert_eq!(found, status, "{} with {header}", body.file);
            assert!(
                text.contains(body.problem.trim_end_matches(": ").trim_start_matches("body: "))
                    || found == 204
            );
        }
    }
}

fn check(body: &Body, problems: &Value, warnings: &Value) {
    let problems = problems.as_array().unwrap();
    assert_eq!(problems.len(), usize::from(!body.problem.is_empty()), "{}: {problems:?}", body.file);
    for problem in problems {
        // The collector lists a place and what is wrong there; `validate` a line of text.
        let text = match problem.get("path") {
            Some(path) => format!("{}: {}", path.as_str().unwrap(), problem["problem"].as_str().unwrap()),
            None => problem["problem"].as_str().unwrap().to_owned(),
        };
        assert!(text.starts_with(body.problem), "{}: {text}", body.file);
    }
    assert!(warnings.to_string().contains(body.warning), "{}: {warnings}", body.file);
}

/// What the collector has counted.
fn counts(body: &Body, collector: &Collector, bad: u64) {
    let ledger = collector.get("/ledger");
    assert_eq!(ledger["good"], body.impressions + body.conversions, "{}: {ledger}", body.file);
    assert_eq!(ledger["bad"], bad, "{}: {ledger}", body.file);
    let good = collector.good();
    let impressions = good.iter().filter(|event| event["is_impression"] == true).count() as u64;
    assert_eq!(impressions, body.impressions, "{}: {good:?}", body.file);
}

#[test]
fn half_of_a_surrogate_pair_arrives_as_the_replacement_character() {
    for end in ["", "\n", "\r\n"] {
        let server = Server::start(true, |_| 204);
        let input = [&read("lone-surrogate.json"), end.as_bytes()].concat();
        run_with(&["send", "--endpoint", &server.url, "-"], &input).ended(0);
        let sent: Value = serde_json::from_slice(&server.bodies()[0]).unwrap();
        let tag = &sent["visitors"][0]["snapshots"][0]["events"][0]["tags"]["t"];
        assert_eq!(tag, "bad \u{fffd} tail");
    }
    let datafile = case("dup-rule-key.datafile.json");
    let line = r#"{"type":"conversion","user_id":"cut \ud83d","event":"purchase"}"#;
    let server = Server::start(true, |_| 204);
    let ran = run_with(
        &["send", "--json", "--datafile", &datafile, "--endpoint", &server.url, "-"],
        line.as_bytes(),
    );
    assert_eq!(ran.ended(0).json()["repaired"], 1);
    let sent: Value = serde_json::from_slice(&server.bodies()[0]).unwrap();
    assert_eq!(sent["visitors"][0]["visitor_id"], "cut \u{fffd}");
}

/// What a line says of its rule, and what comes of it: the experiment's id, or words of the refusal.
const RULES: [(&str, Result<&str, &[&str]>); 14] = [
    (r#""experiment":"rule_ab","variation":"on""#, Err(&["\"11\", \"12\"", "experiment_id", "flag"])),
    (r#""experiment":"rule_ab","experiment_id":"12","variation":"on""#, Ok("12")),
    (r#""experiment_id":"11","variation":"on""#, Ok("11")),
    (r#""experiment":"rule_ab","flag":"flag_one","variation":"on""#, Ok("11")),
    (r#""experiment":"rule_ab","flag":"flag_two","variation":"on""#, Ok("12")),
    (r#""experiment_id":"12","flag":"flag_two","variation_id":"1202""#, Ok("12")),
    (r#""experiment":null,"experiment_id":"12","flag":null,"variation":"on","variation_id":null"#, Ok("12")),
    (r#""experiment":"rule_ab","experiment_id":"12","variation":null,"variation_id":null"#, Ok("12")),
    (
        r#""experiment":"rule_ab","flag":"flag_six","variation":"on""#,
        Err(&["rule_ab", "no rule of flag", "flag_six"]),
    ),
    (r#""experiment_id":"12","flag":"flag_one","variation":"on""#, Err(&["flag_one", "flag_two"])),
    (r#""experiment":"opaque","experiment_id":"12","variation":"on""#, Err(&["opaque", "rule_ab"])),
    (r#""experiment_id":"99","variation":"on""#, Err(&["\"99\""])),
    (r#""experiment_id":"12","variation_id":"1101""#, Err(&["\"1101\""])),
    (r#""experiment_id":"12","variation":"off","variation_id":"1201""#, Err(&["off", "\"on\""])),
];

#[test]
fn validate_tells_rules_of_one_key_apart() {
    for (says, right) in RULES {
        let line = format!(r#"{{"type":"impression","user_id":"a",{says}}}"#);
        let datafile = case("dup-rule-key.datafile.json");
        let ran = run_with(&["validate", "--datafile", &datafile, "-"], line.as_bytes());
        ran.ended(i32::from(right.is_err()));
        for word in right.err().unwrap_or_default() {
            assert!(ran.stdout.contains(word), "{says}: {ran:?}");
        }
    }
}

#[test]
fn send_tells_rules_of_one_key_apart() {
    let datafile = case("dup-rule-key.datafile.json");
    for (says, right) in RULES {
        let line = format!(r#"{{"type":"impression","user_id":"a",{says}}}"#);
        let server = Server::start(true, |_| 204);
        let ran =
            run_with(&["send", "--datafile", &datafile, "--endpoint", &server.url, "-"], line.as_bytes());
        match right {
            Ok(id) => {
                ran.ended(0);
                let sent: Value = serde_json::from_slice(&server.bodies()[0]).unwrap();
                let decision = &sent["visitors"][0]["snapshots"][0]["decisions"][0];
                assert_eq!(decision["experiment_id"], id, "{says}");
            }
            Err(words) => {
                ran.ended(1);
                assert!(words.iter().all(|word| ran.stderr.contains(word)), "{says}: {ran:?}");
                assert_eq!(server.hits(), 0);
            }
        }
    }
    let ran = run(&["validate", "--datafile", &datafile, &case("dup-rule-key.jsonl")]);
    assert!(ran.ended(1).stdout.contains("\"11\", \"12\""), "{ran:?}");
}

/// What was left over or died comes back as a line that says which rule it was.
#[test]
fn a_dead_letter_of_a_rule_names_it_so_that_it_can_be_sent_again() {
    let (files, datafile) = (Files::new(), case("dup-rule-key.datafile.json"));
    let metadata =
        r#"{"flag_key":"flag_two","rule_key":"rule_ab","rule_type":"feature-test","enabled":true}"#;
    let line = format!(
        r#"{{"type":"impression","user_id":"a","experiment_id":"12","variation":"on","metadata":{metadata}}}"#
    );
    let refusing = Server::start(false, |_| 400);
    let dead = files.path("dead.jsonl");
    let args = ["send", "--datafile", &datafile, "--endpoint", &refusing.url, "--dead-letters", &dead, "-"];
    run_with(&args, line.as_bytes()).ended(1);
    let taking = Server::start(true, |_| 204);
    run(&["send", "--datafile", &datafile, "--endpoint", &taking.url, &dead]).ended(0);
    let sent: Value = serde_json::from_slice(&taking.bodies()[0]).unwrap();
    let decision = &sent["visitors"][0]["snapshots"][0]["decisions"][0];
    assert_eq!((&decision["experiment_id"], &decision["variation_id"]), (&json!("12"), &json!("1201")));
    assert_eq!(decision["metadata"]["flag_key"], "flag_two");
}

/// Ids that are none do not go out; the seed's form does that, on demand, in the library.
#[test]
fn an_id_that_is_none_is_normalised_as_todays_sdks_do() {
    for (datafile, line, campaign, experiment) in [
        ("holdout.datafile.json", String::from_utf8(read("holdout.jsonl")).unwrap(), "91", "91"),
        ("dup-rule-key.datafile.json", rule("opaque", "blue"), "13", "13"),
        ("dup-rule-key.datafile.json", rule("opaque", "none"), "13", "13"),
        ("dup-rule-key.datafile.json", rule("opaque", "sp"), "13", "13"),
    ] {
        let datafile = case(datafile);
        run_with(&["validate", "--datafile", &datafile, "-"], line.as_bytes()).ended(0);
        let collector = Collector::start(&["--datafile", &datafile]);
        run_with(&["send", "--datafile", &datafile, "--endpoint", &collector.url, "-"], line.as_bytes())
            .ended(0);
        let good = collector.good();
        assert_eq!(good[0]["campaign_id"], campaign);
        assert_eq!(
            (&good[0]["entity_id"], &good[0]["experiment_id"]),
            (&json!(campaign), &json!(experiment))
        );
        assert_eq!(good[0]["variation_id"], Value::Null);
        assert_eq!(collector.get("/ledger")["bad"], 0);
    }
}

fn rule(experiment: &str, variation: &str) -> String {
    json!({"type": "impression", "user_id": "u", "experiment": experiment, "variation": variation})
        .to_string()
}

#[test]
fn a_byte_order_mark_is_skipped_in_every_place() {
    let (datafile, mark) = (case("bom-datafile.json"), b"\xEF\xBB\xBF");
    run(&["validate", &datafile]).ended(0);
    let files = Files::new();
    let line = br#"{"type":"conversion","user_id":"u","event":"purchase"}"#;
    let lines = files.write("lines.jsonl", [&mark[..], line, b"\n"].concat());
    run(&["validate", "--datafile", &datafile, &lines]).ended(0);
    let collector = Collector::start(&["--datafile", &datafile]);
    run(&["send", "--datafile", &datafile, "--endpoint", &collector.url, &lines]).ended(0);
    let spool = files.path("spool");
    run(&["send", "--datafile", &datafile, "--endpoint", &collector.url, "--spool", &spool, &lines]).ended(0);
    assert_eq!(collector.get("/ledger")["good"], 2);
}

#[test]
fn a_conversion_before_every_decision_is_a_warning_everywhere() {
    let datafile = case("dup-rule-key.datafile.json");
    let odd = String::from_utf8(read("conversion-before-impression.jsonl")).unwrap();
    let earlier = odd.replace("1795559590000", "1795559580000");
    for (text, early) in [(odd.clone(), 1), (earlier, 0)] {
        let ran = run_with(&["validate", "--datafile", &datafile, "-"], text.as_bytes());
        assert_eq!(ran.ended(0).stdout.contains("earlier than the first decision"), early == 1, "{ran:?}");
        let ran = run_with(&["validate", "-"], text.as_bytes());
        assert_eq!(ran.ended(0).stdout.contains("earlier than the first decision"), early == 1, "{ran:?}");
        let collector = Collector::start(&[]);
        let args = ["send", "--json", "--datafile", &datafile, "--endpoint", &collector.url, "-"];
        let ran = run_with(&args, text.as_bytes());
        assert_eq!(ran.ended(0).json()["too_early"], early);
        assert_eq!(ran.stderr.contains("earlier than the first decision"), early == 1, "{ran:?}");
        assert_eq!(collector.get("/ledger")["too_early"], early);
    }
}

/// A time that is not in milliseconds is refused in event lines as in bodies.
#[test]
fn a_time_that_is_not_in_milliseconds_is_refused_everywhere() {
    let datafile = case("dup-rule-key.datafile.json");
    let body = String::from_utf8(read("event-no-key.json")).unwrap();
    for time in ["1795559589", "1", "1795559589561000", "1795559589561000000", "-1795559589561", "0"] {
        let line = format!(r#"{{"type":"conversion","user_id":"u","event":"purchase","timestamp":{time}}}"#);
        for input in [line, body.replace("1795559589561", time)] {
            let expected = format!("timestamp: not milliseconds since 1970: {time} ");
            let ran = run_with(&["validate", "--datafile", &datafile, "-"], input.as_bytes());
            assert!(ran.ended(1).stdout.contains(&expected), "{ran:?}");
            let server = Server::start(true, |_| 204);
            let args = ["send", "--datafile", &datafile, "--endpoint", &server.url, "-"];
            let ran = run_with(&args, input.as_bytes());
            assert!(ran.ended(1).stderr.contains(&expected), "{ran:?}");
            assert_eq!(server.hits(), 0);
        }
    }
}

/// Tags that state nothing: sent all the same, told, and counted by the library (see its tests).
#[test]
fn tags_that_state_nothing_are_a_warning_everywhere() {
    let datafile = case("dup-rule-key.datafile.json");
    for (tags, warnings) in [
        (r#"{"revenue":4200,"value":1.5}"#, &[][..]),
        (r#"{"revenue":"12.50"}"#, &["tags.revenue: string \"12.50\" is no revenue"]),
        (r#"{"revenue":12.5}"#, &["tags.revenue: number 12.5 is no revenue"]),
        (r#"{"value":"much"}"#, &["tags.value: string \"much\" is no value"]),
        (r#"{"revenue":true,"value":[1]}"#, &["tags.revenue: ", "tags.value: "]),
    ] {
        let line = format!(r#"{{"type":"conversion","user_id":"u","event":"purchase","tags":{tags}}}"#);
        let ran = run_with(&["validate", "--json", "--datafile", &datafile, "-"], line.as_bytes());
        let found = ran.ended(0).json();
        assert_eq!(found["warnings"].as_array().unwrap().len(), warnings.len(), "{found}");
        let collector = Collector::start(&[]);
        let args = ["send", "--json", "--datafile", &datafile, "--endpoint", &collector.url, "-"];
        let ran = run_with(&args, line.as_bytes());
        assert_eq!(ran.ended(0).json()["warned"], u64::from(!warnings.is_empty()));
        let kept = collector.good()[0]["warnings"].to_string().replace("\\\"", "\"");
        for warning in warnings {
            assert!(found["warnings"].to_string().replace("\\\"", "\"").contains(warning), "{found}");
            assert!(ran.stderr.contains(warning), "{ran:?}");
            assert!(kept.contains(warning.split_once(": ").unwrap().1), "{kept}");
        }
        assert_eq!(collector.get("/ledger")["warned"], u64::from(!warnings.is_empty()));
    }
}

/// What `metadata` of a line may be, and words of the refusal.
const METADATA: [(&str, &str); 11] = [
    (
        r#"{"flag_key":"flag_two","rule_key":"rule_ab","rule_type":"feature-test","variation_key":"on","enabled":true}"#,
        "",
    ),
    (r#"{"rule_type":"rollout","cmab_uuid":"c1"}"#, ""),
    ("{}", ""),
    (r#"{"flagkey":"flag_two"}"#, "did you mean \"flag_key\"?"),
    (r#"{"rule_type":"test"}"#, "metadata.rule_type"),
    (r#"{"rule_key":"other"}"#, "metadata.rule_key"),
    (r#"{"variation_key":"off"}"#, "metadata.variation_key"),
    (r#"{"enabled":"yes"}"#, "metadata.enabled: expected a boolean, found string \"yes\""),
    (r#"{"flag_key":5}"#, "metadata.flag_key: expected a string, found number 5"),
    (r#"{"cmab_uuid":["a"]}"#, "metadata.cmab_uuid: expected a string, found a list of 1"),
    ("5", "metadata: expected an object"),
];

#[test]
fn metadata_of_a_line_is_checked_sent_and_shown() {
    let datafile = case("dup-rule-key.datafile.json");
    for (metadata, refusal) in METADATA {
        let line = format!(
            r#"{{"type":"impression","user_id":"u","experiment_id":"12","variation":"on","metadata":{metadata}}}"#
        );
        let ran = run_with(&["validate", "--datafile", &datafile, "-"], line.as_bytes());
        assert!(ran.ended(i32::from(!refusal.is_empty())).stdout.contains(refusal), "{ran:?}");
        let collector = Collector::start(&["--datafile", &datafile]);
        let args = ["send", "--datafile", &datafile, "--endpoint", &collector.url, "-"];
        let ran = run_with(&args, line.as_bytes());
        assert!(ran.ended(i32::from(!refusal.is_empty())).stderr.contains(refusal), "{ran:?}");
        if refusal.is_empty() {
            let (good, said) = (collector.good(), serde_json::from_str::<Value>(metadata).unwrap());
            let kept = good[0]["metadata"].as_object().unwrap();
            let says = |key: &str, empty: Value| said.get(key).cloned().unwrap_or(empty);
            for key in ["flag_key", "rule_key", "rule_type", "variation_key"] {
                assert_eq!(kept[key], says(key, json!("")), "{key} of {metadata}");
            }
            assert_eq!(kept["enabled"], says("enabled", json!(false)));
            assert_eq!(kept.get("cmab_uuid"), said.get("cmab_uuid"));
        }
    }
}

#[test]
fn an_unknown_key_names_what_may_have_been_meant() {
    let datafile = case("dup-rule-key.datafile.json");
    for (line, words) in [
        (r#"{"type":"conversion","user_id":"u","event":"purchse"}"#, "did you mean \"purchase\"?"),
        (r#"{"type":"conversion","user_id":"u","evnt":"purchase"}"#, "did you mean \"event\"?"),
        (
            r#"{"type":"impression","user_id":"u","experiment":"opaqe","variation":"blue"}"#,
            "did you mean \"opaque\"?",
        ),
        (
            r#"{"type":"impression","user_id":"u","experiment":"opaque","variation":"bleu"}"#,
            "it has \"blue\"",
        ),
    ] {
        let ran = run_with(&["validate", "--datafile", &datafile, "-"], line.as_bytes());
        assert!(ran.ended(1).stdout.contains(words), "{ran:?}");
    }
}
