//! Health tells a loop that is stuck from everything that a restart does not mend; readiness tells whether events are taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{Clock, SystemClock, clock::Sleep};
use posthaste_relay::{Config, Forward, Limits, Relay, Stop, Store, TenantConfig};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{Client, relay, take};
use crate::support::{PATIENCE, Running, Sink, body, post, until};

/// The system's time; while it is told to, it blocks the threads that deliver.
#[derive(Debug, Clone, Default)]
struct Sticky(Arc<AtomicBool>);

impl Clock for Sticky {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms()
    }

    fn elapsed(&self) -> Duration {
        while self.0.load(SeqCst) && std::thread::current().name() == Some("posthaste") {
            std::thread::sleep(Duration::from_millis(1));
        }
        SystemClock.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_away_is_neither_unhealthy_nor_unready_and_is_named() {
    let (_sink, relay, admin) = relay(|_| 503).await;
    assert_eq!(admin.get("/healthz").await.text(), "ok\n");
    for at in 0..20 {
        take(&relay, &format!("u{at}")).await;
    }
    let state = || async { admin.get("/readyz").await.json()["tenants"][0]["upstream"].clone() };
    let failing = async {
        while state().await["state"] != "failing" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, failing).await.unwrap();
    let trouble = state().await["trouble"].clone();
    assert_eq!(trouble["status"], 503);
    assert!(trouble["times"].as_u64() > Some(0) && trouble["since_ms"].as_i64() > Some(1_600_000_000_000));
    let ready = admin.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()));
    let healthy = admin.get("/healthz").await;
    assert_eq!((healthy.status, healthy.text()), (200, "ok\n"));
    relay.end().await;
}

