//! What it costs a program to make an event and to hand it over, and what a queued event costs in memory. Nothing is
//! delivered meanwhile: the dispatcher never answers.

use std::{
    io::{Error, Result},
    thread,
    time::Duration,
};

use posthaste::{BatchEventProcessor, Dispatcher, LogEvent, dispatch::DispatchFuture};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    process::{Figures, Stopwatch, figures, memory, real},
    work::{Files, Maker},
};

/// How often memory that the process already has is filled again, each time with a twentieth of the events.
const ROUNDS: usize = 10;
const PART: usize = 20;

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    files: Files,
    /// How many events.
    #[arg(long)]
    count: usize,
    /// How many threads make them.
    #[arg(long)]
    threads: usize,
}

#[derive(Debug)]
struct Never;

impl Dispatcher for Never {
    fn dispatch_event(&self, _event: LogEvent) -> DispatchFuture {
        Box::pin(std::future::pending())
    }
}

/// Wall-clock and processor time for each event of each thread, and resident memory for each that waits.
pub(crate) fn measure(arguments: &Arguments) -> Result<Figures> {
    let &Arguments { ref files, count, threads } = arguments;
    let processor = BatchEventProcessor::builder()
        .event_dispatcher(Never)
        // What delivery has leased cannot be removed, and it may lease all while no answer comes.
        .queue_size(count * 2)
        .flush_interval(Duration::from_secs(3_600))
        .in_flight(1)
        .drop_deadline(Duration::ZERO)
        .build()
        .map_err(Error::other)?;
    let maker = Maker::new(files)?;
    let before = memory("VmRSS:");
    let (wall_new, _) = fill(&processor, &maker, count, threads)?;
    let mib = real(memory("VmRSS:").saturating_sub(before)) / 1_048_576.0 / real(count as u64) * 1e6;
    drop(processor.remove(count));
    let (mut wall, mut cpu) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        let round = fill(&processor, &maker, count / PART, threads)?;
        (wall, cpu) = (wall + round.0, cpu + round.1);
        drop(processor.remove(count));
    }
    let rounds = real(ROUNDS as u64);
    Ok(figures([
        ("ns", wall / rounds),
        ("ns_new_memory", wall_new),
        ("cpu_ns", cpu / rounds),
        ("mib_per_million", mib),
    ]))
}

/// Nanoseconds for each event of a thread: wall-clock, and processor time of that thread.
fn fill(processor: &BatchEventProcessor, maker: &Maker, count: usize, threads: usize) -> Result<(f64, f64)> {
    let watch = Stopwatch::start();
    let own = || {
        let before = thread_cpu();
        for n in 0..count / threads {
            processor.process_event(maker.make(n)).map_err(Error::other)?.forget();
        }
        Ok(thread_cpu().saturating_sub(before))
    };
    let cpus: Result<Vec<Duration>> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(own)).collect();
        running.into_iter().map(|thread| thread.join().expect("it returns its errors")).collect()
    });
    let (wall, cpu) = (watch.wall(), cpus?.iter().sum::<Duration>());
    let each = real((count / threads) as u64);
    Ok((wall.as_secs_f64() * 1e9 / each, cpu.as_secs_f64() * 1e9 / each / real(threads as u64)))
}

/// What the calling thread has had of a processor: to the nanosecond, where /proc's schedstat lags by a tick.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
