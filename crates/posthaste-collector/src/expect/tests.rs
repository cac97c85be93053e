//! Patterns and answers, without HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Expectation, LINES_MAX, Outcome, PATTERNS_MAX, SETTLE, WAITERS_MAX};
use crate::{Collector, CollectorOptions};

const NO_TIME: Duration = Duration::ZERO;
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(30);

fn collector() -> Collector {
    Collector::new(CollectorOptions::default())
}

fn send(collector: &Collector, visitor: &str, snapshot: &Value) {
    let body = json!({
        "account_id": "1", "project_id": "2",
        "visitors": [{
            "visitor_id": visitor,
            "attributes": [{"entity_id": "9", "key": "plan", "type": "custom", "value": "pro"}],
            "snapshots": [snapshot],
        }],
    });
    collector.receive(body.to_string().as_bytes());
}

fn did(collector: &Collector, visitor: &str, key: &str, uuid: &str, tags: &Value) {
    let event = json!({
        "entity_id": "3", "key": key, "uuid": uuid, "timestamp": 1_795_500_003_394_i64,
        "tags": tags, "revenue": tags.get("revenue"),
    });
    send(collector, visitor, &json!({"events": [event]}));
}

fn saw(collector: &Collector, visitor: &str, uuid: &str) {
    let snapshot = json!({
        "decisions": [{
            "campaign_id": "5", "experiment_id": "6", "variation_id": "7",
            "metadata": {"flag_key": "checkout", "rule_key": "checkout_test", "variation_key": "green"},
        }],
        "events": [{"entity_id": "5", "key": "campaign_activated", "uuid": uuid, "timestamp": 1_795_500_003_394_i64}],
    });
    send(collector, visitor, &snapshot);
}

async fn asked(collector: &Collector, pattern: Value, wait: Duration) -> Outcome {
    collector.expect(&Expectation::from_value(&pattern).unwrap(), wait).await
}

async fn holds(collector: &Collector, pattern: Value) -> bool {
    asked(collector, pattern, NO_TIME).await.holds
}

/// Ann saw a variation and bought; bob bought twice.
fn shop() -> Collector {
    let collector = collector();
    saw(&collector, "ann", "u-1");
    did(
        &collector,
        "ann",
        "purchase",
        "u-2",
        &json!({"revenue": 1_200, "plan": "pro", "basket": {"items": 3, "x": 1}}),
    );
    did(&collector, "bob", "purchase", "u-3", &json!({"revenue": 900}));
    did(&collector, "bob", "purchase", "u-4", &json!({}));
    collector
}

#[tokio::test]
async fn a_pattern_fits_by_each_of_its_fields() {
    let collector = shop();
    for (pattern, fits) in [
        (json!({"visitor": "ann"}), true),
        (json!({"visitor": "an"}), false),
        (json!({"visitor": "an*"}), true),
        (json!({"visitor": "b*", "key": "purchase", "count": 2}), true),
        (json!({"experiment": "6"}), true),
        (json!({"experiment": "checkout_test", "variation": "green", "flag": "checkout"}), true),
        (json!({"variation": "7"}), true),
        (json!({"variation": "blue"}), false),
        (json!({"uuid": "u-3", "revenue": 900}), true),
        (json!({"uuid": "u-4", "revenue": null}), true),
        (json!({"uuid": "u-3", "revenue": null}), false),
        (json!({"tags": {"plan": "pro"}}), true),
        (json!({"tags": {"basket": {"items": 3.0}}}), true),
        (json!({"tags": {"basket": {"items": 4}}}), false),
        (json!({"key": "purchase", "attributes": {"plan": "pro"}, "count": 3}), true),
        (json!({"attributes": {"plan": "free"}}), false),
        (json!({"verdict": "bad"}), false),
        (json!({"verdict": "any", "count": 4}), true),
        (json!({"session": "s"}), false),
        (json!([{"visitor": "ann"}, {"visitor": "bob"}]), true),
        (json!([{"visitor": "ann"}, {"visitor": "cid"}]), false),
        (json!({"count": 4}), true),
        (json!({"visitor": "ann", "key": "purchase", "no_bad": true}), true),
    ] {
        assert_eq!(holds(&collector, pattern.clone()).await, fits, "{pattern}");
    }
}

