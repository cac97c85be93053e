//! Flush and close end at their deadline, and say what is left and why, whatever blocks delivery and wherever they are
//! called from. In real time: nothing else blocks a thread.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, BatchEventProcessorBuilder, FlushReport, Refusal,
    dispatch::{DispatchFuture, Response},
    outcome::Trouble,
};

use crate::{
    house::{Gate, Place, by, for_each, ok, within},
    support::{SECOND, impression, impressions, larkspur},
};

const SOON: Duration = Duration::from_millis(150);
const EVENTS: usize = 25;

/// What a dispatcher does instead of answering, and what reports say of it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    BlocksInTheCall,
    BlocksInItsFuture,
    PanicsInTheCall,
    PanicsInItsFuture,
    NeverAnswers,
}

impl Fault {
    const ALL: [(Self, &str); 5] = [
        (Self::BlocksInTheCall, "did not answer in time"),
        (Self::BlocksInItsFuture, "did not answer in time"),
        (Self::PanicsInTheCall, "panicked"),
        (Self::PanicsInItsFuture, "panicked"),
        (Self::NeverAnswers, "without an answer yet"),
    ];

    fn send(self, gate: Gate) -> DispatchFuture {
        match self {
            Self::BlocksInTheCall => gate.pass(),
            Self::PanicsInTheCall => panic!("on purpose, in the call"),
            _ => {}
        }
        Box::pin(async move {
            match self {
                Self::BlocksInItsFuture => gate.pass(),
                Self::PanicsInItsFuture => panic!("on purpose, in the future"),
                Self::NeverAnswers => std::future::pending().await,
                _ => {}
            }
            ok()
        })
    }

    fn processor(self, gate: Gate) -> Arc<BatchEventProcessor> {
        let builder = BatchEventProcessor::builder()
            .event_dispatcher(by(move |_| self.send(gate.clone())))
            .drop_deadline(Duration::ZERO);
        filled(builder)
    }
}

fn filled(builder: BatchEventProcessorBuilder) -> Arc<BatchEventProcessor> {
    let processor = Arc::new(builder.build().unwrap());
    for event in impressions(&larkspur(), EVENTS) {
        processor.process_event(event).unwrap().forget();
    }
    processor
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Flush,
    Close,
}

impl Call {
    /// What is left, and why: by blocking the thread, or by awaiting.
    fn make(self, processor: &Arc<BatchEventProcessor>, place: Place, awaits: bool) -> (u64, Vec<Trouble>) {
        let processor = Arc::clone(processor);
        let call = async move {
            match (self, awaits) {
                (Self::Flush, true) => told(processor.flush(SOON).await),
                (Self::Flush, false) => told(processor.flush(SOON).wait()),
                (Self::Close, true) => {
                    let report = processor.close(SOON).await;
                    (report.left, report.reasons)
                }
                (Self::Close, false) => {
                    let report = processor.close(SOON).wait();
                    (report.left, report.reasons)
                }
            }
        };
        place.run(call)
    }
}

fn told(report: FlushReport) -> (u64, Vec<Trouble>) {
    (report.left, report.reasons)
}

#[test]
fn every_call_ends_at_its_deadline_and_says_why_events_are_left() {
    let mut cases = Vec::new();
    for (fault, why) in Fault::ALL {
        for place in Place::ALL {
            for call in [Call::Flush, Call::Close] {
                cases.extend([true, false].map(|awaits| (fault, why, place, call, awaits)));
            }
        }
    }
    for_each(cases, |case @ (fault, why, place, call, awaits)| {
        let (open, gate) = Gate::new();
        let processor = fault.processor(gate);
        let name = format!("{case:?}");
        let called = Arc::clone(&processor);
        let (left, reasons) = within(&name, SOON, move || call.make(&called, place, awaits));
        assert_eq!(left, EVENTS as u64, "{name}");
        assert!(reasons.iter().any(|reason| reason.what.contains(why)), "{name}: {reasons:?}");
        drop(open);
    });
}

#[test]
fn dropping_ends_at_its_deadline() {
    for_each(Fault::ALL, |(fault, _)| {
        let (open, gate) = Gate::new();
        let processor = fault.processor(gate);
        within(&format!("{fault:?}"), Duration::ZERO, move || drop(processor));
        drop(open);
    });
}

// Calls from within callbacks.

/// Who calls the processor that has called it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Callback {
    Dispatcher,
    DispatcherFuture,
    OnDeadLetter,
    OnEventDispatch,
}

/// What it calls.
#[derive(Debug, Clone, Copy)]
enum Inner {
    Flush,
    Close,
    ProcessEvent,
    Replay,
    Drop,
}

impl Inner {
    const ALL: [Self; 5] = [Self::Flush, Self::Close, Self::ProcessEvent, Self::Replay, Self::Drop];

