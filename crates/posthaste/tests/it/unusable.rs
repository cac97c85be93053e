//! Requests that nobody can use: accepted and dead-lettered in one act, and kept as they came.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use posthaste::{
    DeadReason, LogEvent, QueueEventDispatcher, Refusal, SpoolQueue, WhenDeadLettersFull, dispatch::Response,
    queue::SpoolOptions, testing::ScriptedDispatcher,
};
use posthaste_spool::{Fault, FaultyFilesystem, MemoryFilesystem, Operation, Spool};

use crate::support::{HOUR, SECOND};

fn unusable(number: usize) -> LogEvent {
    LogEvent::opaque("http://x/v1/events", [&[0xff, 0xfe][..], format!("{number:01000}").as_bytes()].concat())
}

fn bury(dispatcher: &QueueEventDispatcher, number: usize) -> Result<posthaste::Receipt, Refusal> {
    let buried = dispatcher.bury(unusable(number), DeadReason::Unusable, format!("no use {number}"));
    buried.map_err(|refused| {
        assert_eq!(refused.item, unusable(number), "what is refused comes back whole");
        refused.reason
    })
}

fn queue(disk: &FaultyFilesystem, options: SpoolOptions) -> SpoolQueue<LogEvent> {
    SpoolQueue::over(Spool::open_with(Arc::new(disk.clone()), "/spool", options).unwrap())
}

fn open(disk: &FaultyFilesystem) -> QueueEventDispatcher {
    QueueEventDispatcher::builder(refuses()).queue(queue(disk, small())).build().unwrap()
}

/// The same, with patience where room is being made. False: there is none.
fn bury_soon(dispatcher: &QueueEventDispatcher, number: usize) -> bool {
    (0..20_000).any(|_| match bury(dispatcher, number) {
        Ok(receipt) => receipt.wait().is_ok(),
        Err(reason) => {
            assert!(reason.is_full(), "{reason}");
            std::thread::yield_now();
            false
        }
    })
}

/// The API cannot read them either.
fn refuses() -> ScriptedDispatcher {
    ScriptedDispatcher::by(|_| Ok(Response::status(400)))
}

/// Small files, so that a few hundred letters fill some.
fn small() -> SpoolOptions {
    SpoolOptions::default().segment_bytes(64 << 10).record_bytes_max(16 << 10).size_bytes_max(1 << 20)
}

fn numbers(dispatcher: &QueueEventDispatcher) -> Vec<usize> {
    let (mut after, mut numbers) = (None, Vec::new());
    loop {
        let page = dispatcher.dead_letters_page(after, 7);
        assert!(page.len() <= 7);
        let Some((last, _)) = page.last() else { return numbers };
        after = Some(*last);
        let number = |text: &str| text.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        numbers.extend(page.iter().map(|(_, letter)| number(&letter.text)));
    }
}

#[test]
fn an_unusable_request_is_kept_on_disk_as_it_came_and_can_be_tried_all_the_same() {
    let disk = disk();
    let dispatcher = open(&disk);
    for number in 0..20 {
        bury(&dispatcher, number).unwrap().wait().unwrap();
    }
    let ledger = dispatcher.ledger();
    assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.queued, ledger.balances()), (20, 20, 0, true));
    let letters = dispatcher.dead_letters();
    assert_eq!(
        (letters.len(), &letters[7].item, letters[7].reason),
        (20, &unusable(7), DeadReason::Unusable)
    );
    assert_eq!(dispatcher.queue_bytes(), 0, "they never were in the queue");
    drop(dispatcher);
    // The next process has them.
    let dispatcher = open(&disk);
    assert_eq!(dispatcher.dead_letters()[7].item, unusable(7));
    assert_eq!(numbers(&dispatcher), (0..20).collect::<Vec<_>>());
    let is_small = |text: &str| text.ends_with('3') && text.starts_with("no use");
    assert_eq!(dispatcher.replay_dead_letters_where(&|letter| is_small(&letter.text)), 2);
    assert!(dispatcher.flush(HOUR).wait().is_complete());
    let letters = dispatcher.dead_letters();
    let rejected = letters.iter().filter(|letter| letter.reason == DeadReason::Rejected).count();
    assert_eq!((letters.len(), rejected, dispatcher.ledger().balances()), (20, 2, true));
    assert_eq!(dispatcher.purge_dead_letters_where(&|letter| letter.reason == DeadReason::Rejected), 2);
    assert_eq!(numbers(&dispatcher).len(), 18);
}

