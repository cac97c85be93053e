//! Scripts against a small model: a rule as a list of the requests that it sees.

use std::collections::BTreeSet;

use proptest::{option, prelude::*};

use super::*;

/// What a script is asked about one request.
type Asked = (&'static str, &'static [u8]);

const PATHS: [&str; 3] = ["/v1/events", "/eu/v1/events", "/eu"];
const BODIES: [&[u8]; 3] = [b"ann and bob", b"bob", b"\xff\x00"];

/// Which rule decides each request, by its place.
fn decisions(faults: &Faults, requests: &[Asked]) -> Vec<Option<usize>> {
    let names: Vec<_> = faults.plans.iter().map(|plan| plan.name.clone()).collect();
    let mut script = Script::new(faults.clone());
    let mut decide = |(path, body): Asked| {
        let decided = script.decide(path, None, body, true)?;
        names.iter().position(|name| **name == *decided.fault.rule())
    };
    requests.iter().map(|asked| decide(*asked)).collect()
}

/// The model: one rule at a time, over all requests, with what is left by the rules before it.
fn modelled(rules: &[Rule], requests: &[Asked]) -> Vec<Option<usize>> {
    let mut decided = vec![None; requests.len()];
    for (at, rule) in rules.iter().enumerate() {
        let seen: Vec<usize> = (0..requests.len()).filter(|request| sees(rule, requests[*request])).collect();
        let (from, to) = (rule.from.unwrap_or(1), rule.to.unwrap_or(1_000));
        let every = usize::try_from(rule.every.unwrap_or(1)).unwrap();
        let numbers: BTreeSet<u64> = (from..=to).skip(every - 1).step_by(every).collect();
        let wanted = seen.iter().zip(1..).filter(|(_, number)| numbers.contains(number));
        let free: Vec<usize> =
            wanted.map(|(request, _)| *request).filter(|request| decided[*request].is_none()).collect();
        let times = usize::try_from(rule.times.unwrap_or(1_000)).unwrap();
        for request in free.into_iter().take(if rule.share == Some(0.0) { 0 } else { times }) {
            decided[request] = Some(at);
        }
    }
    decided
}

fn sees(rule: &Rule, (path, body): Asked) -> bool {
    let is_path = match rule.path.as_deref() {
        None | Some("*") => true,
        Some("/eu*") => path.contains("eu"),
        Some(exact) => path == exact,
    };
    let wanted = rule.body_contains.as_deref().unwrap_or_default();
    is_path && (0..=body.len()).any(|at| body[at..].starts_with(wanted))
}

/// All conditions; a share is all or nothing here.
fn rules() -> impl Strategy<Value = Rule> {
    let numbers = (option::of(1..9_u64), option::of(0..9_u64), option::of(1..5_u64), option::of(1..4_u64));
    let paths = prop::sample::select(vec!["/v1/events", "/eu/v1/events", "/eu*", "*", "/none"]);
    let bytes = prop::sample::select(vec![&b"ann"[..], b"bob", b"\x00", b"none"]);
    let what = (option::of(paths), option::of(bytes), option::of(prop::sample::select(vec![0.0, 1.0])));
    (numbers, what).prop_map(|((from, more, every, times), (path, bytes, share))| Rule {
        from,
        to: more.map(|more| from.unwrap_or(1) + more),
        every,
        times,
        path: path.map(str::to_owned),
        body_contains: bytes.map(<[u8]>::to_vec),
        share,
        ..Rule::status(503)
    })
}

fn requests() -> impl Strategy<Value = Vec<Asked>> {
    let one = (prop::sample::select(PATHS.to_vec()), prop::sample::select(BODIES.to_vec()));
    prop::collection::vec(one, 0..40)
}