#[tokio::test]
async fn counts_are_exact_bounded_or_none() {
    let collector = shop();
    for (count, fits) in [
        (json!(3), true),
        (json!(2), false),
        (json!(0), false),
        (json!({"exactly": 3}), true),
        (json!({"at_least": 3}), true),
        (json!({"at_least": 4}), false),
        (json!({"at_most": 3}), true),
        (json!({"at_least": 1, "at_most": 2}), false),
    ] {
        let pattern = json!({"key": "purchase", "count": count});
        assert_eq!(holds(&collector, pattern.clone()).await, fits, "{pattern}");
    }
    assert!(holds(&collector, json!({"key": "refund", "count": 0})).await);
}

#[tokio::test]
async fn a_bad_event_counts_for_nobody_who_does_not_ask_for_it() {
    let collector = collector();
    did(&collector, "ann", "purchase", "u-1", &json!({"revenue": "12"}));
    let purchase = json!({"visitor": "ann", "key": "purchase"});
    assert!(!holds(&collector, json!({"no_bad": true})).await);
    assert!(!holds(&collector, json!({"no_bad": true, "visitor": "ann"})).await);
    assert!(holds(&collector, json!({"no_bad": true, "visitor": "bob"})).await);
    assert!(holds(&collector, json!({"verdict": "bad", "key": "purchase"})).await);
    let said = asked(&collector, purchase, NO_TIME).await.to_string();
    assert!(said.contains("     verdict: expected good or warned, came bad: "), "{said}");
    let said = asked(&collector, json!({"no_bad": true}), NO_TIME).await.to_string();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[1], r#"1. expected none of {"no_bad":true}, came 1"#);
    assert!(lines[3].starts_with("     visitors[0].snapshots[0].events[0]."), "{said}");
}

/// What made room was there all the same.
#[tokio::test]
async fn a_bad_event_that_was_forgotten_is_not_no_bad() {
    let options = CollectorOptions { events_max: 3, ..CollectorOptions::default() };
    let collector = Collector::new(options);
    did(&collector, "ann", "purchase", "u-0", &json!({"revenue": "12"}));
    for number in 1..9 {
        did(&collector, "ann", "purchase", &format!("u-{number}"), &json!({"revenue": 1_200}));
    }
    assert!(collector.ledger().forgotten > 0);
    assert!(!holds(&collector, json!({"no_bad": true})).await);
    collector.reset();
    assert!(holds(&collector, json!({"no_bad": true})).await);
}

#[tokio::test]
async fn the_nearest_misses_are_told_field_by_field_those_that_differ_least_first() {
    let collector = shop();
    did(&collector, "ann", "purchse", "u-5", &json!({"revenue": 1_200}));
    let pattern = json!({"visitor": "ann", "key": "purchase", "revenue": 9_900, "tags": {"plan": "pro"}});
    let outcome = asked(&collector, pattern, NO_TIME).await;
    let said = outcome.to_string();
    let expected = [
        r#"1. expected at least 1 of {"key":"purchase","revenue":9900,"tags":{"plan":"pro"},"visitor":"ann"}, came 0"#,
        "   near event 2 (good): visitor ann did purchase (revenue 1200)",
        "     revenue: expected 9900, came 1200",
    ];
    assert!(said.contains(&expected.join("\n")), "{said}");
    let counts: Vec<usize> = outcome.expected[0].nearest.iter().map(|miss| miss.differences.len()).collect();
    assert!(counts.is_sorted() && counts.len() == 3, "{counts:?}");
    assert!(outcome.expected[0].nearest[1].words.contains("purchse") || counts[1] < 3, "{said}");
}

