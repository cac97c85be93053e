use super::{
    super::{leases::Leases, upstream::Moment},
    *,
};
use crate::{
    batch::{Batch, LogEvent, Snapshot, SnapshotEvent, Visitor},
    dispatch::{DispatchError, Verdict},
    outcome::UpstreamState,
};

const A: &str = "http://a/";

fn parts(leases: &mut Leases, end_point: &str, count: u64) -> Vec<Part<LogEvent>> {
    let snapshot = Snapshot { events: vec![SnapshotEvent::default()], ..Snapshot::default() };
    let visitor = Visitor { snapshots: vec![snapshot], ..Visitor::default() };
    let item = LogEvent::new(end_point, &Batch { visitors: vec![visitor], ..Batch::default() });
    (0..count).map(|id| Part { lease: leases.begin(id), item: item.clone() }).collect()
}

/// Groups of one, and two requests under way at most.
fn narrow() -> Options<LogEvent> {
    let rules = crate::delivery::upstream::Rules { in_flight: 2, ..Default::default() };
    Options { batch_size: 1, rules, ..Options::default() }
}

#[test]
fn a_group_that_is_too_large_for_a_request_becomes_several() {
    for (max_batch_bytes, requests) in [(1, 4), (1_000_000, 1)] {
        let options = Options { max_batch_bytes, ..Options::default() };
        let mut lanes = Lanes::new(Some(1));
        lanes.make_ready(parts(&mut Leases::new(false), A, 4), &options);
        let lane = lanes.to(A, &options);
        assert_eq!(lane.new.schedule.ready(), requests);
        assert_eq!(lane.new.schedule.jobs().map(Job::events).sum::<usize>(), 4);
    }
}

/// What waits for a dead end point costs little.
#[test]
fn a_lane_makes_no_more_requests_than_it_may_send() {
    let (options, mut lanes) = (narrow(), Lanes::new(Some(1)));
    for part in parts(&mut Leases::new(false), A, 5) {
        lanes.push(part, &options);
    }
    let lane = lanes.to(A, &options);
    lane.load(Duration::ZERO, &options, 0, true);
    assert_eq!((lane.new.schedule.ready(), lane.new.ungrouped.len()), (2, 3));
}

#[test]
fn what_is_not_to_be_kept_goes_wherever_it_waits() {
    let (options, mut lanes) = (Options::<LogEvent>::default(), Lanes::new(Some(1)));
    let mut all = parts(&mut Leases::new(false), A, 6);
    let (late, ready, group, ungrouped) = (all.pop(), all.pop(), all.pop(), all);
    lanes.make_ready(ready.into_iter().collect(), &options);
    let job = Job::new(late.into_iter().collect(), None);
    lanes.retry(job, Duration::ZERO, Duration::ZERO, &options);
    let lane = lanes.to(A, &options);
    lane.new.ungrouped.extend(ungrouped);
    assert!(group.and_then(|part| lane.new.groups.add(part)).is_none());
    let left = |lanes: &Lanes<LogEvent>| -> u64 {
        lanes.iter().flat_map(|lane| lane.troubles(0)).map(|trouble| trouble.events).sum()
    };
    assert_eq!(left(&lanes), 6);
    lanes.retain(&mut |part| part.lease.id() == 0, &options);
    assert_eq!(left(&lanes), 1);
    lanes.retain(&mut |_| false, &options);
    assert!(left(&lanes) == 0 && lanes.iter().all(Lane::is_idle));
}

#[test]
fn a_lane_that_fails_is_blocked_and_others_are_not() {
    let (options, mut lanes) = (narrow(), Lanes::new(Some(1)));
    assert_eq!(lanes.found(), 0);
    lanes.to("http://b/", &options);
    for _ in 0..options.rules.breaker_threshold {
        assert!(!lanes.some_are_blocked(Duration::ZERO));
        let upstream = lanes.to(A, &options).upstream_mut();
        let moment = Moment { sent: Duration::ZERO, now: Duration::ZERO, now_ms: 0, held_at: None };
        let retry = Verdict::Retry { at_least: Duration::ZERO, overloaded: false };
        upstream.sent(Duration::ZERO);
        upstream.answered(retry, &Err(DispatchError::Connect("refused".into())), moment);
    }
    assert!(lanes.some_are_blocked(Duration::ZERO) && lanes.are_several());
    assert_eq!((lanes.found(), lanes.demand(Duration::ZERO, 9, false)), (2, 2));
    let health = lanes.health();
    let states: Vec<_> = health.iter().map(|upstream| (&*upstream.end_point, upstream.state)).collect();
    assert_eq!(states, [(A, UpstreamState::Failing), ("http://b/", UpstreamState::Working)]);
}

#[test]
fn the_last_64_idle_lanes_are_remembered() {
    let (options, mut lanes) = (Options::<LogEvent>::default(), Lanes::new(Some(1)));
    let name = |number: u64| format!("http://{number}/");
    for number in 0..100 {
        lanes.to(&name(number), &options);
    }
    let kept: Vec<u64> =
        (0..100).filter(|number| lanes.iter().any(|lane| lane.is_to(&name(*number)))).collect();
    assert_eq!(kept, (36..100).collect::<Vec<_>>());
    // What something waits for is no idle one.
    for number in 200..300 {
        let part = parts(&mut Leases::new(false), &name(number), 1).remove(0);
        lanes.push(part, &options);
    }
    assert_eq!(lanes.iter().filter(|lane| !lane.is_idle()).count(), 100);
}
