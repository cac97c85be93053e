//! A collector's server, on a task of its own.

use std::{io, net::SocketAddr};

use posthaste_collector::{Collector, CollectorOptions};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use crate::common::exit::Failure;

/// A collector that takes requests.
#[derive(Debug)]
pub(super) struct Serving {
    address: SocketAddr,
    base: String,
    stop: oneshot::Sender<()>,
    task: JoinSet<io::Result<()>>,
}

impl Serving {
    /// Listens, and takes requests from then on.
    pub(super) async fn start(
        options: CollectorOptions,
        address: SocketAddr,
    ) -> Result<(Collector, Self), Failure> {
        let failed = |source| Failure::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        check_forward(&options, address)?;
        let base = options.base.to_string();
        let collector = Collector::new(options);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut task = JoinSet::new();
        let serving = collector.clone();
        task.spawn(async move { serving.serve(listener, async { drop(stopped.await) }).await });
        Ok((collector, Self { address, base, stop, task }))
    }

    /// Its own URL, without a slash at the end.
    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.base)
    }

    /// Where SDKs send to.
    pub(super) fn events_url(&self) -> String {
        format!("{}/v1/events", self.url())
    }

    /// Resolves only where it ends by itself, which is an error.
    pub(super) async fn fails(&mut self) -> Failure {
        match self.task.join_next().await {
            Some(Ok(Err(error))) => error.into(),
            _ => Failure::Refused("the server has ended by itself; start it again".to_owned()),
        }
    }

    /// Finishes the requests under way.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        drop(self.stop);
        match self.task.join_next().await {
            Some(Ok(Err(error))) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Refuses to pass on to itself.
fn check_forward(options: &CollectorOptions, address: SocketAddr) -> Result<(), Failure> {
    match &options.forward {
        Some(forward) if forward.end_point().leads_to(address) => Err(Failure::Refused(format!(
            "--forward {} is this collector itself, which listens at {address}: events would go round for ever; give \
             another URL, or listen elsewhere",
            forward.end_point().address()
        ))),
        _ => Ok(()),
    }
}
