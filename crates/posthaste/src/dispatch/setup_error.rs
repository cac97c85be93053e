//! Why there can be no HTTP client.

/// Why `HttpEventDispatcherBuilder::build` made nothing.
///
/// It exists, in the same shape, without the feature `http` too.
///
/// ```
/// # #[cfg(feature = "http")] {
/// use posthaste::{HttpEventDispatcher, dispatch::HttpSetupError};
///
/// let error = HttpEventDispatcher::builder().header("not a name", "1").build().unwrap_err();
/// assert!(matches!(error, HttpSetupError::Header(_)), "{error}");
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpSetupError {
    /// The system's certificates cannot be read.
    #[error("failed to load the system's root certificates: {0}; install them (ca-certificates)")]
    Roots(#[source] std::io::Error),
    /// A header that cannot be sent: the name of it.
    #[error(
        "{0:?} is no HTTP header that can be sent; a name is letters, digits and hyphens, a value one line"
    )]
    Header(String),
    /// A header that says where a body ends: each body says that by itself.
    #[error("{0:?} is not for callers to set: each request has its own")]
    Framing(String),
    /// A proxy that cannot be used. Nothing is ever sent around a proxy that was asked for.
    #[error("{named_by} is {url:?}, which is no proxy to go through: {problem}")]
    #[non_exhaustive]
    Proxy {
        /// Who named it: a variable of the environment, or the builder.
        named_by: String,
        /// The proxy's URL as it may be shown, `***` for a password.
        url: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}
