//! What tests of bad company need: dispatchers of a closure, and the time that something takes.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use posthaste::{
    Clock, Dispatcher, Driver, LogEvent, SpoolQueue, SystemClock,
    dispatch::{Answer, DispatchFuture, Response},
    queue::{Eventually, SpoolItem},
};
use posthaste_spool::{MemoryFilesystem, Spool, SpoolOptions};

/// A dispatcher that does what its closure does, on the delivery thread.
pub(crate) struct By<F>(F);

impl<F: Fn(LogEvent) -> DispatchFuture + Send + Sync> Dispatcher for By<F> {
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        (self.0)(event)
    }
}

impl<F> fmt::Debug for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("By")
    }
}

/// Does this with each request.
pub(crate) fn by(send: impl Fn(LogEvent) -> DispatchFuture + Send + Sync + 'static) -> impl Dispatcher {
    By(send)
}

/// Answers each request after some time.
pub(crate) fn after(
    answer: impl Fn(&LogEvent) -> (Duration, Answer) + Send + Sync + 'static,
) -> impl Dispatcher {
    by(move |event| {
        let (delay, answer) = answer(&event);
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            answer
        })
    })
}

pub(crate) fn ok() -> Answer {
    Ok(Response::status(204))
}

/// Whoever passes it is blocked for as long as the other half lives.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Mutex<Receiver<()>>>);

impl Gate {
    pub(crate) fn new() -> (SyncSender<()>, Self) {
        let (open, closed) = sync_channel(0);
        (open, Self(Arc::new(Mutex::new(closed))))
    }

    pub(crate) fn pass(&self) {
        assert!(self.0.lock().unwrap().recv().is_err(), "nothing is sent");
    }
}

/// How a test waits: each of these is a place that programs call from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    NoRuntime,
    CurrentThread,
    MultiThread,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::NoRuntime, Self::CurrentThread, Self::MultiThread];

    /// Runs a future here.
    pub(crate) fn run<R>(self, work: impl Future<Output = R> + Send + 'static) -> R {
        let mut builder = match self {
            Self::NoRuntime => return Eventually::Later(Box::pin(work)).wait(),
            Self::CurrentThread => tokio::runtime::Builder::new_current_thread(),
            Self::MultiThread => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.worker_threads(1).enable_all().build().unwrap().block_on(work)
    }
}

/// What this gives, and that it took at most a second longer than it may; a call that never ends fails too. What the machine
/// itself was late meanwhile is nobody's fault.
pub(crate) fn within<R: Send + 'static>(
    name: &str,
    may_take: Duration,
    work: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, result) = sync_channel(1);
    let begun = SystemClock.elapsed();
    thread::spawn(move || drop(done.send(work())));
    let mut bound = may_take + Duration::from_secs(1);
    loop {
        let tick = SystemClock.elapsed();
        let result = result.recv_timeout(TICK);
        bound += SystemClock.elapsed().saturating_sub(tick + TICK);
        let took = SystemClock.elapsed().saturating_sub(begun);
        match result {
            Ok(result) => {
                assert!(took <= bound, "{name}: took {took:?}, and {may_take:?} was asked for");
                return result;
            }
            // Far more than the bound, so that what is late is told apart from what hangs.
            Err(RecvTimeoutError::Timeout) => assert!(took < bound * 10, "{name}: no end after {took:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("{name}: panicked"),
        }
    }
}

/// How often a wait looks at how late the machine is.
const TICK: Duration = Duration::from_millis(20);

/// Does this for each case, many at once: they mostly wait.
pub(crate) fn for_each<C: Send>(cases: impl IntoIterator<Item = C>, check: impl Fn(C) + Sync) {
    let mut cases = cases.into_iter().peekable();
    while cases.peek().is_some() {
        thread::scope(|scope| {
            let check = &check;
            let some = cases.by_ref().take(AT_ONCE);
            let threads: Vec<_> = some.map(|case| scope.spawn(move || check(case))).collect();
            let failed = threads.into_iter().filter_map(|thread| thread.join().err()).count();
            assert_eq!(failed, 0, "cases failed; see above");
        });
    }
}

/// Some of them keep a core busy for a while.
const AT_ONCE: usize = 12;

/// A queue on a disk in memory, and what writes for it.
pub(crate) fn spool<T: SpoolItem>(options: SpoolOptions) -> (SpoolQueue<T>, Driver) {
    spool_on(MemoryFilesystem::new(), options)
}

/// The same on this disk.
pub(crate) fn spool_on<T: SpoolItem>(
    disk: MemoryFilesystem,
    options: SpoolOptions,
) -> (SpoolQueue<T>, Driver) {
    let (spool, turns) = Spool::open_by_hand(Arc::new(disk), "/spool", options).unwrap();
    let run = Box::pin(async move {
        loop {
            turns.turn(SystemClock.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (SpoolQueue::over(spool), run)
}