#[tokio::test]
async fn misses_that_differ_alike_are_one_and_a_slip_comes_first() {
    let collector = collector();
    for number in 0..50 {
        did(&collector, &format!("v{number}"), "view", &format!("u-{number}"), &json!({}));
    }
    did(&collector, "ann", "purchse", "u-a", &json!({}));
    did(&collector, "ann", "view", "u-b", &json!({"pln": "pro"}));
    let outcome = asked(&collector, json!({"key": "purchase"}), NO_TIME).await;
    let nearest = &outcome.expected[0].nearest;
    assert_eq!(
        (nearest[0].differences[0].came.as_str(), nearest[1].alike, nearest.len()),
        ("\"purchse\"", 50, 2)
    );
    let said =
        asked(&collector, json!({"visitor": "ann", "key": "view", "tags": {"plan": "pro"}}), NO_TIME).await;
    assert!(said.to_string().contains("tags.plan: expected \"pro\", came nothing; there are pln"), "{said}");
}

#[tokio::test]
async fn an_answer_is_short_whatever_is_expected_and_whatever_came() {
    let collector = collector();
    for number in 0..10 {
        let tags: Value = (0..30).map(|tag| (format!("t{tag}\n{number}"), json!("x".repeat(500)))).collect();
        did(&collector, &format!("v\n{number}"), &"k\n".repeat(300), &format!("u-{number}"), &tags);
    }
    let tags: Value = (0..30).map(|tag| (format!("t{tag}"), json!("y\n".repeat(500)))).collect();
    let long = json!({"visitor": "v\u{202e}\n", "tags": tags});
    for count in [1, 2, 7, 8, 9, PATTERNS_MAX] {
        let outcome = asked(&collector, Value::from(vec![long.clone(); count]), NO_TIME).await;
        let said = outcome.to_string();
        assert!(said.lines().count() <= LINES_MAX, "{count}: {said}");
        assert!(said.lines().all(|line| line.chars().count() < 800), "{said}");
        assert!(!said.contains('\u{202e}'));
        assert_eq!(outcome.expected.len(), count);
        assert!(said.contains("near event"), "{said}");
    }
}

