//! What is kept of dead letters on disk: most of what may be, whatever the bound, the letters and the largest record.

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

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

/// What may be seen of letters that are as long as each other.
#[derive(Clone, Copy)]
struct Bounds {
    letter_bytes: u64,
    bytes_max: u64,
}

impl Bounds {
    /// What is kept is at most the bound, and once letters were forgotten at least half of it, but for so many bytes
    /// of a letter that room was made for, and that is not there yet. Says whether letters were forgotten.
    fn check(
        self,
        dispatcher: &QueueEventDispatcher,
        queue: &SpoolQueue<LogEvent>,
        on_their_way: u64,
    ) -> bool {
        let Self { letter_bytes, bytes_max } = self;
        // In this order: what is forgotten between the two has been kept.
        let is_full = dispatcher.dead_letters_forgotten() > 0;
        let kept = queue.spool().dead().len().unwrap() * letter_bytes;
        assert!(kept <= bytes_max, "{self}: {kept} bytes are kept");
        assert!(!is_full || kept + on_their_way >= bytes_max / 2, "{self}: {kept} bytes are kept");
        is_full
    }

    /// Buries so many letters one by one, and looks between any two, as well as at any time in between.
    fn bury(self, dispatcher: &QueueEventDispatcher, queue: &SpoolQueue<LogEvent>, letters: u64) -> bool {
        let letter =
            LogEvent::opaque("http://x/v1/events", vec![b'x'; usize::try_from(self.letter_bytes).unwrap()]);
        std::thread::scope(|scope| {
            let (_working, done) = mpsc::sync_channel::<()>(1);
            scope.spawn(move || {
                while done.recv_timeout(Duration::from_micros(100)) == Err(RecvTimeoutError::Timeout) {
                    self.check(dispatcher, queue, self.letter_bytes);
                }
            });
            (0..letters).fold(false, |_, _| {
                bury(dispatcher, &letter);
                self.check(dispatcher, queue, 0)
            })
        })
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.letter_bytes, self.bytes_max)
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
        let bounds = Bounds { letter_bytes, bytes_max };
        let disk = MemoryFilesystem::new();
        let (dispatcher, queue) = open(&disk, bytes_max);
        let letters = tenths * bytes_max / (10 * letter_bytes);
        assert!(bounds.bury(&dispatcher, &queue, letters), "{bounds}: none was forgotten");
        let (kept, forgotten) = (queue.spool().dead().len().unwrap(), dispatcher.dead_letters_forgotten());
        assert_eq!(kept + forgotten, letters, "{bounds}");
        drop((dispatcher, queue));
        // The next process knows as much, and forgets no more.
        let (dispatcher, queue) = open(&disk, bytes_max);
        bounds.bury(&dispatcher, &queue, 20);
        assert!(queue.spool().dead().len().unwrap() * letter_bytes >= bytes_max / 2, "{bounds}");
    }
}
