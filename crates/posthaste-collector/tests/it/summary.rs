//! What `/summary` counts, against an oracle that counts by itself from what was sent.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_collector::{Collector, CollectorOptions};
use serde_json::{Value, json};

use crate::support::{Server, TIMESTAMP, batch, bytes, collector_of, conversion, impression, project};

/// One event as it was sent.
#[derive(Debug, Clone)]
struct Sent {
    visitor: String,
    /// Milliseconds after [`TIMESTAMP`].
    at: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Saw(&'static str),
    Did(&'static str, i64),
}

const VARIATIONS: [&str; 2] = ["70111", "70112"];
const EVENTS: [(&str, &str); 2] = [("30012", "purchase"), ("30010", "add_to_basket")];

impl Sent {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let what = if rng.bool() {
            What::Saw(VARIATIONS[rng.usize(..2)])
        } else {
            What::Did(EVENTS[rng.usize(..2)].1, rng.i64(0..1_000))
        };
        Self { visitor: format!("v{}", rng.u8(0..120)), at: rng.i64(0..10_000), what }
    }

    fn visitor(&self, uuid: &str) -> Value {
        let mut visitor = match self.what {
            What::Saw(variation) => {
                let mut visitor = impression(&self.visitor, uuid);
                visitor["snapshots"][0]["decisions"][0]["variation_id"] = json!(variation);
                visitor
            }
            What::Did(key, revenue) => {
                let mut visitor = conversion(&self.visitor, uuid);
                let event = &mut visitor["snapshots"][0]["events"][0];
                event["entity_id"] = json!(EVENTS.iter().find(|(_, known)| *known == key).unwrap().0);
                event["key"] = json!(key);
                (event["revenue"], event["tags"]) = (json!(revenue), json!({"revenue": revenue}));
                event["value"] = json!(0.5);
                visitor
            }
        };
        visitor["snapshots"][0]["events"][0]["timestamp"] = json!(TIMESTAMP + self.at);
        visitor
    }
}

/// Of one variation and key: visitors, count, revenue.
type Did = BTreeMap<&'static str, (BTreeSet<String>, u64, i64)>;

fn oracle(sent: &[Sent], variation: &str) -> (BTreeSet<String>, u64, Did) {
    let saw = |one: &Sent| matches!(one.what, What::Saw(seen) if seen == variation);
    let visitors: BTreeSet<_> = sent.iter().filter(|one| saw(one)).map(|one| one.visitor.clone()).collect();
    let impressions = sent.iter().filter(|one| saw(one)).count() as u64;
    let mut did = Did::new();
    for one in sent {
        let What::Did(key, revenue) = one.what else { continue };
        if sent.iter().any(|seen| saw(seen) && seen.visitor == one.visitor && seen.at <= one.at) {
            let (visitors, count, sum) = did.entry(key).or_default();
            visitors.insert(one.visitor.clone());
            *count += 1;
            *sum += revenue;
        }
    }
    (visitors, impressions, did)
}

#[tokio::test]
#[expect(clippy::cast_precision_loss, reason = "a few hundred")]
async fn experiments_are_counted_as_an_oracle_counts_them() {
    for seed in 0..3 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let sent: Vec<_> = (0..600).map(|_| Sent::random(&mut rng)).collect();
        let server = Server::start(collector_of("larkspur.json")).await;
        for (at, chunk) in sent.chunks(20).enumerate() {
            let visitors: Vec<_> = chunk
                .iter()
                .enumerate()
                .map(|(event, one)| one.visitor(&format!("u-{at}-{event}")))
                .collect();
            server.collector.receive(&bytes(&batch(&visitors)));
        }
        let summary = server.get("/summary").await.json();
        assert_eq!(summary["ledger"]["good"], 600);
        let experiment = &summary["experiments"][0];
        assert_eq!(
            (&experiment["experiment"], &experiment["campaign_id"]),
            (&json!("checkout_button"), &json!("60011"))
        );
        let both: Vec<_> = VARIATIONS.iter().map(|variation| oracle(&sent, variation)).collect();
        let mixed = both[0].0.intersection(&both[1].0).count();
        assert_eq!(
            (&experiment["mixed"], &experiment["visitors"]),
            (&json!(mixed), &json!(both[0].0.union(&both[1].0).count()))
        );
        let variations = experiment["variations"].as_array().unwrap();
        assert_eq!(variations.len(), VARIATIONS.len());
        for (found, (id, (visitors, impressions, did))) in variations.iter().zip(VARIATIONS.iter().zip(&both))
        {
            assert_eq!(found["variation_id"], *id);
            assert_eq!(
                (&found["visitors"], &found["impressions"]),
                (&json!(visitors.len()), &json!(impressions))
            );
            for ((key, (who, count, revenue)), found) in
                did.iter().zip(found["conversions"].as_array().unwrap())
            {
                assert_eq!(found["key"], *key);
                assert_eq!((&found["visitors"], &found["count"]), (&json!(who.len()), &json!(count)));
                assert_eq!(
                    (&found["revenue"], &found["value"]),
                    (&json!(revenue), &json!(*count as f64 / 2.0))
                );
                let rate = who.len() as f64 / visitors.len() as f64;
                assert!((found["rate"].as_f64().unwrap() - rate).abs() < 1e-12);
            }
        }
        assert_eq!(experiment["too_few"], both.iter().any(|(visitors, ..)| visitors.len() < 100));
    }
}

