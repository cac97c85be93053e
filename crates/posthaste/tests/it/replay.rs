//! Dead letters that are put back while events are being buried: each once, whatever the moment.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use posthaste::{
    BatchEventProcessor, LogEvent, SpoolQueue, Visitor,
    dispatch::{Answer, Response},
    queue::SpoolOptions,
    testing::ScriptedDispatcher,
};

use crate::support::{SECOND, impression, larkspur};

/// An API that refuses a bad event alone once, and takes it when it comes again. Counts how often it has taken each.
#[derive(Debug, Default)]
struct Forgiving {
    refused: HashSet<String>,
    taken: HashMap<String, u32>,
}

impl Forgiving {
    fn answer(&mut self, request: &LogEvent) -> Answer {
        let visitors = request.event().unwrap().visitors;
        let uuids: Vec<_> =
            visitors.iter().map(|visitor| visitor.snapshots[0].events[0].uuid.clone()).collect();
        let is_bad = |(visitor, uuid): (&Visitor, &String)| {
            visitor.visitor_id.starts_with("bad") && !self.refused.contains(uuid)
        };
        if visitors.iter().zip(&uuids).any(is_bad) {
            if let [alone] = &uuids[..] {
                self.refused.insert(alone.clone());
            }
            return Ok(Response::status(400));
        }
        for uuid in uuids {
            *self.taken.entry(uuid).or_default() += 1;
        }
        Ok(Response::status(204))
    }
}

/// In every moment of a letter's way: being stored, its event leaving the queue, being put back, being stored again.
#[test]
fn a_letter_is_put_back_once_whatever_the_moment() {
    let folder = tempfile::tempdir().unwrap();
    let api = Arc::new(Mutex::new(Forgiving::default()));
    let answering = Arc::clone(&api);
    let upstream = ScriptedDispatcher::by(move |request| answering.lock().unwrap().answer(request));
    let queue = SpoolQueue::open(folder.path(), SpoolOptions::default()).unwrap();
    let processor = BatchEventProcessor::builder().queue(queue).event_dispatcher(upstream).build().unwrap();
    let config = larkspur();
    let is_over = AtomicBool::new(false);
    let accepted = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                processor.replay_dead_letters();
                thread::yield_now();
            }
        });
        let kind = |n: usize| if n.is_multiple_of(3) { "bad" } else { "good" };
        let events = (0..600).map(|n| impression(&config, &format!("{}-{n}", kind(n))));
        let accepted = events.filter(|event| processor.process_event(event.clone()).is_ok()).count();
        assert!(processor.flush(SECOND * 60).wait().is_complete());
        is_over.store(true, SeqCst);
        accepted as u64
    });
    let report = processor.close(SECOND * 60).wait();
    let api = api.lock().unwrap();
    let again: Vec<_> = api.taken.iter().filter(|(_, times)| **times != 1).collect();
    assert!(again.is_empty(), "taken twice: {again:?}");
    let (taken, letters) = (api.taken.len() as u64, processor.dead_letters().len() as u64);
    assert_eq!((taken + letters, report.left), (accepted, 0), "{report}");
    assert_eq!((report.ledger.accepted, report.delivered, report.dead_lettered), (accepted, taken, letters));
}