/// The system's time, and so much more.
#[derive(Debug, Clone, Default)]
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms()
    }

    fn elapsed(&self) -> Duration {
        SystemClock.elapsed() + Duration::from_secs(self.0.load(SeqCst))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

/// Nothing is known of an upstream that hangs until its request has run out of time; that it hangs is told before.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_waited_for_and_that_is_told() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let clock = Ahead::default();
    let forward = Forward { wait: Duration::from_millis(1), ..Forward::default() };
    let config = Config { forward, drain_delay: Duration::ZERO, ..Config::to(format!("http://{address}/")) };
    let relay = Running::of(Relay::with_clock(config, Arc::new(clock.clone())).unwrap()).await;
    let admin = Client::of(relay.admin);
    let state = || async { admin.get("/readyz").await.json()["tenants"][0]["upstream"].clone() };
    let metric = |number: u8| {
        format!("posthaste_relay_upstream_state{{tenant=\"default\",upstream=\"{address}\"}} {number}\n")
    };
    take(&relay, "a").await;
    let (mut asked, _) = upstream.accept().await.unwrap();
    assert!(asked.read(&mut [0; 4_096]).await.unwrap() > 0);
    assert_eq!((&state().await["state"], &state().await["trouble"]), (&"working".into(), &Value::Null));
    assert!(admin.get("/metrics").await.text().contains(&metric(0)));
    clock.0.store(7, SeqCst);
    let told = state().await;
    let what = told["trouble"]["what"].as_str().unwrap();
    assert!(
        told["state"] == "waiting"
            && what.starts_with("no answer for ")
            && told["trouble"]["status"].is_null(),
        "{told}"
    );
    assert!(admin.get("/metrics").await.text().contains(&metric(3)));
    asked.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    relay.delivered().await;
    assert_eq!((&state().await["state"], &state().await["trouble"]), (&"working".into(), &Value::Null));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_that_is_stuck_is_named_within_two_seconds_and_until_it_goes_on() {
    let sink = Sink::taking().await;
    let clock = Sticky::default();
    let tenants = ["us", "eu"]
        .map(|name| TenantConfig { name: name.to_owned(), ..TenantConfig::default_to(&sink.url) });
    let config = Config { tenants: tenants.into(), ..Config::to(&sink.url) };
    let relay = Relay::with_clock(config, Arc::new(clock.clone())).unwrap();
    let (public, listener) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (admin, stop) = (Client::of(listener.local_addr().unwrap()), Stop::new());
    let serving = async {
        let report = relay.serve(public, Some(listener), &stop).await;
        assert!(report.tenants.iter().all(|tenant| tenant.reasons.is_empty()), "{report}");
    };
    let asking = async {
        assert_eq!(admin.get("/healthz").await.status, 200);
        clock.0.store(true, SeqCst);
        // Both loops come by the clock, at the latest after they have answered this.
        drop(admin.get("/healthz").await);
        let begun = SystemClock.elapsed();
        let answer = admin.get("/healthz").await;
        let took = SystemClock.elapsed().saturating_sub(begun);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!((answer.status, answer.text().lines().count()), (503, 2), "{}", answer.text());
        for name in ["us", "eu"] {
            let line = format!("delivery of tenant {name} is stuck: no answer since ");
            assert!(answer.text().contains(&line), "{}", answer.text());
        }
        clock.0.store(false, SeqCst);
        let answer = admin.get("/healthz").await;
        assert_eq!((answer.status, answer.text()), (200, "ok\n"));
        stop.stop();
    };
    tokio::join!(serving, asking);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lame_duck_is_not_ready_at_once_and_takes_events_and_the_admin_interface_stays_until_the_end() {
    let sink = Sink::start(|_| 503).await;
    let config = Config {
        drain_delay: Duration::from_millis(500),
        shutdown_timeout: Duration::from_millis(500),
        ..Config::to(&sink.url)
    };
    let relay = Relay::open(config).unwrap();
    let (public, listener) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (address, admin) = (public.local_addr().unwrap(), Client::of(listener.local_addr().unwrap()));
    let stop = Stop::new();
    let over = AtomicBool::new(false);
    let serving = async {
        let report = relay.serve(public, Some(listener), &stop).await;
        over.store(true, SeqCst);
        assert_eq!(report.tenants[0].queued, 1, "the upstream is away");
    };
    let asking = async {
        assert_eq!(admin.get("/readyz").await.json()["phase"], "serving");
        stop.stop();
        // At once: as soon as the loop that was told has gone round.
        let mut answer = admin.get("/readyz").await;
        while answer.status == 200 {
            answer = admin.get("/readyz").await;
        }
        assert_eq!((answer.status, &answer.json()["phase"]), (503, &"lame_duck".into()));
        assert_eq!(post(address, "", body("1", "a").as_bytes()).await.0, 204);
        let mut seen_closing = false;
        while !seen_closing {
            let answer = admin.get("/readyz").await;
            assert_eq!(admin.get("/healthz").await.status, 200, "ending is not being stuck");
            seen_closing = answer.json()["phase"] == "closing";
        }
        assert_eq!(admin.get("/ledger").await.json()["sum"]["queued"], 1);
        assert!(!over.load(SeqCst));
    };
    tokio::join!(serving, asking);
}

/// A queue in memory that is soon full.
fn small(url: &str) -> Config {
    Config {
        store: Store::Memory { bytes_max: 16_000 },
        shutdown_timeout: Duration::from_millis(200),
        limits: Limits { store_timeout: Duration::from_millis(50), ..Limits::default() },
        ..Config::to(url)
    }
}

/// Posts events of this account until they are refused, or a hundred are taken.
async fn fill(relay: &Running, account: &str) -> u16 {
    for at in 0..100 {
        let status = post(relay.address, "", body(account, &format!("u{at}")).as_bytes()).await.0;
        if status != 204 {
            return status;
        }
    }
    204
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_not_ready_and_is_again_once_there_is_room() {
    let sink = Sink::start(|_| 503).await;
    let relay = Running::start(small(&sink.url)).await;
    let admin = Client::of(relay.admin);
    assert_eq!(fill(&relay, "1").await, 503);
    let answer = admin.get("/readyz").await;
    let queue = answer.json()["tenants"][0]["queue"].clone();
    assert_eq!((answer.status, &queue["writable"]), (503, &false.into()));
    assert!(queue["trouble"].as_str().unwrap().contains("full"), "{queue}");
    assert_eq!(admin.get("/healthz").await.status, 200, "a restart makes no room");
    sink.answers(|_| 204);
    let ready = async {
        while admin.get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_full_queue_does_not_take_the_relay_from_the_others() {
    let sink = Sink::start(|_| 503).await;
    let full = TenantConfig {
        name: "full".to_owned(),
        accounts: vec!["2".to_owned()],
        ..TenantConfig::default_to(&sink.url)
    };
    let config = Config { tenants: vec![TenantConfig::default_to(&sink.url), full], ..small(&sink.url) };
    let relay = Running::start(config).await;
    let admin = Client::of(relay.admin);
    assert_eq!(fill(&relay, "2").await, 503);
    let answer = admin.get("/readyz").await;
    let tenants = answer.json()["tenants"].clone();
    let writable = |at: usize| tenants[at]["queue"]["writable"].as_bool().unwrap();
    assert_eq!((answer.status, writable(0), writable(1)), (200, true, false));
    let metrics = admin.get("/metrics").await;
    assert!(
        metrics.text().contains("posthaste_relay_queue_writable{tenant=\"full\"} 0\n"),
        "{}",
        metrics.text()
    );
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_on_disk_is_ready_and_tells_of_its_free_bytes() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::taking().await);
    let relay = Running::start(Config::to(&sink.url).on_disk(folder.path())).await;
    let admin = Client::of(relay.admin);
    take(&relay, "a").await;
    relay.delivered().await;
    let answer = admin.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["tenants"][0]["queue"]["writable"]), (200, &true.into()));
    let metrics = admin.get("/metrics").await;
    let free = metrics.text().lines().find_map(|line| line.strip_prefix("posthaste_relay_disk_free_bytes "));
    assert!(free.unwrap().parse::<u64>().unwrap() > 0);
    until(|| !sink.bodies().is_empty()).await;
    relay.end().await;
}
