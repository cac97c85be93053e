//! A relay with a large backlog on its disk: soon there, small while it drains, and nothing is lost.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use posthaste::{
    Clock, LogEvent, SpoolQueue, SystemClock,
    queue::{Durability, Queue, SpoolOptions},
};

use crate::{
    relay_process::{MIB, RelayProcess, body, say, uuids},
    support::{Files, LONG, Server},
};

/// What an SDK's request takes.
const BODY_BYTES: usize = 2_000;

/// As large as the machine's time allows; by hand 10 GB, in a release build.
fn backlog_bytes() -> usize {
    std::env::var("POSTHASTE_BACKLOG_BYTES").map_or(200_000_000, |bytes| bytes.parse().unwrap())
}

/// What a relay that is gone has left. Returns how many events that is.
fn leave(data: &Path, url: &str) -> usize {
    let spool = data.join("tenants/default/spool");
    std::fs::create_dir_all(&spool).unwrap();
    let options = SpoolOptions::default().durability(Durability::Os).size_bytes_max(64 << 30);
    let queue = SpoolQueue::<LogEvent>::open(spool, options).unwrap();
    let (count, url): (_, Arc<str>) = (backlog_bytes() / BODY_BYTES, url.into());
    for number in 0..count {
        let request = LogEvent::from_body(Arc::clone(&url), body(&number.to_string(), BODY_BYTES)).unwrap();
        let mut request = request.with_taken_ms(SystemClock.now_ms());
        while let Err(refused) = queue.add(request) {
            assert!(refused.reason.is_full(), "{}", refused.reason);
            request = refused.item;
            thread::sleep(Duration::from_millis(1));
        }
    }
    queue.spool().close(LONG).unwrap();
    count
}

/// An upstream that counts how often each number came.
struct Counts {
    server: Server,
    times: Arc<Vec<AtomicU8>>,
    seen: Arc<AtomicUsize>,
    first_at: Arc<Mutex<Option<Duration>>>,
}

impl Counts {
    fn start(count: usize) -> Self {
        let times: Arc<Vec<AtomicU8>> = Arc::new((0..count).map(|_| AtomicU8::new(0)).collect());
        let (seen, first_at) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Option<Duration>>>::default());
        let (counted, number, at) = (Arc::clone(&times), Arc::clone(&seen), Arc::clone(&first_at));
        let server = Server::start(false, move |body| {
            at.lock().unwrap().get_or_insert(SystemClock.elapsed());
            for uuid in uuids(body) {
                if counted[uuid.parse::<usize>().unwrap()].fetch_add(1, SeqCst) == 0 {
                    number.fetch_add(1, SeqCst);
                }
            }
            204
        });
        Self { server, times, seen, first_at }
    }

    fn seen(&self) -> usize {
        self.seen.load(SeqCst)
    }
}

/// What a backlog of any size may take of memory.
const BACKLOG_BYTES_MAX: u64 = 44 * MIB;

#[test]
fn a_backlog_is_opened_at_once_and_drained_in_little_memory() {
    let count = backlog_bytes() / BODY_BYTES;
    let (files, sink) = (Files::new(), Counts::start(count));
    let empty = files.path("empty");
    let of_nothing = RelayProcess::start(&["--upstream", &sink.server.url, "--data", &empty], &[]);
    let (empty_start, empty_read) = (of_nothing.started_in, of_nothing.bytes_read());
    // Most of that is the program itself, which is large in a build for tests.
    let idle = of_nothing.resident_most();
    of_nothing.stop();
    let data = files.path("data");
    assert_eq!(leave(Path::new(&data), &sink.server.url), count);
    let args = ["--upstream", &sink.server.url, "--data", &data];

    // As it comes, for a while, and killed in the middle; then as fast as it goes.
    let (mut most, mut before) = (0, 0);
    for (rate, enough) in [(None, count / 10), (Some(("FORWARD_DRAIN_RATE", "none")), count)] {
        *sink.first_at.lock().unwrap() = None;
        let began = SystemClock.elapsed();
        let relay = RelayProcess::start(&args, rate.as_slice());
        let (started_in, read) = (relay.started_in, relay.bytes_read());
        assert!(relay.found + before as u64 + 20_000 >= count as u64, "{} were found", relay.found);
        let mut stuck = (sink.seen(), SystemClock.elapsed());
        while sink.seen() < enough {
            thread::sleep(Duration::from_millis(20));
            most = most.max(relay.resident());
            if sink.seen() > stuck.0 {
                stuck = (sink.seen(), SystemClock.elapsed());
            }
            assert!(SystemClock.elapsed() < stuck.1 + LONG, "{} of {count} have come", sink.seen());
        }
        let took = SystemClock.elapsed().saturating_sub(began);
        let first = sink.first_at.lock().unwrap().unwrap().saturating_sub(began);
        say(&format!(
            "{} MB, drain rate {}: listens after {started_in:?} (with nothing {empty_start:?}), {read} bytes read by then \
             ({empty_read}); first delivery after {first:?}; {} events in {took:?}; {} MiB resident at most",
            backlog_bytes() / 1_000_000,
            rate.map_or("by default", |(_, rate)| rate),
            sink.seen() - before,
            relay.resident_most() / MIB,
        ));
        most = most.max(relay.resident_most());
        before = sink.seen();
        // Delivery begins before it listens, and reads on.
        assert!(read < empty_read + 100 * MIB, "{read} bytes were read");
        assert!(
            started_in < empty_start * 20 + Duration::from_millis(200),
            "{started_in:?}, {empty_start:?}"
        );
        if enough < count {
            relay.kill();
        } else {
            assert_eq!(relay.stop(), Some(0));
        }
    }
    assert!(most <= idle + BACKLOG_BYTES_MAX, "{most} bytes resident, {idle} with nothing");
    let lost = sink.times.iter().filter(|times| times.load(SeqCst) == 0).count();
    assert_eq!(lost, 0, "of {count}");
}
