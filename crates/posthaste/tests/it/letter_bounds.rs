//! What is kept of dead letters on disk: most of what may be, whatever the bound, the letters and the largest record.

use std::sync::Arc;

use posthaste::{
    DeadReason, LogEvent, QueueEventDispatcher, SpoolQueue, WhenDeadLettersFull, dispatch::Response,
    testing::ScriptedDispatcher,
};
use posthaste_spool::{MemoryFilesystem, Spool, SpoolOptions};

/// As a relay's: its records are of 3.5 MiB at most.
const RECORD_BYTES_MAX: usize = (3 << 20) + (1 << 19) + (64 << 10);

fn open(disk: &MemoryFilesystem, bytes_max: u64) -> (QueueEventDispatcher, SpoolQueue<LogEvent>) {
    let options = SpoolOptions::default().record_bytes_max(RECORD_BYTES_MAX).dead_bytes_max(bytes_max);
    let queue = SpoolQueue::over(Spool::open_with(Arc::new(disk.clone()), "/spool", options).unwrap());
    let builder = QueueEventDispatcher::builder(ScriptedDispatcher::by(|_| Ok(Response::status(503))));
    let dispatcher = builder
        .queue(queue.clone())
        .dead_letters_bytes_max(bytes_max)
        .when_dead_letters_full(WhenDeadLettersFull::ForgetOldest)
        .build()
        .unwrap();
    (dispatcher, queue)
}

fn bury(dispatcher: &QueueEventDispatcher, letter: &LogEvent) {
    loop {
        match dispatcher.bury(letter.clone(), DeadReason::Unusable, "of no use".to_owned()) {
            Ok(receipt) => return receipt.forget(),
            Err(refused) => assert!(refused.reason.is_full(), "{}", refused.reason),
        }
        std::thread::yield_now();
    }
}

#[test]
fn at_least_half_of_what_may_be_kept_is_and_never_more() {
    for (bytes_max, letter_bytes, tenths) in [
        (1 << 20, 2_000, 60),
        (1 << 20, 200_000, 200),
        (4 << 20, 2_000, 40),
        (4 << 20, 200_000, 120),
        (64 << 20, 2_000, 12),
        (64 << 20, 200_000, 20),
    ] {
        let case = format!("{letter_bytes} of {bytes_max}");
        let letter = LogEvent::opaque("http://x/v1/events", vec![b'x'; letter_bytes]);
        let disk = MemoryFilesystem::new();
        let check = |dispatcher: &QueueEventDispatcher, queue: &SpoolQueue<LogEvent>| {
            let kept = queue.spool().dead().len().unwrap() * letter_bytes as u64;
            assert!(kept <= bytes_max, "{case}: {kept} bytes are kept");
            let is_full = dispatcher.dead_letters_forgotten() > 0;
            assert!(!is_full || kept >= bytes_max / 2, "{case}: {kept} bytes are kept");
            is_full
        };
        let (dispatcher, queue) = open(&disk, bytes_max);
        let letters = tenths * bytes_max / (10 * letter_bytes as u64);
        let was_full = (0..letters).fold(false, |_, _| {
            bury(&dispatcher, &letter);
            check(&dispatcher, &queue)
        });
        assert!(was_full, "{case}");
        let (kept, forgotten) = (queue.spool().dead().len().unwrap(), dispatcher.dead_letters_forgotten());
        assert_eq!(kept + forgotten, letters, "{case}");
        drop((dispatcher, queue));
        // The next process knows as much, and forgets no more.
        let (dispatcher, queue) = open(&disk, bytes_max);
        for _ in 0..20 {
            bury(&dispatcher, &letter);
            check(&dispatcher, &queue);
        }
        assert!(queue.spool().dead().len().unwrap() * letter_bytes as u64 >= bytes_max / 2, "{case}");
    }
}