proptest! {
    #[test]
    fn the_first_rule_that_fits_decides(
        rules in prop::collection::vec(rules(), 1..6),
        requests in requests(),
    ) {
        let faults = Faults::new(rules.clone()).unwrap();
        prop_assert_eq!(decisions(&faults, &requests), modelled(&rules, &requests));
    }

    #[test]
    fn counts_are_of_what_was_decided(rules in prop::collection::vec(rules(), 1..6), requests in requests()) {
        let mut script = Script::new(Faults::new(rules.clone()).unwrap());
        for (path, body) in &requests {
            script.decide(path, None, body, true);
        }
        let in_force = script.in_force();
        let decided = modelled(&rules, &requests);
        prop_assert_eq!(in_force.requests, requests.len() as u64);
        for (at, rule) in in_force.rules.iter().enumerate() {
            let applied = decided.iter().filter(|decided| **decided == Some(at)).count();
            let seen = requests.iter().filter(|asked| sees(&rules[at], **asked)).count();
            prop_assert_eq!((rule.applied, rule.seen), (applied as u64, seen as u64));
        }
    }

    /// What a script says of itself is a script.
    #[test]
    fn a_rule_is_read_as_it_is_written(
        rule in rules(),
        headers in prop::collection::vec(("[a-c]", "[a-z ]{0,5}"), 0..5),
        end in option::of(prop::sample::select(vec![End::Half, End::AnswerThenReset])),
        (delay, take, seed) in (option::of(0..9_000_u64), option::of(any::<bool>()), any::<u64>()),
    ) {
        let mut rule = Rule { end, take, ..rule }.body("some text").named("a \"name\"");
        rule.delay = delay.map(std::time::Duration::from_millis);
        // An object's names have no order, and the values of each keep theirs.
        rule.headers = headers;
        rule.headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        let faults = Faults::new([rule.clone()]).unwrap().with_seed(seed);
        let text = serde_json::json!({"seed": seed, "rules": [rule]}).to_string();
        prop_assert_eq!(Faults::parse(&text).unwrap(), faults, "{}", text);
    }

    /// Whatever is in it: a script or an error that says where, never a panic.
    #[test]
    fn any_text_is_a_script_or_an_error(
        key in "(n|from|every|share|status|headers|body|end|path|rules|x)?",
        value in "(-1|0|1|99|1e9|\"\"|\"reset\"|\\[\\]|\\{\\}|null|true|nul)",
    ) {
        let text = format!("{{\"rules\": [{{\"{key}\": {value}}}]}}");
        if let Err(error) = Faults::parse(&text) {
            prop_assert!(["rules[0]", "script"].iter().any(|place| error.path().starts_with(place)), "{}", error);
        }
    }
}

/// A thousand requests that are all alike.
static ALIKE: [Asked; 1_000] = [("/v1/events", b"x"); 1_000];

fn hits(faults: &Faults) -> Vec<bool> {
    decisions(faults, &ALIKE).into_iter().map(|decided| decided.is_some()).collect()
}

#[test]
fn a_seed_says_what_is_left_to_chance() {
    let faults = |seed| Faults::new([Rule::reset().share(0.3)]).unwrap().with_seed(seed);
    assert_eq!(hits(&faults(7)), hits(&faults(7)));
    assert_eq!(hits(&faults(0)), hits(&Faults::new([Rule::reset().share(0.3)]).unwrap()));
    assert_ne!(hits(&faults(7)), hits(&faults(8)));
    for seed in 0..20 {
        // Six standard deviations of a thousand throws: 0.3 ± 0.087.
        let count = hits(&faults(seed)).into_iter().filter(|hit| *hit).count();
        assert!((213..=387).contains(&count), "{seed}: {count}");
    }
}

/// What one rule leaves to chance does not depend on what another decides.
#[test]
fn rules_have_dice_of_their_own() {
    let second = |first: Rule| {
        let faults = Faults::new([first.nth(5), Rule::reset().share(0.5)]).unwrap();
        decisions(&faults, &ALIKE).into_iter().map(|decided| decided == Some(1)).collect::<Vec<_>>()
    };
    let (with, without) = (second(Rule::status(500)), second(Rule::status(500).path("/none")));
    let differ: Vec<_> = (0..1_000).filter(|request| with[*request] != without[*request]).collect();
    assert!(differ.is_empty() || differ == [4], "{differ:?}");
    let both = decisions(
        &Faults::new([Rule::reset().share(0.5).path("/none"), Rule::reset().share(0.5)]).unwrap(),
        &ALIKE,
    );
    let alone = hits(&Faults::new([Rule::reset().share(0.5)]).unwrap());
    assert_ne!(both.iter().map(Option::is_some).collect::<Vec<_>>(), alone, "two rules with one sequence");
}

