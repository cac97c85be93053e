//! Log-event callbacks: seen, ended, harmless.

use std::sync::mpsc::sync_channel;

use posthaste::{
    BatchEventProcessor,
    notification::{BACKLOG_MAX, center},
    testing::{RecordingDispatcher, ScriptedDispatcher},
};

use crate::support::{Driven, HOUR, SECOND, impressions, larkspur};

#[tokio::test(start_paused = true)]
async fn a_callback_sees_each_request_until_it_is_removed() {
    let (seen, requests) = sync_channel(100);
    let dispatcher = ScriptedDispatcher::statuses([503]);
    let driven =
        Driven::new(BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).sdk_key("seen"));
    let id = driven.processor.on_event_dispatch(move |event| seen.send(event.clone()).unwrap());
    driven.take(impressions(&larkspur(), 10));
    assert!(driven.processor.flush(HOUR).await.is_complete());
    let both: Vec<_> = (0..2).map(|_| requests.recv().unwrap()).collect();
    assert_eq!(both, dispatcher.requests(), "the retry too");
    driven.processor.remove_on_event_dispatch(id).unwrap();
    let error = driven.processor.remove_on_event_dispatch(id).unwrap_err();
    assert!(error.to_string().contains("no log-event handler has the id 1"), "{error}");
    driven.take(impressions(&larkspur(), 10));
    assert!(driven.processor.flush(HOUR).await.is_complete());
    assert!(requests.recv().is_err(), "the callback is gone, and its channel with it");
}

#[tokio::test(start_paused = true)]
async fn callbacks_belong_to_the_sdk_key() {
    let build = |key: &str| {
        Driven::new(BatchEventProcessor::builder().event_dispatcher(RecordingDispatcher::new()).sdk_key(key))
    };
    let (one, same, other) = (build("key-1"), build("key-1"), build("key-2"));
    let (seen, requests) = sync_channel(100);
    one.processor.on_event_dispatch(move |event| seen.send(event.events()).unwrap());
    for (driven, events) in [(&other, 1), (&same, 2), (&one, 3)] {
        driven.take(impressions(&larkspur(), events));
        assert!(driven.processor.flush(SECOND).await.is_complete());
    }
    assert_eq!([requests.recv().unwrap(), requests.recv().unwrap()], [2, 3]);
}

/// In the seed a handler that panics ends the process, and one that flushes deadlocks.
#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_or_blocks_harms_no_delivery() {
    let driven = Driven::new(
        BatchEventProcessor::builder()
            .event_dispatcher(RecordingDispatcher::new())
            .sdk_key("harm")
            .batch_size(1)
            .queue_size(10_000),
    );
    let (unblock, blocked) = sync_channel::<()>(0);
    let (seen, requests) = sync_channel(10);
    let blocked = std::sync::Mutex::new(blocked);
    driven.processor.on_event_dispatch(|_| panic!("on purpose"));
    driven.processor.on_event_dispatch(move |event| {
        let _ = blocked.lock().unwrap().recv();
        drop(seen.try_send(event.clone()));
    });
    driven.take(impressions(&larkspur(), BACKLOG_MAX + 100));
    let report = driven.processor.flush(SECOND).await;
    assert_eq!(report.ledger.delivered, BACKLOG_MAX as u64 + 100);
    drop(unblock);
    assert_eq!(requests.recv().unwrap().events(), 1);
}

#[test]
fn ids_start_at_one_and_are_never_used_again() {
    let center = center("ids");
    let first = center.add_handler(|_| {});
    center.remove_handler(first).unwrap();
    let second = center.add_handler(|_| {});
    assert_eq!((format!("{first:?}"), format!("{second:?}")), ("HandlerId(1)".into(), "HandlerId(2)".into()));
}