/// Whoever looks sees a ledger that balances, whatever is taken, buried and put back meanwhile.
#[test]
fn the_ledger_balances_at_every_look() {
    let disk = disk();
    let dispatcher = open(&disk);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = 0_u64;
            while !is_over.load(SeqCst) {
                let ledger = dispatcher.ledger();
                assert!(ledger.balances(), "{ledger:?}");
                looks += 1;
            }
            looks
        });
        for number in 0..200 {
            assert!(bury_soon(&dispatcher, number));
            if number % 50 == 0 {
                dispatcher.replay_dead_letters();
            }
        }
        is_over.store(true, SeqCst);
        assert!(looks.join().unwrap() > 0);
    });
    let report = dispatcher.close(HOUR).wait();
    assert_eq!((report.ledger.accepted, report.dead_lettered, report.left), (200, 200, 0), "{report}");
}

#[test]
fn letters_that_find_no_room_are_refused_or_push_out_the_oldest_and_all_are_counted() {
    let dead_max = 400 << 10;
    for when_full in [WhenDeadLettersFull::Wait, WhenDeadLettersFull::ForgetOldest] {
        let queue = queue(&disk(), small().dead_bytes_max(dead_max));
        let dispatcher = QueueEventDispatcher::builder(refuses())
            .queue(queue)
            .when_dead_letters_full(when_full)
            .build()
            .unwrap();
        let kept = (0..1_000).take_while(|number| bury_soon(&dispatcher, *number)).count() as u64;
        let (there, forgotten) = (numbers(&dispatcher), dispatcher.dead_letters_forgotten());
        assert_eq!(there.len() as u64 + forgotten, kept, "{when_full:?}");
        let ledger = dispatcher.ledger();
        assert_eq!((ledger.accepted, ledger.dead_lettered, ledger.queued), (kept, kept, 0));
        match when_full {
            WhenDeadLettersFull::Wait => assert!(forgotten == 0 && (100..1_000).contains(&kept), "{kept}"),
            WhenDeadLettersFull::ForgetOldest => {
                assert!(kept == 1_000 && forgotten > 0 && there.len() > 50, "{forgotten} of {kept}");
                let newest: Vec<usize> = (1_000 - there.len()..1_000).collect();
                assert_eq!(there, newest, "the oldest went");
            }
        }
    }
}

/// Bounded by the pipeline, well below what the folder may take.
#[test]
fn letters_on_disk_are_bounded_in_bytes_of_their_own() {
    let queue = queue(&disk(), small());
    let dispatcher = QueueEventDispatcher::builder(refuses())
        .queue(queue.clone())
        .dead_letters_bytes_max(300 << 10)
        .when_dead_letters_full(WhenDeadLettersFull::ForgetOldest)
        .build()
        .unwrap();
    for number in 0..1_000 {
        assert!(bury_soon(&dispatcher, number));
        assert!(queue.spool().dead().bytes().unwrap() <= 300 << 10, "{number}");
    }
    assert!(numbers(&dispatcher).len() > 50 && dispatcher.dead_letters_forgotten() > 500);
}

#[tokio::test(start_paused = true)]
async fn letters_on_disk_go_for_their_age() {
    let (queue, disk) = crate::house::spool::<LogEvent>(small());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(disk);
    let (dispatcher, driver) = QueueEventDispatcher::builder(refuses())
        .queue(queue)
        .clock(crate::age::TestTime)
        .dead_letters_age_max(HOUR)
        .build_with_driver()
        .unwrap();
    tasks.spawn(driver);
    for number in 0..2_500 {
        // Their folder makes room for some at a time.
        while let Err(reason) = bury(&dispatcher, number).map(posthaste::Receipt::forget) {
            assert!(reason.is_full(), "{reason}");
            tokio::time::sleep(SECOND).await;
        }
    }
    tokio::time::sleep(SECOND * 3_540).await;
    bury(&dispatcher, 9_999).unwrap().await.unwrap();
    assert_eq!((numbers(&dispatcher).len(), dispatcher.dead_letters_forgotten()), (2_501, 0));
    tokio::time::sleep(SECOND * 180).await;
    assert_eq!((numbers(&dispatcher), dispatcher.dead_letters_forgotten()), (vec![9_999], 2_500));
    assert_eq!(dispatcher.ledger().dead_lettered, 2_501, "they stay counted");
}

