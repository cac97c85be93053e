//! A client with a pace of its own: requests begin at fixed times, so that a server that stalls does not slow its
//! questions down, and each is measured from the time at which it was to begin.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Uri};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{task::JoinSet, time::Instant};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to.
    url: Uri,
    /// Requests a second.
    rate: u32,
    /// For so long.
    seconds: u32,
    /// The file with the body.
    body: std::path::PathBuf,
}

pub(crate) async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let body = Bytes::from(std::fs::read(&args.body)?);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let took = Arc::new(Mutex::new(Vec::new()));
    let (start, total) = (Instant::now(), args.rate * args.seconds);
    let mut sending = JoinSet::new();
    for number in 0..total {
        let due = start + Duration::from_secs(1) * number / args.rate;
        tokio::time::sleep_until(due).await;
        let request = Request::post(args.url.clone())
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))?;
        let (client, took) = (client.clone(), Arc::clone(&took));
        sending.spawn(async move {
            let Ok(answer) = client.request(request).await else { return };
            let is_taken = answer.status() == 204;
            drop(answer.into_body().collect().await);
            if is_taken {
                took.lock().expect("nobody panics with it").push(due.elapsed());
            }
        });
        while sending.try_join_next().is_some() {}
    }
    sending.join_all().await;
    let mut took = took.lock().expect("nobody panics with it").clone();
    took.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a few million"
        )]
        let place = (took.len() as f64 * share) as usize;
        took.get(place.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    {
        println!("{} of {total} p50 {:.2} p99 {:.2}", took.len(), millis(at(0.5)), millis(at(0.99)));
    }
    Ok(())
}
