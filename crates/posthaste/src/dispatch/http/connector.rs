//! How a connection comes about: straight, or through a proxy that the environment names; then TLS where the address
//! says so.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::dispatch::HttpSetupError;

pub(super) type Connector = HttpsConnector<MaybeProxy>;

pub(super) fn new(connect_timeout: Duration) -> Result<Connector, HttpSetupError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    let connector = MaybeProxy { tcp, proxies: Arc::new(Matcher::from_env()), connect_timeout };
    Ok(HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(HttpSetupError::Roots)?
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(connector))
}

/// Connects straight, or asks a proxy for a tunnel (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either
/// case). Plain HTTP goes through a tunnel too: what the proxy sees is bytes.
#[derive(Debug, Clone)]
pub(super) struct MaybeProxy {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
    connect_timeout: Duration,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for MaybeProxy {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(proxy) = self.proxies.intercept(&to) else {
            let connecting = self.tcp.call(to);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let connecting = tokio::time::timeout(self.connect_timeout, tunnel.call(to));
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => Ok(connected?),
                Err(_) => Err("the proxy did not answer in time".into()),
            }
        })
    }
}