fn disk() -> FaultyFilesystem {
    FaultyFilesystem::new(MemoryFilesystem::new())
}

fn faulty() -> (FaultyFilesystem, SpoolQueue<LogEvent>) {
    let disk = disk();
    let queue = queue(&disk, small());
    (disk, queue)
}

#[test]
fn a_letter_that_the_disk_never_got_is_given_to_whoever_closes() {
    let (disk, queue) = faulty();
    let dispatcher = QueueEventDispatcher::builder(refuses()).queue(queue).build().unwrap();
    bury(&dispatcher, 1).unwrap().wait().unwrap();
    disk.fail_always(Operation::Write, Fault::EIO);
    let receipt = bury(&dispatcher, 2).unwrap();
    let listed = dispatcher.dead_letters();
    assert_eq!(listed.len(), 2, "both are seen, the one on its way too");
    assert_eq!(
        dispatcher.purge_dead_letters_where(&|letter| letter.text == "no use 2"),
        0,
        "not yet anybody's"
    );
    let report = dispatcher.close(Duration::from_millis(300)).wait();
    assert_eq!(report.not_stored.len(), 1);
    assert_eq!((&report.not_stored[0].item, report.left, report.dead_lettered), (&unusable(2), 0, 2));
    assert!(report.ledger.balances() && receipt.wait().is_err());
    assert_eq!(dispatcher.dead_letters().len(), 2);
    assert_eq!(bury(&dispatcher, 3).unwrap_err(), Refusal::Closed);
}

/// A disk that takes nothing refuses; nothing is accepted then.
#[test]
fn a_letter_that_cannot_be_kept_is_refused() {
    let (disk, queue) = faulty();
    let dispatcher = QueueEventDispatcher::builder(refuses()).queue(queue).build().unwrap();
    disk.fail_always(Operation::Write, Fault::EIO);
    let mut taken = 0;
    let reason = loop {
        match bury(&dispatcher, taken) {
            Ok(receipt) => receipt.forget(),
            Err(reason) => break reason,
        }
        taken += 1;
        assert!(taken < 100_000, "it takes whatever it gets");
    };
    assert!(reason.to_string().contains("dead letter cannot be kept"), "{reason}");
    let ledger = dispatcher.ledger();
    assert_eq!((ledger.accepted, ledger.refused, ledger.balances()), (taken as u64, 1, true));
    disk.heal();
    assert!(dispatcher.close(HOUR).wait().not_stored.is_empty());
}

/// In memory, and by the queue's own count.
#[test]
fn a_queue_says_how_many_bytes_wait() {
    let dead = || ScriptedDispatcher::by(|_| Ok(Response::status(503)));
    let on_disk = queue(&disk(), SpoolOptions::default());
    let in_memory = QueueEventDispatcher::builder(dead()).build().unwrap();
    let spooled = QueueEventDispatcher::builder(dead()).queue(on_disk).build().unwrap();
    for dispatcher in [in_memory, spooled] {
        assert_eq!(dispatcher.queue_bytes(), 0);
        for number in 0..100 {
            let body = format!(r#"{{"visitors":[{{"visitor_id":"{number:01000}"}}]}}"#);
            let request = LogEvent::from_body("http://x/v1/events", body).unwrap();
            dispatcher.add(request).unwrap().wait().unwrap();
        }
        let bytes = dispatcher.queue_bytes();
        assert!((100_000..200_000).contains(&bytes), "{bytes} bytes of 100 requests of some 1,040");
        drop(dispatcher.close(Duration::ZERO));
    }
}