#[test]
fn what_cannot_be_used_says_where_and_what_to_do() {
    for (json, said) in [
        (r#"{"ky": "x"}"#, r#"pattern: unknown field "ky"; did you mean "key"?"#),
        (
            r#"[{"key": "x"}, {"count": 2, "x": 1}]"#,
            r#"pattern 2: unknown field "x"; the fields are visitor, "#,
        ),
        (r#"{"key": "x", "wait": "8s"}"#, "say the wait beside the pattern"),
        (r#"{"key": 1}"#, "pattern.key: 1 cannot be used; give a text"),
        (r#"{"count": -1}"#, "pattern.count: -1 cannot be used; give how many"),
        (r#"{"count": {"at_least": 3, "at_most": 2}}"#, "give an at_most that is not below at_least"),
        (
            r#"{"count": {"atleast": 3}}"#,
            r#"pattern.count: unknown field "atleast"; did you mean "at_least"?"#,
        ),
        (r#"{"count": {"at_least": 0}}"#, "give 1 at least"),
        (r#"{"tags": ["x"]}"#, "pattern.tags: [\"x\"] cannot be used; give an object"),
        (r#"{"verdict": "fine"}"#, "give good, warned, bad or any"),
        (r#"{"no_bad": 1}"#, "give true or false"),
        ("{}", "pattern: nothing is expected; give a field"),
        ("[]", "expectation: nothing is expected"),
        ("7", "pattern: 7 cannot be used; give an object such as"),
        ("{", "expectation: not JSON: "),
    ] {
        let error = json.parse::<Expectation>().unwrap_err().to_string();
        assert!(error.contains(said), "{json}: {error}");
    }
    let many = Value::from(vec![json!({"key": "x"}); PATTERNS_MAX + 1]);
    assert!(Expectation::from_value(&many).unwrap_err().to_string().contains("more than 100 patterns"));
    let tags: Value = (0..200).map(|tag| (format!("t{tag}"), json!(1))).collect();
    let error = Expectation::from_value(&json!({"tags": tags})).unwrap_err();
    assert!(error.to_string().contains("more than 100 fields"), "{error}");
}

#[tokio::test]
async fn it_answers_as_soon_as_it_holds() {
    let collector = collector();
    let expectation = Expectation::from_value(&json!({"key": "purchase", "count": {"at_least": 2}})).unwrap();
    let sends = async {
        for uuid in ["u-1", "u-2"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
            did(&collector, "ann", "purchase", uuid, &json!({}));
        }
    };
    let (outcome, ()) = tokio::join!(collector.expect(&expectation, LONG), sends);
    assert!(outcome.holds && outcome.waited_ms < 10_000, "{outcome}");
}

#[tokio::test]
async fn none_holds_only_if_it_still_does_at_the_end() {
    let collector = collector();
    let none = json!({"key": "purchase", "count": 0});
    let outcome = asked(&collector, none.clone(), SHORT).await;
    assert!(outcome.holds && outcome.waited_ms >= 300, "{outcome}");
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        did(&collector, "ann", "purchase", "u-1", &json!({}));
    };
    let (outcome, ()) = tokio::join!(asked(&collector, none, LONG), late);
    assert!(!outcome.holds && outcome.waited_ms < 10_000, "it cannot hold any more: {outcome}");
    assert!(outcome.to_string().contains("came event 1 (good): visitor ann did purchase"), "{outcome}");
}

#[tokio::test]
async fn a_number_that_is_bounded_has_to_stay_so_for_a_moment() {
    let collector = collector();
    let once = json!({"key": "purchase", "count": 1});
    did(&collector, "ann", "purchase", "u-1", &json!({}));
    let outcome = asked(&collector, once.clone(), LONG).await;
    let settled = u128::from(outcome.waited_ms);
    assert!(outcome.holds && (SETTLE.as_millis()..10_000).contains(&settled), "{outcome}");
    assert!(asked(&collector, once.clone(), NO_TIME).await.holds);
    let again = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        did(&collector, "ann", "purchase", "u-2", &json!({}));
    };
    let (outcome, ()) = tokio::join!(asked(&collector, once, LONG), again);
    assert!(!outcome.holds, "{outcome}");
}

#[tokio::test]
async fn a_reset_takes_back_what_came_before() {
    let collector = collector();
    did(&collector, "ann", "purchase", "u-1", &json!({}));
    let twice = json!({"key": "purchase", "count": {"at_least": 2}});
    let resets = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        collector.reset();
        did(&collector, "ann", "purchase", "u-1", &json!({}));
    };
    let (outcome, ()) = tokio::join!(asked(&collector, twice, SHORT), resets);
    assert!(!outcome.holds && outcome.expected[0].came == 1, "{outcome}");
}

#[tokio::test]
async fn what_was_forgotten_is_said() {
    let collector = Collector::new(CollectorOptions { events_max: 2, ..CollectorOptions::default() });
    for uuid in ["u-1", "u-2", "u-3", "u-4"] {
        did(&collector, "ann", "purchase", uuid, &json!({}));
    }
    let outcome = asked(&collector, json!({"uuid": "u-1"}), NO_TIME).await;
    assert!(!outcome.holds && outcome.forgotten == 2, "{outcome}");
    assert!(outcome.to_string().contains("note: 2 older events made room"), "{outcome}");
}

#[tokio::test]
async fn where_nothing_came_the_answer_says_so() {
    let said = asked(&collector(), json!({"key": "purchase"}), NO_TIME).await.to_string();
    assert!(said.contains("note: no event has come yet"), "{said}");
}

#[tokio::test]
async fn whoever_comes_beyond_the_bound_is_answered_at_once_and_told_so() {
    let collector = shop();
    let others: Vec<_> = (0..WAITERS_MAX).map(|_| collector.waiters().enter().unwrap()).collect();
    let outcome = asked(&collector, json!({"visitor": "cid"}), LONG).await;
    assert!(outcome.to_string().contains("note: did not wait: 1024 others wait already"), "{outcome}");
    assert!(holds(&collector, json!({"visitor": "ann"})).await, "what holds already needs no wait");
    drop(others);
    let outcome = asked(&collector, json!({"visitor": "cid"}), SHORT).await;
    assert!(outcome.waited_ms >= 300 && outcome.notes.is_empty(), "{outcome}");
}
