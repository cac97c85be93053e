//! A collector on a thread of its own, on any free port of this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread::JoinHandle,
};

use posthaste::ProjectConfig;
use posthaste_collector::{Collector, CollectorOptions};
use tokio::{net::TcpListener, sync::oneshot};

use crate::common::exit::Failure;

#[derive(Debug)]
pub(super) struct Server {
    collector: Collector,
    url: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    pub(super) fn start(config: ProjectConfig) -> Result<Self, Failure> {
        let collector = Collector::new(CollectorOptions { config: Some(config), ..Default::default() });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| Failure::Listen { address, source })?;
        let url = format!("http://{}/v1/events", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = collector.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { TcpListener::from_std(listener) })?;
        let thread = std::thread::Builder::new().name("collector".to_owned()).spawn(move || {
            // Events that do not arrive show in the books.
            drop(runtime.block_on(serving.serve(listener, async { drop(stopped.await) })));
        })?;
        Ok(Self { collector, url, stop, thread })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where what has arrived can be looked at.
    pub(super) fn page(&self) -> String {
        self.url.replace("/v1/events", "/")
    }

    pub(super) fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Stops serving; what has arrived stays.
    pub(super) fn stop(self) -> Collector {
        drop(self.stop);
        drop(self.thread.join());
        self.collector
    }
}
