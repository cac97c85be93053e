//! What an HTTP client is made of.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use parking_lot::Mutex;

use super::{
    HttpEventDispatcher, Inner, Strict, connector, plain::Connections, pool::Pool, proxy::ProxyChoice,
};
use crate::dispatch::HttpSetupError;

/// How long connecting may take: resolving, TCP and proxy; not TLS, which is part of the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take until the head of its answer has come, connecting included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Makes an [`HttpEventDispatcher`].
///
/// ```
/// use std::time::Duration;
/// use posthaste::{HttpEventDispatcher, Strict, dispatch::Share};
///
/// let dispatcher = HttpEventDispatcher::builder()
///     .request_timeout(Duration::from_secs(10))
///     .strict(Strict::Sampled(Share::new(0.01)?))
///     .header("authorization", "Bearer t0ken")
///     .no_proxy()
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct HttpEventDispatcherBuilder {
    connect_timeout: Duration,
    request_timeout: Duration,
    connection_age_max: Option<Duration>,
    strict: Strict,
    gzip: bool,
    headers: Vec<(String, String)>,
    proxy: ProxyChoice,
}

impl Default for HttpEventDispatcherBuilder {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            connection_age_max: None,
            strict: Strict::Off,
            gzip: false,
            headers: Vec::new(),
            proxy: ProxyChoice::Environment,
        }
    }
}

impl HttpEventDispatcherBuilder {
    /// How long connecting may take: resolving the host, TCP, and the way through a proxy. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take until its answer's status and headers have come, connecting included. They decide;
    /// the text that follows is read for a second at most, within what is left of this time. Default: 30 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long connections are used: after this time new ones are made, and the host's name is looked up anew. For a
    /// process that runs for months, since addresses change. Default: as long as they are there and not idle.
    pub fn connection_age_max(mut self, age: Duration) -> Self {
        self.connection_age_max = Some(age);
        self
    }

    /// Whether the API is asked to refuse bad events. Default: never.
    pub fn strict(mut self, strict: Strict) -> Self {
        self.strict = strict;
        self
    }

    /// Whether bodies of 1 KiB and more are compressed: for a relay. No official SDK does it, and whether the Event API
    /// itself takes it is not documented. Default: no.
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// A header that every request carries, such as a token for a relay. It replaces one of the same name.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The proxy that every request goes through, whatever the environment says:
    /// `scheme://user:password@host:port`, user name, password and port being optional.
    ///
    /// | scheme | spoken with the proxy | who resolves the end point's host |
    /// |---|---|---|
    /// | `http`, `https` | HTTP `CONNECT`, plain or over TLS | the proxy |
    /// | `socks5h` | SOCKS5 | the proxy |
    /// | `socks5` | SOCKS5 | this process |
    /// | `socks4a` | SOCKS4 with names, without a password | the proxy |
    /// | `socks4` | SOCKS4, without a password | this process, IPv4 only |
    ///
    /// Default: as the environment says. `HTTP_PROXY` is for `http` end points, `HTTPS_PROXY` for `https`,
    /// `ALL_PROXY` for both, and `NO_PROXY` lists the hosts that need none; each may be lower case.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Always(url.into());
        self
    }

    /// No proxy, whatever the environment says.
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Never;
        self
    }

    /// Checks everything, and reads the system's root certificates and the environment's proxies.
    pub fn build(self) -> Result<HttpEventDispatcher, HttpSetupError> {
        let headers = self.checked_headers()?;
        let connector = connector::new(self.connect_timeout, self.proxy.proxies()?)?;
        Ok(HttpEventDispatcher(Arc::new(Inner {
            connections: Connections::new(connector.clone(), self.connection_age_max),
            pool: Pool::new(connector, self.connection_age_max),
            headers,
            request_timeout: self.request_timeout,
            strict: self.strict,
            gzip: self.gzip,
            place: Mutex::new(None),
        })))
    }

    fn checked_headers(&self) -> Result<HeaderMap, HttpSetupError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("posthaste/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        for (name, value) in &self.headers {
            let wrong = || HttpSetupError::Header(name.clone());
            let field: HeaderName = name.parse().map_err(|_| wrong())?;
            // Where a body ends is not the caller's to say.
            if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(&field) {
                return Err(HttpSetupError::Framing(name.clone()));
            }
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            // It may be a token, which nobody wants to see in a log.
            value.set_sensitive(true);
            headers.insert(field, value);
        }
        Ok(headers)
    }
}

/// Names headers and says nothing of their values or the proxy, which may be secret.
impl fmt::Debug for HttpEventDispatcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpEventDispatcherBuilder")
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("connection_age_max", &self.connection_age_max)
            .field("strict", &self.strict)
            .field("gzip", &self.gzip)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}
