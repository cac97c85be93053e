//! The store by itself: what it counts is what it holds.

use super::*;
use crate::{
    Verdict,
    origin::{Origin, SessionName},
    taken::Taken,
    told::Told,
};

const ROOMY: Bounds = Bounds { events_max: usize::MAX, bytes_max: 1 << 22, age_max: None };

fn body(visitor: &str, events: std::ops::Range<usize>) -> String {
    let event = |uuid| {
        format!(r#"{{"entity_id": "3", "key": "buy", "timestamp": 1795500003394, "uuid": "u-{uuid}"}}"#)
    };
    let events: Vec<_> = events.map(event).collect();
    format!(
        r#"{{"account_id": "1", "visitors": [{{"visitor_id": "{visitor}", "snapshots": [{{"events": [{}]}}]}}]}}"#,
        events.join(",")
    )
}

fn send(store: &mut Store, session: Option<&str>, body: &str) -> Kept {
    let taken = Taken::of(body.as_bytes(), None, session, &store.hashes, i64::MAX);
    let Taken { envelope, bytes, drafts, judgement } = taken;
    let session = session.map(|session| SessionName::new(session).unwrap());
    let shape = Shape { origin: Origin { session, ..Origin::default() }, envelope };
    let request = Request::new(7, body.len(), drafts.len(), Some(204), None);
    store.add(Arrival { shape, bytes: &bytes, drafts, request, repaired: judgement.repaired })
}

fn ids(store: &Store) -> Vec<u64> {
    store.after(0).views().map(|view| view.id()).collect()
}

#[test]
fn a_single_event_is_kept_whatever_its_size() {
    let mut store = Store::new(Bounds { events_max: 0, bytes_max: 0, ..ROOMY }, Hashes::default());
    for uuid in 0..3 {
        assert_eq!(send(&mut store, None, &body("ann", uuid..uuid + 1)).good, 1);
    }
    assert_eq!((ids(&store), store.ledger(None).forgotten, store.seen.len()), (vec![3], 2, 1));
}

#[test]
fn bytes_stay_within_their_bound_and_identities_are_those_of_kept_events() {
    let bounds = Bounds { bytes_max: 200_000, ..ROOMY };
    let mut store = Store::new(bounds, Hashes::default());
    for at in 0..300 {
        send(&mut store, None, &body(&"v".repeat(at), at * 10..at * 10 + 10));
        assert!(store.memory() <= bounds.bytes_max, "{}", store.memory());
        assert_eq!(store.seen.len(), store.live());
        assert_eq!(ids(&store).len(), store.live());
    }
    assert_eq!(store.ledger(None).forgotten + store.live() as u64, 3_000);
}

/// What there is beside the bytes of an event is more than those.
#[test]
fn of_tiny_bodies_only_the_oldest_make_room() {
    for bytes_max in [1 << 18, 1 << 20, 1 << 23] {
        let mut store = Store::new(Bounds { bytes_max, ..ROOMY }, Hashes::default());
        let mut most = 1;
        while store.ledger(None).forgotten < 2 * most {
            send(&mut store, None, "{}");
            assert!(store.memory() <= bytes_max, "{} of {bytes_max}", store.memory());
            let live = store.live() as u64;
            most = live.max(most);
            assert!(store.ledger(None).forgotten == 0 || live > most * 3 / 4, "{live} of {most}");
        }
    }
}

#[test]
fn a_request_goes_on_in_the_next_segment() {
    let mut store = Store::new(Bounds { bytes_max: 64_000, ..ROOMY }, Hashes::default());
    send(&mut store, None, &body("ann", 0..100));
    assert!(store.closed.len() > 2);
    let snapshot = store.after(0);
    let requests: Vec<_> = snapshot.views().map(|view| (view.request().id, view.request().events)).collect();
    assert_eq!(requests, vec![(1, 100); 100]);
    store.set_status(1, 503);
    assert!(store.after(0).views().all(|view| view.request().status() == Some(503)));
}

#[test]
fn a_copy_of_the_open_segment_says_what_the_segment_says() {
    let mut store = Store::new(ROOMY, Hashes::default());
    for at in 0..5 {
        let bad = r#"{"account_id": "1", "visitors": [5]}"#;
        send(&mut store, Some("s"), &body("ann", at * 3..at * 3 + 3));
        send(&mut store, None, bad);
    }
    send(&mut store, Some("s"), &body("ann", 0..3));
    let told = |after: u64| -> Vec<_> {
        let snapshot = store.after(after);
        let told = |view| serde_json::to_string(&Told::new(view, None).record()).unwrap();
        snapshot.views().map(told).collect()
    };
    let all = told(0);
    assert_eq!(all.len(), 20);
    for after in 0..=20 {
        assert_eq!(Some(&*told(after as u64)), all.get(after..), "{after}");
        let id = after as u64;
        assert_eq!(store.piece_after(id.saturating_sub(1)).find(id).is_some(), after > 0);
    }
    let bad = store.after(0).views().filter(|view| view.verdict() == Verdict::Bad).count();
    assert_eq!(bad, 5);
}

#[test]
fn a_session_that_is_forgotten_gives_its_memory_back() {
    let mut store = Store::new(ROOMY, Hashes::default());
    send(&mut store, Some("other"), &body("ann", 0..10));
    let before = (store.memory(), store.ledger(None));
    for at in 0..200 {
        send(&mut store, Some("s"), &body("bob", at * 10..at * 10 + 10));
    }
    assert!(store.memory() > 2 * before.0);
    store.clear_session("s");
    assert_eq!((ids(&store), store.ledger(None)), ((1..=10).collect(), before.1));
    assert!(store.memory() < 2 * before.0 + (1 << 18), "{}", store.memory());
    assert_eq!(send(&mut store, Some("s"), &body("bob", 0..1)).good, 1);
    assert_eq!(send(&mut store, Some("other"), &body("ann", 0..1)).duplicates, 1);
}

/// What is forgotten between a look at the store and a look at its events would be told to nobody and counted for nobody.
#[test]
fn who_has_taken_events_still_sees_those_that_are_forgotten_meanwhile() {
    let mut store = Store::new(Bounds { events_max: 5, bytes_max: 10_000, ..ROOMY }, Hashes::default());
    send(&mut store, Some("s"), &body("ann", 0..5));
    let before = store.after(0);
    send(&mut store, Some("t"), &body("ann", 5..8));
    assert_eq!(before.views().map(|view| view.id()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((ids(&store), store.ledger(Some("s")).forgotten), (vec![4, 5, 6, 7, 8], 3));
    store.clear_session("s");
    assert_eq!((ids(&store), store.live(), store.seen.len()), (vec![6, 7, 8], 3, 3));
    send(&mut store, Some("t"), &body("ann", 8..20));
    assert_eq!((ids(&store).len(), store.live(), store.ledger(None).forgotten), (5, 5, 10));
}
