//! How fast events are delivered, and at what cost of processor and memory: made, queued, batched, sent, confirmed.

use std::{
    io::{Error, Result},
    time::Duration,
};

use posthaste::{BatchEventProcessor, WhenFull};

use crate::{
    process::{Figures, Stopwatch, figures, memory, real},
    work::{Files, Maker},
};

#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    files: Files,
    /// Where to.
    #[arg(long)]
    url: String,
    /// How long events are offered.
    #[arg(long)]
    seconds: f64,
    /// Events of a request.
    #[arg(long)]
    batch: usize,
    /// Requests under way at most.
    #[arg(long)]
    in_flight: usize,
}

/// Events between two looks at the clock.
const CHUNK: usize = 64;

/// Offers events as fast as they are taken, and waits until the last is confirmed. A tenth of it goes before, uncounted.
pub(crate) fn measure(arguments: &Arguments) -> Result<Figures> {
    let maker = Maker::new(&arguments.files)?;
    deliver(arguments, &maker, arguments.seconds / 10.0)?;
    let watch = Stopwatch::start();
    let count = deliver(arguments, &maker, arguments.seconds)?;
    let (wall, cpu) = (watch.wall().as_secs_f64(), watch.cpu().as_secs_f64());
    Ok(figures([
        ("per_second", count / wall),
        ("cpu_s_per_million", cpu / count * 1e6),
        ("peak_mib", real(memory("VmHWM:")) / 1_048_576.0),
    ]))
}

/// How many events were delivered, all that were taken.
fn deliver(arguments: &Arguments, maker: &Maker, seconds: f64) -> Result<f64> {
    let &Arguments { ref url, batch, in_flight, .. } = arguments;
    let processor = BatchEventProcessor::builder()
        .event_end_point(url.clone())
        .batch_size(batch)
        .queue_size(batch * in_flight * 4)
        .in_flight(in_flight)
        .when_full(WhenFull::Block(Duration::from_secs(60)))
        .build()
        .map_err(Error::other)?;
    let watch = Stopwatch::start();
    let mut count = 0;
    while watch.wall().as_secs_f64() < seconds {
        for _ in 0..CHUNK {
            processor.process_event(maker.make(count)).map_err(Error::other)?.forget();
            count += 1;
        }
    }
    let report = processor.close(Duration::from_secs(600)).wait();
    if report.delivered == count as u64 {
        Ok(real(report.delivered))
    } else {
        Err(Error::other(format!("not all of {count} was delivered: {report:?}")))
    }
}
