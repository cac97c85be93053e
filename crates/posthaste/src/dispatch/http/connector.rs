//! How a connection comes about: straight or through a proxy; then TLS where the address says so.
//!
//! Plain HTTP goes through an HTTP proxy's tunnel too, so that a proxy sees bytes, and no request of ours.

use std::{
    future::{Future, Ready, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{
            HttpConnector,
            proxy::{SocksV4, SocksV5, Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower_service::Service;

use super::{proxy::Proxies, said};
use crate::dispatch::HttpSetupError;

pub(super) type Connector = HttpsConnector<Connect>;

/// To the end point, or to the proxy in front of it: TLS here is what an `https` proxy is spoken to with.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn new(connect_timeout: Duration, proxies: Proxies) -> Result<Connector, HttpSetupError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Shared out among a host's addresses, so that one that is dead leaves time for the others.
    tcp.set_connect_timeout(Some(connect_timeout));
    let roots = || HttpsConnectorBuilder::new().with_native_roots().map_err(HttpSetupError::Roots);
    let to_proxies = || Ok(roots()?.https_only().enable_http1().wrap_connector(tcp.clone()));
    let tls = proxies.are_encrypted.then(to_proxies).transpose()?;
    let connect = Connect { tcp, tls, proxies: Arc::new(proxies.matcher), timeout: connect_timeout };
    Ok(roots()?.https_or_http().enable_all_versions().wrap_connector(connect))
}

/// Connects straight, or through the proxy that is meant for the address.
#[derive(Debug, Clone)]
pub(super) struct Connect {
    tcp: HttpConnector,
    /// To proxies that are spoken to over TLS, where there are any.
    tls: Option<HttpsConnector<HttpConnector>>,
    proxies: Arc<Matcher>,
    timeout: Duration,
}

impl Service<Uri> for Connect {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connect, within) = (self.clone(), self.timeout);
        let proxy = self.proxies.intercept(&to);
        Box::pin(async move {
            let through = proxy.as_ref().map_or_else(String::new, name);
            let error: BoxError = match tokio::time::timeout(within, connect.connect(to, proxy)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error,
                Err(_) => format!("not within {within:?}").into(),
            };
            Err(format!("{through}{}", said(&*error)).into())
        })
    }
}

/// How errors name a proxy: without its password, which the matcher keeps elsewhere.
fn name(proxy: &Intercept) -> String {
    proxy.uri().authority().map_or_else(String::new, |address| format!("through the proxy {address}: "))
}

impl Connect {
    async fn connect(mut self, to: Uri, proxy: Option<Intercept>) -> Result<Stream, BoxError> {
        let Some(proxy) = proxy else {
            return Ok(self.tcp.call(to).await?.into());
        };
        let mut failed: BoxError = "it has no address that the proxy could be given".into();
        for place in places(&proxy, &to).await? {
            match self.through(&proxy, place).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn through(&mut self, proxy: &Intercept, to: Uri) -> Result<Stream, BoxError> {
        let reached = Reached(Some(self.reach(proxy.uri()).await?));
        let uri = proxy.uri().clone();
        match proxy.uri().scheme_str() {
            Some("socks4" | "socks4a") => Ok(SocksV4::new(uri, reached).call(to).await?),
            Some("socks5" | "socks5h") => {
                let mut socks = SocksV5::new(uri, reached);
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                Ok(socks.call(to).await?)
            }
            _ => {
                let mut tunnel = Tunnel::new(uri, reached);
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                Ok(tunnel.call(to).await?)
            }
        }
    }

    /// A connection to the proxy itself.
    async fn reach(&mut self, proxy: &Uri) -> Result<Stream, BoxError> {
        match &mut self.tls {
            Some(tls) if proxy.scheme_str() == Some("https") => tls.call(proxy.clone()).await,
            _ => Ok(self.tcp.call(proxy.clone()).await?.into()),
        }
    }
}

/// What the proxy is asked to connect to, one after the other until one works: the host's name, or its addresses where
/// the proxy is not to resolve it.
async fn places(proxy: &Intercept, to: &Uri) -> Result<Vec<Uri>, BoxError> {
    let default = if to.scheme_str() == Some("https") { 443 } else { 80 };
    let (host, port) = (to.host().unwrap_or_default(), to.port_u16().unwrap_or(default));
    let is_taken = |address: &SocketAddr| match proxy.uri().scheme_str() {
        Some("socks4") => address.is_ipv4(),
        _ => true,
    };
    if !matches!(proxy.uri().scheme_str(), Some("socks4" | "socks5")) {
        return Ok(vec![uri(format!("{host}:{port}"))?]);
    }
    // hyper-util's proxies could resolve too, but block their thread while they do.
    let addresses = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await?;
    addresses.filter(is_taken).map(|address| uri(address.to_string())).collect()
}

/// With a port, always: hyper-util's proxies take 443 for one that is not there, whatever the scheme.
fn uri(authority: String) -> Result<Uri, BoxError> {
    Ok(Uri::builder().scheme("http").authority(authority).path_and_query("/").build()?)
}

/// A connection that is there already, for a handshake that wants to make one itself: that would lose why it failed.
struct Reached(Option<Stream>);

impl Service<Uri> for Reached {
    type Response = Stream;
    type Error = io::Error;
    type Future = Ready<io::Result<Stream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::client::proxy::matcher::Matcher;

    use super::*;

    /// SOCKS 4 knows IPv4 alone.
    #[tokio::test]
    async fn a_proxy_is_asked_only_for_addresses_that_it_knows() {
        let to = Uri::from_static("http://[::1]:9/");
        for (proxy, asked) in
            [("socks4://p:1", None), ("socks5://p:1", Some("[::1]:9")), ("socks5h://p:1", Some("[::1]:9"))]
        {
            let proxy = Matcher::builder().all(proxy).build().intercept(&to).unwrap();
            let places = places(&proxy, &to).await.unwrap();
            let places: Vec<_> = places.iter().filter_map(|place| place.authority()).collect();
            assert_eq!(places.iter().map(|place| place.as_str()).collect::<Vec<_>>(), Vec::from_iter(asked));
        }
    }
}
