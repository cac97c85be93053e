//! How the stream is that relays share, as `/readyz` says it: whether it can be used, and what it promises.

use posthaste::queue::jetstream::Promise;
use serde::Serialize;

use crate::relay::Relay;

/// How the stream is.
#[derive(Debug, Serialize)]
pub(super) struct StreamReadiness {
    /// Its servers and its name; never a password.
    address: String,
    /// What part this relay has in it.
    role: &'static str,
    /// Whether what the stream has not acknowledged is on disk here.
    bridge: bool,
    state: State,
    /// Why it cannot be used.
    trouble: Option<String>,
    /// Under which faults nothing is lost that it has acknowledged; empty before it has been seen.
    promises: Vec<Promise>,
    /// Settings that are not as they should be.
    findings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Working,
    /// Its servers are there, and something can be neither taken out of it nor put into it.
    Stuck,
    Away,
}

impl StreamReadiness {
    pub(super) fn of(relay: &Relay) -> Option<Self> {
        let config = relay.config();
        let address = config.queue.as_ref()?.to_string();
        let away = relay.stream_trouble().map(|trouble| trouble.to_string());
        let stuck = || relay.tenant_trouble();
        let (state, trouble) = match away {
            Some(trouble) => (State::Away, Some(trouble)),
            None => stuck().map_or((State::Working, None), |trouble| (State::Stuck, Some(trouble))),
        };
        let (promises, findings) = match relay.stream_report() {
            Some(report) => (report.promises, report.findings.iter().map(ToString::to_string).collect()),
            None => (Vec::new(), Vec::new()),
        };
        Some(Self {
            address,
            role: config.role.name(),
            bridge: config.accepts() && config.keeps(),
            state,
            trouble,
            promises,
            findings,
        })
    }
}
