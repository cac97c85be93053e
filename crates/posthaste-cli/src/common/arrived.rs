//! What has arrived at a collector, as `collect` and `demo` say it.

use std::fmt;

use posthaste_collector::CollectorLedger;
use serde::Serialize;

use super::output::{counted, grouped};

/// A collector's ledger.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Arrived(pub(crate) CollectorLedger);

impl fmt::Display for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CollectorLedger { requests, events, good, bad, duplicates, refused, faulted, not_taken, .. } =
            self.0;
        let [events, requests] =
            [counted(events, "event", "events"), counted(requests, "request", "requests")];
        let [good, bad, duplicates] = [good, bad, duplicates].map(grouped);
        write!(f, "{events} in {requests}: {good} good, {bad} bad, {duplicates} repeated")?;
        if refused > 0 {
            write!(f, "; {} refused unread", counted(refused, "request", "requests"))?;
        }
        if faulted > 0 {
            let (faulted, not_taken) = (counted(faulted, "request", "requests"), grouped(not_taken));
            write!(f, "; faults: {faulted}, {not_taken} of them not taken")?;
        }
        Ok(())
    }
}
