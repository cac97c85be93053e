//! How fast events are delivered, and at what cost of processor and memory: made, queued, batched, sent, confirmed.

use std::time::Duration;

use posthaste::{BatchEventProcessor, WhenFull};

use crate::{
    enqueue::Maker,
    process::{Server, Stopwatch, memory},
};

pub(crate) struct Delivered {
    pub(crate) events_per_second: f64,
    pub(crate) cpu_seconds_per_million: f64,
    pub(crate) peak_bytes: u64,
}

/// Offers `events` as fast as the queue takes them, and waits until the last is confirmed.
pub(crate) fn measure(
    events: usize,
    batch: usize,
    in_flight: usize,
    delay_ms: u64,
) -> std::io::Result<Delivered> {
    let server = Server::start(delay_ms)?;
    let processor = BatchEventProcessor::builder()
        .event_end_point(server.url.clone())
        .batch_size(batch)
        .queue_size(batch * in_flight * 4)
        .in_flight(in_flight)
        .when_full(WhenFull::Block(Duration::from_secs(60)))
        .build()
        .map_err(std::io::Error::other)?;
    let maker = Maker::new();
    let watch = Stopwatch::start();
    for n in 0..events {
        processor.process_event(maker.make(n)).map_err(std::io::Error::other)?.forget();
    }
    let report = processor.close(Duration::from_secs(600)).wait();
    let (wall, cpu) = (watch.wall(), watch.cpu());
    if report.delivered != events as u64 {
        return Err(std::io::Error::other(format!("not all was delivered: {report:?}")));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let count = events as f64;
    Ok(Delivered {
        events_per_second: count / wall.as_secs_f64(),
        cpu_seconds_per_million: cpu.as_secs_f64() / count * 1e6,
        peak_bytes: memory("VmHWM:"),
    })
}
