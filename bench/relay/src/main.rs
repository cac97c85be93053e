//! What the relay is measured against and with: an empty handler, an upstream, and a client that keeps a pace.
//!
//! `bench/relay/run` starts these and the relay, and writes the table.

mod pace;

use std::net::SocketAddr;

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use clap::Parser;
use tokio::net::TcpListener;

#[derive(Parser)]
enum Part {
    /// An axum handler that reads a body and does nothing else.
    Bare { listen: SocketAddr },
    /// An upstream that reads requests and answers each with this status.
    Upstream { listen: SocketAddr, status: u16 },
    /// A client that sends so many requests a second, whatever the answers take, and tells how long they took.
    Pace(pace::Args),
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Part::parse() {
        Part::Bare { listen } => serve(listen, StatusCode::NO_CONTENT).await,
        Part::Upstream { listen, status } => serve(listen, StatusCode::from_u16(status)?).await,
        Part::Pace(args) => pace::run(args).await,
    }
}

async fn serve(listen: SocketAddr, status: StatusCode) -> Result<(), Box<dyn std::error::Error>> {
    let answer = move |_body: Bytes| async move { status };
    let router = Router::new().route("/v1/events", post(answer));
    // As much as a full batch takes.
    let router = router.layer(axum::extract::DefaultBodyLimit::max(8 << 20));
    Ok(axum::serve(TcpListener::bind(listen).await?, router).await?)
}
