//! A web service that reports events, and ends without losing one: first the server stops, then the processor closes,
//! then the report says whether anything is left.
//!
//! ```sh
//! cargo run -p posthaste --example axum_service
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use posthaste::{BatchEventProcessor, NO_TAGS, ProjectConfig, UserContext};
use serde::Deserialize;
use tokio::{
    net::{TcpListener, UnixStream},
    sync::oneshot,
};

/// What every handler sees.
struct Shop {
    config: ProjectConfig,
    processor: BatchEventProcessor,
}

/// The body of `POST /purchases/{visitor}`.
#[derive(Deserialize)]
struct Purchase {
    cents: u64,
}

fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/checkout/{visitor}", get(checkout))
        .route("/purchases/{visitor}", post(purchase))
        .route("/health", get(health))
        .with_state(shop)
}

/// The visitor sees a variation. An event that cannot be reported is no reason to show no page.
async fn checkout(State(shop): State<Arc<Shop>>, Path(visitor): Path<String>) -> &'static str {
    let user = UserContext::new(visitor);
    match shop.config.impression("checkout_button", "control", &user) {
        Ok(event) => match shop.processor.process_event(event) {
            Ok(receipt) => receipt.forget(),
            // `refused.item` is the event. Refusals are counted: `posthaste_events_refused_total`.
            Err(refused) => tracing::warn!(%refused, "an impression is not counted"),
        },
        Err(error) => tracing::error!(%error, "the datafile does not fit this program"),
    }
    "a page with a button"
}

/// The visitor buys something. Here the caller wants to know, so they are asked to come again.
async fn purchase(
    State(shop): State<Arc<Shop>>,
    Path(visitor): Path<String>,
    Json(Purchase { cents }): Json<Purchase>,
) -> Result<StatusCode, (StatusCode, String)> {
    let user = UserContext::new(visitor);
    let unavailable = |error: String| (StatusCode::SERVICE_UNAVAILABLE, error);
    let started = shop.config.conversion("checkout_started", &user, NO_TAGS);
    let bought = shop.config.conversion("purchase", &user, [("revenue", cents)]);
    for event in [started, bought] {
        let event = event.map_err(|error| unavailable(error.to_string()))?;
        let receipt =
            shop.processor.process_event(event).map_err(|refused| unavailable(refused.to_string()))?;
        // With a queue on disk, this waits until the event is there.
        receipt.await.map_err(|refusal| unavailable(refusal.to_string()))?;
    }
    Ok(StatusCode::ACCEPTED)
}

/// For a readiness probe: whether events get through, and if not, why.
async fn health(State(shop): State<Arc<Shop>>) -> (StatusCode, String) {
    let health = shop.processor.health();
    let status = if health.is_working() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.to_string())
}

/// Resolves when the service is to stop: Ctrl-C, SIGTERM, or the example's visitors have gone.
async fn told_to_stop(signals: UnixStream, visitors_are_gone: oneshot::Receiver<()>) {
    tokio::select! {
        _ = signals.readable() => {}
        _ = visitors_are_gone => {}
    }
}

/// A socket that becomes readable with the first signal to stop.
fn signals() -> std::io::Result<UnixStream> {
    let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, writer.try_clone()?)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, writer)?;
    UnixStream::from_std(reader)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> support::Ended {
    let api = support::LocalApi::start()?;
    let processor = BatchEventProcessor::builder().event_end_point(api.end_point()).name("shop").build()?;
    let shop = Arc::new(Shop { config: support::larkspur()?, processor });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (gone, visitors_are_gone) = oneshot::channel();
    let visitors = thread::spawn(move || {
        let answers = visit(address);
        // The server may have been stopped already.
        let _ = gone.send(());
        answers
    });
    axum::serve(listener, router(Arc::clone(&shop)))
        .with_graceful_shutdown(told_to_stop(signals()?, visitors_are_gone))
        .await?;

    // No handler runs any more, so nothing is added any more. Close before `main` returns: drop waits only five
    // seconds.
    let report = shop.processor.close(Duration::from_secs(10)).await;
    println!("{report}");
    if !report.is_complete() {
        return Err(format!("{} events are left: {:?}", report.left, report.reasons).into());
    }

    let statuses = visitors.join().map_err(|_| "the visitors panicked")??;
    assert_eq!(statuses, [[200, 202]; 20].concat().into_iter().chain([200]).collect::<Vec<u16>>());
    let good = api.stop()?;
    let revenue: i64 = good.iter().filter_map(|event| event.revenue).sum();
    assert_eq!((good.len(), revenue, report.delivered), (60, 20 * 4_200, 60));
    Ok(())
}

/// Twenty visitors see the page and buy something; then somebody asks how the service is.
fn visit(address: SocketAddr) -> std::io::Result<Vec<u16>> {
    let mut statuses = Vec::new();
    for n in 0..20 {
        statuses.push(ask(address, &format!("GET /checkout/visitor-{n}"), "")?);
        statuses.push(ask(address, &format!("POST /purchases/visitor-{n}"), r#"{"cents":4200}"#)?);
    }
    statuses.push(ask(address, "GET /health", "")?);
    Ok(statuses)
}

/// One request over a connection of its own: the status of its answer.
fn ask(address: SocketAddr, what: &str, body: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default())
}