    fn call(self, processor: Arc<BatchEventProcessor>) {
        match self {
            Self::Flush => drop(processor.flush(SOON).wait()),
            Self::Close => drop(processor.close(SOON).wait()),
            Self::ProcessEvent => drop(processor.process_event(impression(&larkspur(), "inner"))),
            Self::Replay => drop(processor.replay_dead_letters()),
            // The last handle, where the test has given up its own.
            Self::Drop => drop(processor),
        }
    }
}

/// Calls the processor once, and says that this has ended.
struct Reentrant {
    inner: Inner,
    processor: OnceLock<Mutex<Option<Arc<BatchEventProcessor>>>>,
    ended: SyncSender<()>,
}

impl Reentrant {
    fn call(&self) {
        let taken = self.processor.get().and_then(|handle| handle.lock().unwrap().take());
        if let Some(processor) = taken {
            self.inner.call(processor);
            self.ended.send(()).unwrap();
        }
    }
}

fn reentrant(callback: Callback, calls: &Arc<Reentrant>) -> BatchEventProcessor {
    let calls_if = move |is: Callback, calls: &Arc<Reentrant>| {
        if is == callback {
            calls.call();
        }
    };
    let (in_call, in_letter, in_handler) = (Arc::clone(calls), Arc::clone(calls), Arc::clone(calls));
    let status = if callback == Callback::OnDeadLetter { 400 } else { 204 };
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(by(move |_| {
            calls_if(Callback::Dispatcher, &in_call);
            let in_future = Arc::clone(&in_call);
            Box::pin(async move {
                calls_if(Callback::DispatcherFuture, &in_future);
                Ok(Response::status(status))
            })
        }))
        .on_dead_letter(move |_| calls_if(Callback::OnDeadLetter, &in_letter))
        .sdk_key(format!("{callback:?} {:?}", calls.inner))
        .drop_deadline(SOON)
        .build()
        .unwrap();
    processor.on_event_dispatch(move |_| calls_if(Callback::OnEventDispatch, &in_handler));
    processor
}

#[test]
fn a_callback_that_calls_its_own_processor_hangs_nobody() {
    let callbacks =
        [Callback::Dispatcher, Callback::DispatcherFuture, Callback::OnDeadLetter, Callback::OnEventDispatch];
    let cases = callbacks.into_iter().flat_map(|callback| Inner::ALL.map(|inner| (callback, inner)));
    for_each(cases, |(callback, inner)| {
        let name = format!("{inner:?} in {callback:?}");
        let (ended, has_ended) = sync_channel(1);
        let calls = Arc::new(Reentrant { inner, processor: OnceLock::new(), ended });
        let processor = Arc::new(reentrant(callback, &calls));
        assert!(calls.processor.set(Mutex::new(Some(Arc::clone(&processor)))).is_ok());
        let mut taken = 0;
        for event in impressions(&larkspur(), EVENTS) {
            match processor.process_event(event) {
                Ok(receipt) => receipt.forget(),
                // The first request may go out, and its callback close the processor, before all are there.
                Err(refused) => {
                    assert!(matches!((inner, refused.reason), (Inner::Close, Refusal::Closed)), "{name}");
                    break;
                }
            }
            taken += 1;
        }
        if matches!(inner, Inner::Drop) {
            drop(processor);
            // The callback's call takes its own deadline, and the grace of whoever blocks delivery.
            within(&name, SOON + SECOND, move || has_ended.recv().unwrap());
            return;
        }
        let ledger = within(&name, SECOND * 2, move || {
            let report = processor.close(SECOND * 2).wait();
            has_ended.recv().unwrap();
            report.ledger
        });
        assert!(ledger.balances() && ledger.accepted >= taken, "{name}: {ledger:?}");
    });
}

/// Whoever waits for room is let go at their bound, and at once when the processor closes.
#[test]
fn callers_who_wait_for_room_are_let_go() {
    let (open, gate) = Gate::new();
    let processor = Arc::new(
        BatchEventProcessor::builder()
            .event_dispatcher(by(move |_| Fault::BlocksInTheCall.send(gate.clone())))
            .queue_size(10)
            .when_full(posthaste::WhenFull::Block(SECOND * 60))
            .drop_deadline(Duration::ZERO)
            .build()
            .unwrap(),
    );
    for event in impressions(&larkspur(), 10) {
        processor.process_event(event).unwrap().forget();
    }
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let processor = Arc::clone(&processor);
            thread::spawn(move || {
                processor.process_event(impression(&larkspur(), "late")).unwrap_err().reason
            })
        })
        .collect();
    let closed = Arc::clone(&processor);
    within("callers", SOON, move || {
        let report = closed.close(SOON).wait();
        let refused = waiting.into_iter().map(|caller| caller.join().unwrap());
        assert!(refused.into_iter().all(|reason| reason == posthaste::Refusal::Closed));
        assert_eq!(report.left, 10);
    });
    drop(open);
}
