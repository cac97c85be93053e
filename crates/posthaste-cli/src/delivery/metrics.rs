//! The library's metrics for Prometheus, at `/metrics`, while a run lasts.

use std::net::{SocketAddr, TcpListener};

use axum::{Router, routing::get};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinSet;

use crate::common::{exit::Failure, output::Output};

/// Counts from the moment it listens.
pub(crate) struct Exporter {
    listener: TcpListener,
    recorder: PrometheusHandle,
}

impl Exporter {
    pub(crate) fn listen(address: SocketAddr) -> Result<Self, Failure> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|source| Failure::Listen { address, source })?;
        let recorder = PrometheusBuilder::new().install_recorder().map_err(std::io::Error::other)?;
        Ok(Self { listener, recorder })
    }

    /// Serves until what it returns is dropped.
    pub(crate) fn serve(self, output: &Output) -> Result<JoinSet<()>, Failure> {
        let address = self.listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let recorder = self.recorder;
        let render = move || async move {
            recorder.run_upkeep();
            recorder.render()
        };
        let router = Router::new().route("/metrics", get(render));
        let mut serving = JoinSet::new();
        // Serving metrics ends with the run; whether it went well is no part of the result.
        serving.spawn(async move { drop(axum::serve(listener, router).await) });
        output.note(format_args!("metrics at http://{address}/metrics"));
        Ok(serving)
    }
}