#[test]
fn a_script_that_begins_anew_says_the_same_again() {
    let mut script = Script::new(Faults::new([Rule::reset().share(0.5).times(100)]).unwrap());
    let mut run = || {
        let hits = ALIKE.map(|(path, body)| script.decide(path, None, body, true).is_some());
        script.restart();
        hits
    };
    assert_eq!(run(), run());
}

#[test]
fn who_takes_the_events() {
    let half = || Rule::half("some text");
    for (rule, at_end_point, elsewhere) in [
        (Rule::status(204), true, false),
        (Rule::status(200), true, false),
        (Rule::status(302), false, false),
        (Rule::status(400), false, false),
        (Rule::status(503), false, false),
        (Rule::status(102), false, false),
        (Rule::status(503).take(true), true, true),
        (Rule::status(204).take(false), false, false),
        (Rule::reset(), true, false),
        (Rule::reset().take(false), false, false),
        (Rule::hang(), true, false),
        (half(), true, false),
        (Rule { status: Some(500), ..half() }, false, false),
        (Rule::answer_then_reset(204), true, false),
        (Rule::answer_then_reset(503), false, false),
        (Rule::default().delay(std::time::Duration::from_secs(1)), true, false),
        (Rule::status(503).delay(std::time::Duration::from_secs(1)), false, false),
    ] {
        let takes = |is_end_point| {
            let mut script = Script::new(Faults::new([rule.clone()]).unwrap());
            script.decide("/", None, b"", is_end_point).unwrap().takes
        };
        assert_eq!((takes(true), takes(false)), (at_end_point, elsewhere), "{rule:?}");
    }
}