/// A hundred visitors and ten conversions are enough; one fewer of either is not.
#[tokio::test]
async fn too_few_are_said_to_be() {
    for (visitors, conversions, too_few) in [(100, 10, false), (99, 10, true), (100, 9, true), (100, 0, true)]
    {
        let server = Server::start(collector_of("larkspur.json")).await;
        for variation in VARIATIONS {
            for visitor in 0..visitors {
                let name = format!("{variation}-{visitor}");
                let saw = Sent { visitor: name.clone(), at: 0, what: What::Saw(variation) };
                let mut all = vec![saw.visitor(&format!("s-{name}"))];
                if visitor < conversions {
                    all.push(conversion(&name, &format!("d-{name}")));
                }
                server.collector.receive(&bytes(&batch(&all)));
            }
        }
        let summary = server.get("/summary").await.json();
        assert_eq!(summary["experiments"][0]["too_few"], too_few, "{visitors} {conversions}");
    }
}

#[tokio::test]
async fn sdks_problems_sessions_and_repeats_are_counted() {
    let server = Server::start(collector_of("larkspur.json")).await;
    let mut late = conversion("ann", "u-1");
    late["snapshots"][0]["events"][0]["timestamp"] = json!(1_795_500_003);
    let mut other = batch(&[conversion("ann", "u-2"), late.clone()]);
    other["client_name"] = json!("javascript-sdk");
    server.post(&[], &bytes(&batch(&[conversion("ann", "u-3"), late]))).await;
    server.post(&[], &bytes(&batch(&[conversion("ann", "u-3"), conversion("ann", "u-4")]))).await;
    server.post(&[("X-Posthaste-Session", "s-1")], &bytes(&other)).await;
    let summary = server.get("/summary").await.json();
    assert_eq!(
        summary["sdks"],
        json!([
            {"name": "posthaste", "version": "0.1.0", "requests": 2, "events": 3, "bad": 1, "repeats": 1},
            {"name": "javascript-sdk", "version": "0.1.0", "requests": 1, "events": 2, "bad": 1, "repeats": 0},
        ])
    );
    let problem = &summary["problems"][0];
    assert_eq!(
        [&problem["kind"], &problem["severity"], &problem["count"], &problem["example"]],
        [&json!("timestamp-in-seconds"), &json!("error"), &json!(2), &json!(5)]
    );
    let session =
        json!([{"name": "s-1", "requests": 1, "events": 2, "good": 1, "bad": 1, "warned": 0, "repeats": 0}]);
    assert_eq!((&summary["sessions"], &summary["repeats"]), (&session, &json!(1)));
    let memory = &summary["memory"];
    assert_eq!((&memory["events"], &memory["bytes_max"]), (&json!(5), &json!(256 << 20)));
    let of_session = server.get("/summary?session=s-1").await.json();
    assert_eq!(
        (&of_session["ledger"]["events"], of_session["sdks"].as_array().unwrap().len()),
        (&json!(2), 1)
    );
}

#[tokio::test]
async fn a_summary_says_what_is_missing() {
    let config = Some(project("larkspur.json"));
    let server =
        Server::start(Collector::new(CollectorOptions { config, events_max: 2, ..Default::default() })).await;
    for event in 0..5 {
        server.collector.receive(&bytes(&batch(&[conversion("ann", &format!("u-{event}"))])));
    }
    let summary = server.get("/summary").await.json();
    assert_eq!((&summary["forgotten"], &summary["sdks"][0]["events"]), (&json!(3), &json!(2)));
    assert_eq!(server.get("/all").await.headers["x-forgotten"], "3");
}
