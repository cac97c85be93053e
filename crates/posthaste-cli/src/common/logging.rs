//! What the library has to say beyond results: on stderr, as much as `POSTHASTE_LOG` asks for.

use tracing_subscriber::EnvFilter;

use super::output;

/// Warnings and errors, unless `POSTHASTE_LOG` says otherwise (`debug`, `posthaste=trace`).
pub(crate) fn init() {
    let filter = EnvFilter::try_from_env("POSTHASTE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::stderr_is_lively())
        .init();
}
