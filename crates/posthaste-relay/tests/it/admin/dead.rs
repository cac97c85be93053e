//! Dead letters are listed by pages, put back and forgotten, by tenant and by reason.

use std::{collections::BTreeSet, path::Path, time::Duration};

use posthaste::{
    DeadReason, LogEvent, QueueEventDispatcher, SpoolQueue, queue::SpoolOptions, testing::RecordingDispatcher,
};
use posthaste_relay::Config;
use serde_json::Value;

use super::{Client, relay, take};
use crate::support::{Running, Sink, body, post, until};

/// Events named `bad` are refused for good.
fn refuses_bad(body: &[u8]) -> u16 {
    if body.windows(3).any(|part| part == b"bad") { 400 } else { 204 }
}

/// A relay with so many rejected events, and two unusable bodies.
async fn with_letters(rejected: usize) -> (Sink, Running, Client) {
    let (sink, relay, admin) = relay(refuses_bad).await;
    for at in 0..rejected {
        take(&relay, &format!("bad{at}")).await;
    }
    for body in [&b"nonsense"[..], b"{\"account_id\":\"1\",\"visitors\":\xFF"] {
        assert_eq!(post(relay.address, "", body).await.0, 204);
    }
    relay.delivered().await;
    (sink, relay, admin)
}

async fn letters(admin: &Client, query: &str) -> (Vec<Value>, Option<String>) {
    let page = admin.get(&format!("/dead?{query}")).await.json();
    (page["letters"].as_array().unwrap().clone(), page["next"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_every_letter_once_with_what_is_known_of_it() {
    let (_sink, relay, admin) = with_letters(7).await;
    let (mut found, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (letters, next) = letters(&admin, &format!("limit=3{after}")).await;
        assert!(letters.len() <= 3);
        found.extend(letters);
        pages += 1;
        let Some(next) = next else { break };
        after = format!("&after={next}");
    }
    assert_eq!((found.len(), pages), (9, 4), "the last page of three is full, and the next one empty");
    let ids: BTreeSet<&str> = found.iter().map(|letter| letter["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 9);
    for letter in &found {
        assert_eq!((&letter["tenant"], &letter["events"]), (&"default".into(), &1.into()));
        assert!(letter["time_ms"].as_i64() > Some(1_600_000_000_000));
        match letter["reason"].as_str() {
            Some("rejected") => {
                assert_eq!(letter["status"], 400);
                assert!(letter["body"].as_str().unwrap().contains(r#""uuid":"bad"#));
            }
            Some("unusable") => {
                assert!(letter["status"].is_null() && !letter["text"].as_str().unwrap().is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
    let (binary, _) = letters(&admin, "reason=unusable").await;
    let encoded: Vec<_> = binary.iter().filter_map(|letter| letter["body_base64"].as_str()).collect();
    // Made with coreutils' base64.
    assert_eq!(encoded, ["eyJhY2NvdW50X2lkIjoiMSIsInZpc2l0b3JzIjr/"]);
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_sends_rejected_events_again_and_leaves_what_is_still_unusable() {
    let (sink, relay, admin) = with_letters(3).await;
    sink.answers(|_| 204);
    let answer = admin.post("/dead/replay?tenant=default").await.json();
    assert_eq!((&answer["replayed"], &answer["still_unusable"]), (&3.into(), &2.into()));
    relay.delivered().await;
    let expected: Vec<String> = (0..3).map(|at| format!("bad{at}")).collect();
    until(|| sink.uuids().into_keys().collect::<Vec<_>>() == expected).await;
    let (left, _) = letters(&admin, "").await;
    assert!(left.len() == 2 && left.iter().all(|letter| letter["reason"] == "unusable"), "{left:?}");
    let ledger = admin.get("/ledger").await.json();
    let sum = ["accepted", "delivered", "dead_lettered"].map(|field| ledger["sum"][field].as_u64().unwrap());
    assert_eq!((sum, &ledger["sum"]["balances"]), ([5, 3, 2], &true.into()));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_forgets_letters_of_one_reason_and_the_ledger_keeps_counting_them() {
    let (_sink, relay, admin) = with_letters(3).await;
    assert_eq!(admin.post("/dead/purge?reason=displaced").await.json()["purged"], 0);
    assert_eq!(admin.post("/dead/purge?reason=unusable").await.json()["purged"], 2);
    let (left, _) = letters(&admin, "").await;
    assert!(left.len() == 3 && left.iter().all(|letter| letter["reason"] == "rejected"), "{left:?}");
    assert_eq!(admin.post("/dead/purge").await.json()["purged"], 3);
    assert!(letters(&admin, "").await.0.is_empty());
    let ledger = admin.get("/ledger").await.json();
    assert_eq!((&ledger["sum"]["dead_lettered"], &ledger["sum"]["balances"]), (&5.into(), &true.into()));
    relay.end().await;
}

/// Leaves these bodies in the folder of a relay as its version might that could not use them.
async fn leave_unusable(folder: &Path, url: &str, bodies: &[&[u8]]) {
    Running::start(Config::to(url).on_disk(folder)).await.end().await;
    let queue = SpoolQueue::open(folder.join("tenants/default/spool"), SpoolOptions::default()).unwrap();
    let dispatcher = QueueEventDispatcher::builder(RecordingDispatcher::new()).queue(queue).build().unwrap();
    for body in bodies {
        let letter = LogEvent::opaque(url, body.to_vec());
        dispatcher.bury(letter, DeadReason::Unusable, "not known".to_owned()).unwrap().await.unwrap();
    }
    assert_eq!(dispatcher.close(Duration::from_secs(10)).await.left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_could_not_use_and_this_one_can_is_mended_and_delivered() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::taking().await);
    let latin1 = [body("1", "a").replace("v-a", "caf").as_bytes(), b""].concat();
    let latin1: Vec<u8> =
        latin1.iter().flat_map(|byte| if *byte == b'f' { vec![b'f', 0xE9] } else { vec![*byte] }).collect();
    let good = body("1", "b");
    leave_unusable(folder.path(), &sink.url, &[&latin1, b"nonsense", good.as_bytes()]).await;
    let relay = Running::start(Config::to(&sink.url).on_disk(folder.path())).await;
    let admin = Client::of(relay.admin);
    for (replayed, left) in [(2, 1), (0, 1)] {
        let answer = admin.post("/dead/replay?reason=unusable").await.json();
        assert_eq!((&answer["replayed"], &answer["still_unusable"]), (&replayed.into(), &left.into()));
    }
    relay.delivered().await;
    until(|| sink.uuids().into_iter().collect::<Vec<_>>() == [("a".to_owned(), 1), ("b".to_owned(), 1)])
        .await;
    let (left, _) = letters(&admin, "").await;
    assert!(left.len() == 1 && left[0]["body"] == "nonsense", "{left:?}");
    relay.end().await;
    // Nothing comes back with the next start.
    let relay = Running::start(Config::to(&sink.url).on_disk(folder.path())).await;
    assert_eq!(letters(&Client::of(relay.admin), "").await.0.len(), 1);
    relay.end().await;
    assert_eq!(sink.uuids().len(), 2);
}
