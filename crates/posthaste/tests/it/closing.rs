//! Flush, close and drop end within their deadlines and say what is left, whatever the other side does, wherever they are
//! called from. Real threads here, with a clock that stands still unless it is moved.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, Dispatcher, LogEvent, UserEvent,
    dispatch::{DispatchError, DispatchFuture, Response, from_fn},
    testing::{RecordingDispatcher, ScriptedDispatcher},
};

use crate::support::{SECOND, impressions, larkspur, settle, uuids_of};

/// Never answers.
#[derive(Debug)]
struct Silent;

impl Dispatcher for Silent {
    fn dispatch_event(&self, _event: LogEvent) -> DispatchFuture {
        Box::pin(std::future::pending())
    }
}

/// Answers each request after a minute.
#[derive(Debug)]
struct Slow;

impl Dispatcher for Slow {
    fn dispatch_event(&self, _event: LogEvent) -> DispatchFuture {
        Box::pin(async {
            tokio::time::sleep(SECOND * 60).await;
            Ok(Response::status(204))
        })
    }
}

fn dead() -> ScriptedDispatcher {
    ScriptedDispatcher::by(|_| Err(DispatchError::Connect("refused".into())))
}

fn filled(dispatcher: impl Dispatcher + 'static) -> (BatchEventProcessor, Vec<UserEvent>) {
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(dispatcher)
        .drop_deadline(Duration::ZERO)
        .build()
        .unwrap();
    let events = impressions(&larkspur(), 25);
    for event in events.clone() {
        processor.process_event(event).unwrap().forget();
    }
    (processor, events)
}

/// The three kinds of upstream that never deliver, and what is asked of a processor over each.
fn with_each_bad_upstream(check: impl Fn(BatchEventProcessor, Vec<UserEvent>)) {
    for (processor, events) in [filled(dead()), filled(Silent), filled(Slow)] {
        check(processor, events);
    }
}

const SOON: Duration = Duration::from_millis(30);

#[test]
fn without_a_runtime() {
    with_each_bad_upstream(|processor, events| {
        assert_eq!(processor.flush(SOON).wait().left, 25);
        let report = processor.close(SOON).wait();
        assert_eq!((report.delivered, report.dead_lettered, report.left), (0, 0, 25));
        assert_eq!(uuids_of(&processor.get_events(100)), uuids_of(&events), "what is left is still there");
        assert!(processor.ledger().balances());
        drop(processor);
    });
}

#[test]
fn inside_a_current_thread_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        with_each_bad_upstream(|processor, _| {
            assert_eq!(processor.flush(SOON).wait().left, 25);
            assert_eq!(processor.close(SOON).wait().left, 25);
        });
        let (processor, _) = filled(RecordingDispatcher::new());
        assert!(processor.flush(SECOND * 60).wait().is_complete());
        assert_eq!(processor.close(SECOND * 60).await.delivered, 25);
    });
}

#[test]
fn inside_a_multi_thread_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        with_each_bad_upstream(|processor, _| {
            assert_eq!(processor.flush(SOON).wait().left, 25);
            assert_eq!(processor.close(SOON).wait().left, 25);
        });
        let (processor, _) = filled(RecordingDispatcher::new());
        assert_eq!(processor.close(SECOND * 60).await.delivered, 25);
    });
}

#[test]
fn from_two_threads_at_once() {
    for _ in 0..20 {
        let (processor, _) = filled(RecordingDispatcher::new());
        let processor = Arc::new(processor);
        let start = Arc::new(Barrier::new(3));
        let closers: Vec<_> = (0..3)
            .map(|n| {
                let (processor, start) = (Arc::clone(&processor), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    if n == 2 {
                        return processor.flush(SECOND * 60).wait().left;
                    }
                    processor.close(SECOND * 60).wait().left
                })
            })
            .collect();
        for closer in closers {
            assert_eq!(closer.join().unwrap(), 0);
        }
        assert_eq!(processor.ledger().delivered, 25);
    }
}

/// The longer deadline of two counts; the shorter one is answered in its own time.
#[tokio::test(start_paused = true)]
async fn two_deadlines_are_each_kept() {
    let (processor, driver) =
        BatchEventProcessor::builder().event_dispatcher(Slow).build_with_driver().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(driver);
    for event in impressions(&larkspur(), 10) {
        processor.process_event(event).unwrap().forget();
    }
    settle().await;
    let (short, long) = (processor.close(SECOND), processor.close(SECOND * 100));
    let start = tokio::time::Instant::now();
    assert_eq!(short.await.left, 10);
    assert_eq!(start.elapsed().as_secs(), 1);
    assert_eq!(long.await.delivered, 10);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[test]
fn dropping_flushes() {
    let dispatcher = RecordingDispatcher::new();
    let processor = BatchEventProcessor::builder().event_dispatcher(dispatcher.clone()).build().unwrap();
    let events = impressions(&larkspur(), 25);
    for event in events {
        processor.process_event(event).unwrap().forget();
    }
    drop(processor);
    assert_eq!(dispatcher.events().len(), 25);
}

/// A dispatcher that blocks its thread, against the rules of the trait, cannot make anyone hang.
#[test]
fn a_dispatcher_that_blocks_the_delivery_thread_hangs_nobody() {
    #[derive(Debug)]
    struct Blocking(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);
    impl Dispatcher for Blocking {
        fn dispatch_event(&self, _event: LogEvent) -> DispatchFuture {
            let _ = self.0.lock().unwrap().recv();
            Box::pin(std::future::ready(Ok(Response::status(204))))
        }
    }
    let (unblock, blocked) = std::sync::mpsc::sync_channel(0);
    let (processor, _) = filled(Blocking(std::sync::Mutex::new(blocked)));
    assert_eq!(processor.close(Duration::ZERO).wait().left, 25);
    drop(unblock);
}

/// A function that blocks is no trouble: it has a thread of its own.
#[test]
fn a_blocking_function_is_a_dispatcher() {
    let (seen, requests) = std::sync::mpsc::sync_channel(100);
    let (processor, _) = filled(from_fn(move |event| {
        seen.send(event.events()).unwrap();
        Ok(Response::status(204))
    }));
    assert_eq!(processor.close(SECOND * 60).wait().delivered, 25);
    let mut sizes: Vec<usize> = requests.iter().take(3).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10]);
}
