//! What a collector may be told, and what it does untold.

use posthaste::ProjectConfig;

/// How a [`Collector`](crate::Collector) judges and how much it takes.
#[derive(Debug, Clone)]
pub struct CollectorOptions {
    /// The project to judge events against. Without one only the form of a body is judged.
    pub config: Option<ProjectConfig>,
    /// Answer 400 to every bad body, as the API does where a request has `X-Optimizely-Strict: true`.
    pub strict: bool,
    /// Bytes that a body may have, both as it comes and decompressed.
    pub body_bytes_max: usize,
    /// Events, good and bad, that are kept, at least one; beyond it, or beyond
    /// [`STORE_BYTES_MAX`](crate::STORE_BYTES_MAX), the oldest are forgotten.
    pub events_max: usize,
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Self {
            config: None,
            strict: false,
            body_bytes_max: 3_500_000, // the API's own limit
            events_max: 1_000_000,
        }
    }
}
