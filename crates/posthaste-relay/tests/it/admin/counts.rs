//! Metrics and ledger: every series is there from the start, is documented, and says what was counted from outside.

use std::collections::{BTreeMap, BTreeSet};

use super::{Client, fate_by_name, relay, take};
use crate::support::{Running, post, until};

/// What a scrape says: families by name with their type, and series with their values.
struct Scrape {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

async fn scrape(admin: &Client) -> Scrape {
    let answer = admin.get("/metrics").await;
    assert_eq!((answer.status, answer.content_type()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let (mut types, mut series, mut helped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for line in answer.text().lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name) && ["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            assert!(types.contains_key(name) && name.starts_with("posthaste_relay_"), "{line}");
            assert!(series.insert(key.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
    }
    Scrape { types, series }
}

impl Scrape {
    #[track_caller]
    fn is(&self, series: &str, value: f64) {
        let found = self.series.get(&format!("posthaste_relay_{series}"));
        assert!(found.is_some_and(|found| (found - value).abs() < 1e-9), "{series}: {found:?}, not {value}");
    }

    fn names(&self) -> BTreeSet<&str> {
        self.types.keys().map(String::as_str).collect()
    }
}

async fn some_traffic(relay: &Running) {
    take(relay, "good").await;
    relay.delivered().await;
    take(relay, "bad").await;
    relay.delivered().await;
    take(relay, "later").await;
    assert_eq!(post(relay.address, "", b"nonsense").await.0, 204);
    assert_eq!(post(relay.address, "x-optimizely-strict: 1\r\n", b"nonsense").await.0, 400);
    assert_eq!(crate::support::post_to(relay.address, "/v2", "", b"").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_there_from_the_start_and_says_what_happened() {
    let (sink, relay, admin) = relay(fate_by_name).await;
    let before = scrape(&admin).await;
    let is_constant =
        |name: &str| ["build_info", "uptime", "serving", "writable"].iter().any(|word| name.contains(word));
    for (name, value) in before.series.iter().filter(|(name, _)| !is_constant(name)) {
        assert_eq!(value.to_bits(), 0_f64.to_bits(), "{name}");
    }
    some_traffic(&relay).await;
    until(|| sink.asked() >= 3).await;
    let after = scrape(&admin).await;
    assert_eq!(before.names(), after.names());
    assert_eq!(before.series.keys().collect::<Vec<_>>(), after.series.keys().collect::<Vec<_>>());

    after.is(r#"requests_total{reason="taken",status="204"}"#, 3.0);
    after.is(r#"requests_total{reason="unusable",status="204"}"#, 1.0);
    after.is(r#"requests_total{reason="refused",status="400"}"#, 1.0);
    after.is(r#"requests_total{reason="no_such_path",status="404"}"#, 1.0);
    after.is(r#"repairs_total{kind="content_type"}"#, 5.0);
    after.is("connections_total", 6.0);
    after.is(r#"events_delivered_total{tenant="default"}"#, 1.0);
    after.is(r#"events_dead_lettered_total{tenant="default",reason="rejected"}"#, 1.0);
    after.is(r#"events_queued{tenant="default"}"#, 1.0);
    after.is(r#"upstream_answers_total{tenant="default",status="2xx"}"#, 1.0);
    after.is(r#"upstream_answers_total{tenant="default",status="4xx"}"#, 1.0);
    after.is(r#"upstream_verdicts_total{tenant="default",verdict="delivered"}"#, 1.0);
    after.is(r#"upstream_verdicts_total{tenant="default",verdict="bisect"}"#, 1.0);
    after.is("serving", 1.0);
    let value = |series: &str| after.series[&format!("posthaste_relay_{series}")];
    assert!(value(r#"queue_bytes{tenant="default"}"#) > 0.0);
    assert!(value(r#"oldest_event_age_seconds{tenant="default"}"#) > 0.0);
    assert!(value("uptime_seconds") > 0.0);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_of_a_tenant_add_up_and_the_ledger_says_the_same() {
    let (_sink, relay, admin) = relay(fate_by_name).await;
    some_traffic(&relay).await;
    let ledger = admin.get("/ledger").await.json();
    let scrape = scrape(&admin).await;
    let sum = |name: &str| -> f64 {
        let start = format!("posthaste_relay_{name}{{");
        scrape.series.iter().filter(|(series, _)| series.starts_with(&start)).map(|(_, value)| value).sum()
    };
    let dead = sum("events_dead_lettered_total") - sum("events_replayed_total");
    let ended = sum("events_delivered_total") + dead;
    assert!((sum("events_accepted_total") - ended - sum("events_queued")).abs() < 1e-9);
    let (tenant, all) = (&ledger["tenants"][0], &ledger["sum"]);
    assert_eq!(
        (&tenant["tenant"], &tenant["balances"], &all["balances"]),
        (&"default".into(), &true.into(), &true.into())
    );
    for (field, counted) in [
        ("accepted", sum("events_accepted_total")),
        ("delivered", sum("events_delivered_total")),
        ("dead_lettered", dead),
        ("queued", sum("events_queued")),
    ] {
        assert_eq!(all[field], tenant[field]);
        assert!((all[field].as_f64().unwrap() - counted).abs() < 1e-9, "{field}: {ledger}, {counted}");
    }
    relay.end().await;
}

/// The document has a row for each family, with its type, and for nothing else. Those of a stream are there where there is
/// one, and looked at with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_every_family_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let config = posthaste_relay::Config::to("http://127.0.0.1:9/v1/events").on_disk(folder.path());
    let relay = Running::start(config).await;
    let scrape = scrape(&Client::of(relay.admin)).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        name.starts_with("posthaste_relay_").then(|| Some((name, cells.next()?.to_owned())))?
    };
    let documented: BTreeMap<String, String> = text
        .lines()
        .filter_map(row)
        .filter(|(name, _)| !name.starts_with("posthaste_relay_stream_"))
        .collect();
    assert_eq!(documented, scrape.types);
    relay.end().await;
}
