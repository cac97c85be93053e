//! What a collector may be told, and what it does untold.

use std::time::Duration;

use posthaste::ProjectConfig;

use crate::{Base, Faults, Forward};

/// How a [`Collector`](crate::Collector) judges and how much it takes.
#[derive(Debug, Clone)]
pub struct CollectorOptions {
    /// The project to judge events against. Without one only the form of a body is judged.
    pub config: Option<ProjectConfig>,
    /// Answer 400 to every bad body, as the API does where a request has `X-Optimizely-Strict: true`.
    pub strict: bool,
    /// Bytes that a body may have, both as it comes and decompressed.
    pub body_bytes_max: usize,
    /// Events, good and bad, that are kept, at least one; beyond it the oldest are forgotten.
    pub events_max: usize,
    /// Bytes of memory that all of what is kept may take, with what is needed to find it and to tell repeats; beyond it
    /// the oldest events are forgotten. A single event is kept whatever its size.
    pub memory_bytes_max: usize,
    /// How long events are kept; without end untold.
    pub age_max: Option<Duration>,
    /// What is done to requests, from the start on; nothing untold. `PUT /faults` puts another script in its place.
    pub faults: Faults,
    /// How long a request that is never answered is kept, where its client does not leave before.
    pub hang_max: Duration,
    /// Names beside `localhost` by which this collector may be asked, such as a container's. Names are not looked up.
    pub hosts: Vec<String>,
    /// What stands before every path, behind a proxy that does not take it off.
    pub base: Base,
    /// Where what was taken is passed on to, and whose answer is answered.
    pub forward: Option<Forward>,
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Self {
            config: None,
            strict: false,
            body_bytes_max: 3_500_000, // the API's own limit
            events_max: 1_000_000,
            memory_bytes_max: 256 << 20,
            age_max: None,
            faults: Faults::default(),
            hang_max: Duration::from_secs(60), // longer than clients wait
            hosts: Vec::new(),
            base: Base::default(),
            forward: None,
        }
    }
}
