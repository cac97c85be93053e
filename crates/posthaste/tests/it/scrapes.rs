//! What a scraper sees, at every moment at which it could look: a recorder of the test's own, which looks after each change.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use posthaste::{
    BatchEventProcessor, QueueEventDispatcher, WhenFull, dispatch::Response, metrics as names,
    testing::ScriptedDispatcher,
};

use crate::support::{Driven, HOUR, SECOND, impression, impressions, larkspur, refuses_bad_visitors, settle};

/// Every series, and how it stands.
#[derive(Debug, Default, Clone)]
struct Scraper(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    series: Mutex<BTreeMap<String, Arc<Series>>>,
    help: Mutex<BTreeMap<String, String>>,
    changes: AtomicU64,
}

/// One series: what changes it looks at all of them.
#[derive(Debug)]
struct Series {
    value: AtomicU64,
    seen: Arc<Seen>,
}

impl Seen {
    fn of(self: &Arc<Self>, key: &Key) -> Arc<Series> {
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
        let mut labels: Vec<String> = labels.collect();
        labels.sort_unstable();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let new = || Arc::new(Series { value: AtomicU64::default(), seen: Arc::clone(self) });
        Arc::clone(self.series.lock().unwrap().entry(name).or_insert_with(new))
    }

    /// The sum of the series of this name and pipeline.
    fn sum(&self, name: &str, pipeline: &str) -> u64 {
        let series = self.series.lock().unwrap();
        let is_meant = |key: &str| {
            key.starts_with(&format!("{name}{{")) && key.contains(&format!("pipeline={pipeline}"))
        };
        series.iter().filter(|(key, _)| is_meant(key)).map(|(_, series)| series.value.load(SeqCst)).sum()
    }

    /// What holds at every scrape.
    fn check(&self) {
        self.changes.fetch_add(1, SeqCst);
        for pipeline in ["one", "two"] {
            let accepted = self.sum(names::ACCEPTED, pipeline);
            let ended = self.sum(names::DELIVERED, pipeline) + self.sum(names::DEAD_LETTERED, pipeline);
            let replayed = self.sum(names::REPLAYED, pipeline);
            assert!(
                accepted + replayed >= ended,
                "{pipeline}: {accepted} taken, {replayed} again, {ended} ended"
            );
        }
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.value.fetch_add(value, SeqCst);
        self.seen.check();
    }

    fn absolute(&self, value: u64) {
        self.value.store(value, SeqCst);
        self.seen.check();
    }
}

impl GaugeFn for Series {
    fn increment(&self, _value: f64) {
        panic!("gauges are set");
    }

    fn decrement(&self, _value: f64) {
        panic!("gauges are set");
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn set(&self, value: f64) {
        self.value.store(value as u64, SeqCst);
    }
}

impl Scraper {
    fn describe(&self, key: &KeyName, help: &SharedString) {
        self.0.help.lock().unwrap().insert(key.as_str().to_owned(), help.to_string());
    }

    fn value(&self, series: &str) -> u64 {
        let all = self.0.series.lock().unwrap();
        all.get(series).unwrap_or_else(|| panic!("no {series} among {:#?}", all.keys())).value.load(SeqCst)
    }

    fn names(&self) -> Vec<String> {
        self.0.series.lock().unwrap().keys().cloned().collect()
    }
}

impl Recorder for Scraper {
    fn describe_counter(&self, key: KeyName, _unit: Option<Unit>, help: SharedString) {
        self.describe(&key, &help);
    }

    fn describe_gauge(&self, key: KeyName, _unit: Option<Unit>, help: SharedString) {
        self.describe(&key, &help);
    }

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _help: SharedString) {
        panic!("there are no histograms");
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.0.of(key))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.0.of(key))
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        panic!("there are no histograms");
    }
}

fn failing() -> ScriptedDispatcher {
    let statuses = [503, 413, 500].into_iter().cycle().take(30);
    ScriptedDispatcher::by(refuses_bad_visitors).after(statuses.map(|status| Ok(Response::status(status))))
}