#[test]
fn errors_say_where_what_and_what_to_do() {
    for (rules, expected) in [
        ("[5]", "rules[0]: expected a rule, which is an object, found another number; give a rule"),
        ("{}", "rules: expected a list of rules, found an object; give a list of rules"),
        (r#"[{"status": 503}, {"stauts": 1}]"#, r#"rules[1]: unknown key "stauts"; did you mean "status"?"#),
        (r#"[{"zzzzz": 1}]"#, r#"rules[0]: unknown key "zzzzz"; the keys are name, n, from"#),
        (r#"[{"status": 600}]"#, "rules[0].status: 600 cannot be used; give a status from 100 to 599"),
        (r#"[{"status": 99}]"#, "rules[0].status: 99 cannot be used; give a status from 100 to 599"),
        (r#"[{"status": 99999}]"#, "rules[0].status: 99999 cannot be used; give a status from 100 to 599"),
        (r#"[{"status": "503"}]"#, "rules[0].status: expected a whole number, 0 or more, found a text"),
        (r#"[{"n": 0, "status": 503}]"#, "rules[0].from: 0 cannot be used; give 1 or more"),
        (r#"[{"n": 1, "to": 2, "status": 503}]"#, "rules[0].n: one request, and several; give n alone"),
        (r#"[{"from": 3, "to": 2, "status": 503}]"#, "rules[0].to: it is less than from; give"),
        (r#"[{"share": 1.1, "status": 503}]"#, "rules[0].share: 1.1 cannot be used; give a probability"),
        (
            r#"[{"path": "v1", "status": 503}]"#,
            r#"rules[0].path: "v1" cannot be used; give a path that begins"#,
        ),
        (
            r#"[{"body_contains": "", "status": 503}]"#,
            "rules[0].body_contains: every body has it; leave it out",
        ),
        (
            r#"[{"body_contains": [256], "status": 503}]"#,
            "rules[0].body_contains: expected a text, or a list",
        ),
        (r#"[{"n": 1}]"#, "rules[0].status: nothing is done; give status"),
        (r#"[{"headers": {"a": "b"}}]"#, "rules[0].status: missing; say which"),
        (
            r#"[{"headers": {"a b": "b"}, "status": 503}]"#,
            r#"rules[0].headers: "a b" cannot be used; give a hea"#,
        ),
        (
            r#"[{"headers": {"a": "\n"}, "status": 503}]"#,
            r#"rules[0].headers.a: "\n" cannot be used; give let"#,
        ),
        (
            r#"[{"headers": {"a": 1}, "status": 503}]"#,
            "rules[0].headers.a: expected a text, or a list of texts",
        ),
        (
            r#"[{"headers": {"Content-Length": "1"}, "status": 503}]"#,
            "rules[0].headers.Content-Length: the server counts the body itself; leave it out",
        ),
        (r#"[{"status": 503, "end": "reset"}]"#, "rules[0].end: no answer, and one; leave out status"),
        (r#"[{"end": "rest"}]"#, r#"rules[0].end: "rest" cannot be used; give reset, hang, half or"#),
        (r#"[{"end": "half", "body": "x"}]"#, "rules[0].body: it has no half; give a text"),
        (
            r#"[{"end": "half", "status": 204}]"#,
            "rules[0].status: an answer with it has no body; give another",
        ),
        (
            r#"[{"end": "answer_then_reset", "status": 103}]"#,
            "rules[0].end: 1xx is no whole answer; leave out",
        ),
        (r#"[{"status": 304, "body": "x"}]"#, "rules[0].status: an answer with it has no body; give another"),
        (r#"[{"delay_ms": 3600001}]"#, "rules[0].delay_ms: 3600001 cannot be used; give an hour"),
        (r#"[{"name": "", "status": 503}]"#, r#"rules[0].name: "" cannot be used; give a name of 1 to 100"#),
        (
            r#"[{"name": "rule 2", "status": 503}, {"status": 503}]"#,
            r#"rules[1].name: "rule 2" cannot be used; give a name that no other rule has"#,
        ),
    ] {
        let error = Faults::parse(&format!(r#"{{"rules": {rules}}}"#)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{rules}\n  {error}\n  {expected}");
    }
    for (text, expected) in [
        ("[]", r#"script: expected an object with the list "rules", found a list; give an object"#),
        (r#"{"rule": []}"#, r#"script: unknown key "rule"; did you mean "rules"?"#),
        (r#"{"seed": -1}"#, "seed: expected a whole number, 0 or more, found another number"),
        ("{", "script: not JSON: EOF while parsing an object at line 1 column 1; write"),
    ] {
        let error = Faults::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}\n  {error}\n  {expected}");
    }
    let many = vec![Rule::reset(); RULES_MAX + 1];
    assert_eq!(
        Faults::new(many).unwrap_err().to_string(),
        "rules: 1001 cannot be used; give 1,000 rules at most"
    );
}

#[test]
fn the_empty_script_does_nothing() {
    for text in ["", " \n", "{}", r#"{"rules": []}"#] {
        let faults = Faults::parse(text).unwrap();
        assert!(faults.is_empty() && hits(&faults).into_iter().all(|hit| !hit), "{text:?}");
    }
}

#[test]
fn a_rule_may_be_for_one_session() {
    let mut script = Script::new(Faults::new([Rule::status(503).session("ann").nth(2)]).unwrap());
    let asked = [Some("ann"), None, Some("bob"), Some("ann"), Some("ann")];
    let hits = asked.map(|session| script.decide("/v1/events", session, b"", true).is_some());
    assert_eq!(hits, [false, false, false, true, false]);
    let text = r#"{"rules": [{"session": "a b", "status": 503}]}"#;
    let error = Faults::parse(text).unwrap_err().to_string();
    assert!(error.starts_with("rules[0].session: \"a b\" cannot be used; give 1 to 64 letters"), "{error}");
}
