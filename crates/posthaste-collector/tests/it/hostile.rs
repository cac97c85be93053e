//! No body makes the collector panic, and its counts always add up.

use posthaste_collector::Filter;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::support::{batch, bytes, collector_of, conversion, impression};

/// The names that the collector looks for, so that random objects get past the first check.
const NAMES: [&str; 16] = [
    "account_id",
    "visitors",
    "visitor_id",
    "attributes",
    "snapshots",
    "decisions",
    "events",
    "entity_id",
    "key",
    "type",
    "value",
    "timestamp",
    "uuid",
    "tags",
    "revenue",
    "campaign_id",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(Value::from("campaign_activated")),
    ];
    leaf.prop_recursive(8, 64, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES.to_vec()), inner), 0..6).prop_map(|fields| {
                Value::from(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
            }),
        ]
    })
}

fn takes(body: &[u8]) -> Result<(), TestCaseError> {
    let collector = collector_of("larkspur.json");
    let received = collector.receive(body);
    let ledger = collector.ledger();
    prop_assert_eq!(ledger.events, ledger.good + ledger.bad + ledger.duplicates);
    prop_assert_eq!(received.problems.is_empty(), received.bad == 0);
    let kept = collector.all(&Filter::default());
    prop_assert_eq!(kept.len(), received.good + received.bad);
    serde_json::to_string(&kept).unwrap();
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        takes(&body)?;
    }

    #[test]
    fn any_json(body in json()) {
        takes(&bytes(&body))?;
    }

    #[test]
    fn any_value_in_any_place(at in any::<prop::sample::Index>(), value in json()) {
        let mut body = batch(&[impression("ann", "u-1"), conversion("bob", "u-2")]);
        let places = places(&body, "");
        *body.pointer_mut(&places[at.index(places.len())]).unwrap() = value;
        takes(&bytes(&body))?;
    }

    #[test]
    fn a_good_body_with_a_byte_changed(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = bytes(&batch(&[impression("ann", "u-1"), conversion("bob", "u-2")]));
        let at = at.index(body.len());
        body[at] = byte;
        takes(&body)?;
    }

    #[test]
    fn a_good_body_cut_short(at in any::<prop::sample::Index>()) {
        let body = bytes(&batch(&[impression("ann é", "u-1"), conversion("bob", "u-2")]));
        takes(&body[..at.index(body.len())])?;
    }
}

/// Every place of a value, as JSON pointers.
fn places(value: &Value, at: &str) -> Vec<String> {
    let mut all = vec![at.to_owned()];
    match value {
        Value::Array(items) => {
            all.extend(items.iter().enumerate().flat_map(|(i, item)| places(item, &format!("{at}/{i}"))));
        }
        Value::Object(map) => {
            all.extend(map.iter().flat_map(|(key, item)| places(item, &format!("{at}/{key}"))));
        }
        _ => {}
    }
    all
}
