//! Who sees what, and who buys: decided by a seed alone.

use fastrand::Rng;
use posthaste::{
    Clock, Experiment, ProjectConfig, SystemClock, UserContext, UserEvent, Variation,
    create_conversion_user_event, create_impression_user_event,
};
use serde_json::{Map, Value, json};

/// Visitors, unless told otherwise.
pub(super) const VISITORS: u64 = 1_000;
/// What they take part in.
pub(super) const EXPERIMENT: &str = "checkout_button";
/// What counts as success.
pub(super) const GOAL: &str = "purchase";
/// The first variation convinces this share of its visitors, each further one this much more.
const RATE: f64 = 0.12;
const RATE_STEP: f64 = 0.06;
/// Everything happened within the last hour.
const SPAN_MS: i64 = 3_600_000;
/// Nobody takes longer to make up their mind.
const DECISION_MS: i64 = 600_000;

/// How many visitors make about this many events.
pub(super) fn visitors_for(events: u64) -> u64 {
    // One impression each, and a purchase of 15 % of them.
    (events * 100 / 115).max(1)
}

/// The events of these visitors, in the order of their visits.
pub(super) fn events(config: &ProjectConfig, visitors: u64, seed: u64) -> Vec<UserEvent> {
    let mut random = Rng::with_seed(seed);
    let experiment = config.experiment_by_key(EXPERIMENT).expect("in the built-in datafile");
    let start_ms = SystemClock.now_ms() - SPAN_MS;
    let visit = |number| {
        let latest = SPAN_MS - DECISION_MS;
        let at = start_ms + random.i64(0..latest);
        visit(config, experiment, number, at, &mut random)
    };
    (0..visitors).flat_map(visit).collect()
}

/// A visitor sees a variation, and may buy later.
fn visit(
    config: &ProjectConfig,
    experiment: &Experiment,
    number: u64,
    at_ms: i64,
    random: &mut Rng,
) -> Vec<UserEvent> {
    let user = UserContext::new(format!("visitor-{number:06}"))
        .attribute("plan", *random.choice(&["free", "team", "pro"]).expect("not empty"))
        .attribute("logged_in", random.bool());
    let (rate, variation) = pick(experiment, random);
    let impression = create_impression_user_event(config, experiment, variation, &user);
    let mut events = vec![impression.with_timestamp_ms(at_ms)];
    if random.f64() < rate {
        let bought_ms = at_ms + random.i64(1_000..DECISION_MS);
        events.push(purchase(config, &user, random.u32(500..9_000)).with_timestamp_ms(bought_ms));
    }
    events
}

/// A variation, and how convincing it is.
fn pick<'a>(experiment: &'a Experiment, random: &mut Rng) -> (f64, &'a Variation) {
    let at = random.usize(..experiment.variations().len());
    let variation = experiment.variations().get(at).expect("picked from what there is");
    #[expect(clippy::cast_precision_loss, reason = "a handful of variations")]
    let rate = RATE + RATE_STEP * at as f64;
    (rate, variation)
}

fn purchase(config: &ProjectConfig, user: &UserContext, cents: u32) -> UserEvent {
    let goal = config.event_by_key(GOAL).expect("in the built-in datafile");
    let tags: Map<String, Value> = [("revenue".to_owned(), json!(cents))].into_iter().collect();
    create_conversion_user_event(config, goal, user, &tags)
}
