//! The law of the drain rate, told from what the API saw: after an end point has come back, what had been accepted before
//! that comes no faster than the rate.
//!
//! The API does not see when the pipeline finds an end point gone. It is certain where five requests in a row have
//! failed: then the next one that gets through has found it back.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU32,
    time::Duration,
};

use tokio::time::Instant;

use super::upstream::Request;

/// Failures in a row after which an end point counts as gone.
const THRESHOLD: u32 = 5;

#[derive(Debug)]
pub(super) struct Pacing {
    rate: NonZeroU32,
    accepted: HashMap<String, Instant>,
}

/// What is known of an end point while its answers are read.
#[derive(Debug, Default)]
struct Seen {
    failures: u32,
    /// When it last answered in any way.
    answered: Option<Instant>,
}

impl Pacing {
    pub(super) fn new(rate: NonZeroU32) -> Self {
        Self { rate, accepted: HashMap::new() }
    }

    pub(super) fn accepted(&mut self, uuid: String) {
        self.accepted.insert(uuid, Instant::now());
    }

    /// Nobody knows when it will have been accepted.
    pub(super) fn forget(&mut self, uuid: &str) {
        self.accepted.remove(uuid);
    }

    pub(super) fn check(&self, requests: &[Request]) {
        let recoveries = recoveries(requests);
        let mut by_end_point: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
        for request in requests {
            by_end_point.entry(&request.end_point).or_default().push(request);
        }
        for mut requests in by_end_point.into_values() {
            requests.sort_by_key(|request| request.sent);
            self.check_end_point(&requests, &recoveries);
        }
    }

    /// In any second, what is old is at most what the rate and one request have.
    fn check_end_point(&self, requests: &[&Request], recoveries: &[Instant]) {
        let old: Vec<(Instant, usize)> =
            requests.iter().map(|request| (request.sent, self.old_in(request, recoveries))).collect();
        for (at, (from, _)) in old.iter().enumerate() {
            let second = old.iter().skip(at).take_while(|(sent, _)| *sent < *from + Duration::from_secs(1));
            let second: Vec<usize> = second.map(|(_, old)| *old).collect();
            let (events, most) =
                (second.iter().sum::<usize>(), second.iter().max().copied().unwrap_or_default());
            assert!(
                events <= self.rate.get() as usize + most,
                "{events} events of a backlog in a second at a rate of {}: {second:?}",
                self.rate
            );
        }
    }

    fn old_in(&self, request: &Request, recoveries: &[Instant]) -> usize {
        let before = recoveries.iter().rev().find(|recovery| **recovery < request.sent);
        let Some(before) = before else { return 0 };
        request.uuids.iter().filter(|uuid| self.accepted.get(*uuid).is_some_and(|at| at < before)).count()
    }
}

/// When some end point has certainly been found back, in order.
fn recoveries(requests: &[Request]) -> Vec<Instant> {
    let (mut seen, mut recoveries) = (HashMap::<&str, Seen>::new(), Vec::new());
    for request in requests {
        let end_point = seen.entry(&request.end_point).or_default();
        let is_later = end_point.answered.is_none_or(|answered| answered < request.answered);
        match request.status {
            // Whether that counts as gone is another matter.
            Some(301 | 401 | 403 | 404 | 410) => end_point.failures = 0,
            Some(status @ (200..=299 | 400 | 413 | 422)) => {
                let was_gone = end_point.failures >= THRESHOLD;
                let is_news = end_point.answered.is_some_and(|answered| answered < request.sent);
                if was_gone && is_news && status < 300 {
                    recoveries.push(request.answered);
                }
                end_point.failures = 0;
            }
            // Of answers that come at one moment, nobody here knows which the pipeline takes first.
            _ if is_later => end_point.failures += 1,
            _ => end_point.failures = end_point.failures.min(1),
        }
        end_point.answered = Some(request.answered);
    }
    recoveries
}
