//! Dispatchers of your own: one that wraps another and keeps a record, and one that is a plain function over plain
//! sockets. A dispatcher sends once; delivery does the waiting, the retries and the halving.
//!
//! ```sh
//! cargo run -p posthaste --example custom_dispatcher
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod support;

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, Dispatcher, HttpEventDispatcher, LogEvent, UserContext,
    dispatch::{Answer, DispatchError, DispatchFuture, EndPoint, FlushFuture, Response, from_fn},
};

/// Sends through another dispatcher, and writes down each answer: an audit log.
#[derive(Debug)]
struct Audited<D> {
    inner: D,
    log: Arc<Mutex<Vec<String>>>,
}

impl<D: Dispatcher> Dispatcher for Audited<D> {
    /// Called on the delivery thread: what takes time belongs into the future, which must not block.
    fn dispatch_event(&self, event: LogEvent) -> DispatchFuture {
        let (events, log) = (event.events(), Arc::clone(&self.log));
        let answer = self.inner.dispatch_event(event);
        Box::pin(async move {
            let answer = answer.await;
            let said = match &answer {
                Ok(response) => format!("{events} events: status {}", response.status),
                Err(error) => format!("{events} events: {error}"),
            };
            if let Ok(mut log) = log.lock() {
                log.push(said);
            }
            // The answer goes on as it came: it decides whether the events have arrived.
            answer
        })
    }

    /// A dispatcher that wraps another passes this on, or what the other has queued is left when a processor closes.
    fn flush(&self, within: Duration) -> FlushFuture {
        self.inner.flush(within)
    }
}

/// Sends one request over a connection of its own. It may block, since `from_fn` runs it on a thread for that. Every
/// way to fail has its name: what cannot connect and what broke off are sent again.
fn post(event: &LogEvent) -> Answer {
    let address = EndPoint::check(event.end_point())?.address();
    let mut stream = TcpStream::connect(&address)
        .map_err(|error| DispatchError::Connect(format!("{address}: {error}")))?;
    exchange(&mut stream, &address, event).map_err(|error| DispatchError::Lost(format!("{address}: {error}")))
}

fn exchange(stream: &mut TcpStream, host: &str, event: &LogEvent) -> io::Result<Response> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = event.body().len();
    write!(
        stream,
        "POST /v1/events HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )?;
    stream.write_all(event.body())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.map(|status| Response::status(status).with_text(text)).ok_or(io::ErrorKind::InvalidData.into())
}

fn main() -> support::Ended {
    let api = support::LocalApi::start()?;
    let log = Arc::default();
    let audited = Audited { inner: HttpEventDispatcher::new()?, log: Arc::clone(&log) };
    report_25_events(audited, &api.end_point())?;
    report_25_events(from_fn(|event| post(&event)), &api.end_point())?;

    let log = log.lock().map_err(|_| "the log is poisoned")?;
    println!("{}", log.join("\n"));
    assert_eq!(*log, ["10 events: status 204", "10 events: status 204", "5 events: status 204"]);
    assert_eq!(api.stop()?.len(), 50);
    Ok(())
}

fn report_25_events(dispatcher: impl Dispatcher + 'static, end_point: &str) -> support::Ended {
    let config = support::larkspur()?;
    let builder = BatchEventProcessor::builder().event_dispatcher(dispatcher).event_end_point(end_point);
    // One request at a time, so that the log has an order.
    let processor = builder.in_flight(1).build()?;
    for n in 0..25 {
        let user = UserContext::new(format!("visitor-{n}"));
        processor.process_event(config.impression("checkout_button", "control", &user)?)?.forget();
    }
    let report = processor.close(Duration::from_secs(10)).wait();
    if report.is_complete() { Ok(()) } else { Err(report.to_string().into()) }
}