#[tokio::test(start_paused = true)]
async fn at_every_scrape_what_was_taken_is_at_least_what_has_ended() {
    let scraper = Scraper::default();
    let _local = ::metrics::set_default_local_recorder(&scraper);
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let builder = || BatchEventProcessor::builder().event_dispatcher(failing()).seed(seed).queue_size(60);
        let pipelines = [
            Driven::new(builder().name("one")),
            Driven::new(builder().name("two").when_full(WhenFull::DropOldest)),
        ];
        for n in 0..300 {
            let driven = random.choice(&pipelines).unwrap();
            match random.u8(0..20) {
                0 => tokio::time::sleep(Duration::from_millis(random.u64(0..3_000))).await,
                1 => drop(driven.processor.remove(1)),
                2 => drop(driven.processor.replay_dead_letters()),
                _ => {
                    let kind = if random.u8(0..10) == 0 { "bad" } else { "good" };
                    drop(driven.processor.process_event(impression(&larkspur(), &format!("{kind}-{n}"))));
                }
            }
        }
        for driven in &pipelines {
            assert_eq!(driven.processor.close(HOUR).await.left, 0, "seed {seed}");
        }
    }
    for pipeline in ["one", "two"] {
        let ended = scraper.0.sum(names::DELIVERED, pipeline) + scraper.0.sum(names::DEAD_LETTERED, pipeline);
        let begun = scraper.0.sum(names::ACCEPTED, pipeline) + scraper.0.sum(names::REPLAYED, pipeline);
        assert!(ended > 1_000 && ended == begun, "{pipeline}: {ended} of {begun}");
        assert_eq!(scraper.0.sum(names::QUEUED, pipeline), 0);
    }
    assert!(scraper.0.changes.load(SeqCst) > 1_000);
}

/// All of a pipeline's series, before anything has happened.
#[tokio::test(start_paused = true)]
async fn every_series_is_there_from_the_start_with_help_and_its_pipeline() {
    let scraper = Scraper::default();
    let _local = ::metrics::set_default_local_recorder(&scraper);
    let driven = Driven::new(BatchEventProcessor::builder().event_dispatcher(failing()).name("one"));
    let (_dispatcher, _driver) =
        QueueEventDispatcher::builder(failing()).name("two").build_with_driver().unwrap();
    settle().await;
    let at_first = scraper.names();
    assert!(at_first.iter().all(|series| series.contains("pipeline=")), "{at_first:#?}");
    for name in [
        names::ACCEPTED,
        names::DELIVERED,
        names::DEAD_LETTERED,
        names::REPLAYED,
        names::REFUSED,
        names::REQUESTS,
        names::QUEUED,
        names::IN_FLIGHT,
        names::CONCURRENCY,
        names::BREAKER,
        names::DEAD_LETTERS_FORGOTTEN,
    ] {
        let of_one =
            |series: &&String| series.starts_with(&format!("{name}{{")) && series.contains("pipeline=one");
        assert!(at_first.iter().any(|series| of_one(&series)), "{name}: {at_first:#?}");
    }
    // Whatever happens, no series is new.
    driven.take(impressions(&larkspur(), 100));
    driven.take([impression(&larkspur(), "bad")]);
    driven.processor.process_event(impression(&larkspur(), "v").with_uuid("")).unwrap_err();
    assert_eq!(driven.processor.close(HOUR).await.left, 0);
    let at_last = scraper.names();
    let new: Vec<_> =
        at_last.iter().filter(|series| series.contains("one") && !at_first.contains(series)).collect();
    assert!(new.is_empty(), "{new:#?}");
    let help = scraper.0.help.lock().unwrap();
    for series in &at_last {
        let name = series.split('{').next().unwrap();
        assert!(help.get(name).is_some_and(|help| !help.is_empty()), "{name} has no help");
    }
}

#[tokio::test(start_paused = true)]
async fn pipelines_of_different_names_keep_their_gauges_apart() {
    let scraper = Scraper::default();
    let _local = ::metrics::set_default_local_recorder(&scraper);
    let held = ScriptedDispatcher::by(|_| Ok(Response::status(401)));
    let builder = BatchEventProcessor::builder;
    let one = Driven::new(builder().event_dispatcher(held).name("one").in_flight(7));
    let two = Driven::new(builder().event_dispatcher(ScriptedDispatcher::new([])).name("two").in_flight(9));
    one.take(impressions(&larkspur(), 40));
    two.take(impressions(&larkspur(), 40));
    tokio::time::sleep(SECOND * 40).await;
    for (series, value) in [
        ("posthaste_events_queued{pipeline=one}", 40),
        ("posthaste_events_queued{pipeline=two}", 0),
        ("posthaste_breaker_state{pipeline=one}", 2),
        ("posthaste_breaker_state{pipeline=two}", 0),
        ("posthaste_concurrency_limit{pipeline=one}", 7),
        ("posthaste_concurrency_limit{pipeline=two}", 9),
        ("posthaste_events_accepted_total{pipeline=one}", 40),
        ("posthaste_events_delivered_total{pipeline=two}", 40),
    ] {
        assert_eq!(scraper.value(series), value, "{series}");
    }
}
