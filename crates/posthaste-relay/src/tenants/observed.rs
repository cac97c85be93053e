//! What a tenant's upstream answers: each answer is counted, and told to whoever listens, on its way to delivery.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use posthaste::{
    Dispatcher, LogEvent, RawBatch,
    dispatch::{Answer, DispatchFuture, FlushFuture, verdict},
};

use super::{
    tenant::SharedClock,
    unanswered::{Unanswered, Waiting},
};
use crate::tail::{Answered, Tail, WentOut, shown};

/// How an upstream's answers begin, and what there is instead of one.
const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
/// What answers mean, by [`Verdict::name`](posthaste::dispatch::Verdict::name).
const VERDICTS: [&str; 5] = ["delivered", "retry", "halve", "bisect", "hold"];

/// How often an upstream has answered what.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    by_status: [AtomicU64; STATUSES.len()],
    by_verdict: [AtomicU64; VERDICTS.len()],
    /// The last number that a request got.
    last: AtomicU64,
    unanswered: Arc<Unanswered>,
}

impl Answers {
    pub(crate) fn by_status(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATUSES.into_iter().zip(&self.by_status).map(|(name, count)| (name, count.load(Relaxed)))
    }

    pub(crate) fn by_verdict(&self) -> impl Iterator<Item = (&'static str, u64)> {
        VERDICTS.into_iter().zip(&self.by_verdict).map(|(name, count)| (name, count.load(Relaxed)))
    }

    /// When the oldest request that has no answer yet was sent.
    pub(crate) fn unanswered_since(&self) -> Option<Duration> {
        self.unanswered.since()
    }

    fn count(&self, answer: &Answer, now_ms: i64) {
        let status = match answer {
            Err(_) => "none",
            Ok(response) => match response.status {
                0..=199 => "1xx",
                200..=299 => "2xx",
                300..=399 => "3xx",
                400..=499 => "4xx",
                500.. => "5xx",
            },
        };
        add(&STATUSES, &self.by_status, status);
        add(&VERDICTS, &self.by_verdict, verdict(answer, now_ms).name());
    }
}

fn add(names: &[&str], counts: &[AtomicU64], name: &str) {
    let at = names.iter().position(|one| *one == name);
    if let Some(count) = at.and_then(|at| counts.get(at)) {
        count.fetch_add(1, Relaxed);
    }
}

/// Passes every request on, and notes the answer.
#[derive(Debug)]
pub(super) struct Observed<D> {
    inner: D,
    notes: Arc<Notes>,
}

#[derive(Debug)]
struct Notes {
    tenant: String,
    answers: Arc<Answers>,
    tail: Arc<Tail>,
    clock: SharedClock,
}

impl<D: Dispatcher> Observed<D> {
    pub(super) fn new(
        inner: D,
        tenant: &str,
        answers: Arc<Answers>,
        tail: Arc<Tail>,
        clock: SharedClock,
    ) -> Self {
        Self { inner, notes: Arc::new(Notes { tenant: tenant.to_owned(), answers, tail, clock }) }
    }
}

/// A request that is under way.
struct UnderWay {
    number: u64,
    events: usize,
    /// Only where somebody asks for it.
    account: Option<String>,
    sent: Duration,
    _waiting: Waiting,
}

impl Notes {
    fn sent(&self, request: &LogEvent) -> UnderWay {
        let number = self.answers.last.fetch_add(1, Relaxed) + 1;
        let account = self.tail.asks_for_accounts().then(|| account_of(request)).flatten();
        if self.tail.is_heard() {
            let line = || WentOut {
                time_ms: self.clock.now_ms(),
                request: number,
                tenant: &self.tenant,
                account: account.as_deref().map(shown),
                events: request.events(),
                bytes: request.body().len(),
            };
            self.tail.tell(Some(&self.tenant), account.as_deref(), &|| line().to_line());
        }
        let sent = self.clock.elapsed();
        let waiting = self.answers.unanswered.begin(number, sent);
        UnderWay { number, events: request.events(), account, sent, _waiting: waiting }
    }

    fn answered(&self, UnderWay { number, events, account, sent, .. }: UnderWay, answer: &Answer) {
        let now_ms = self.clock.now_ms();
        self.answers.count(answer, now_ms);
        if !self.tail.is_heard() {
            return;
        }
        let (status, text) = match answer {
            Ok(response) => (Some(response.status), response.text.clone()),
            Err(error) => (None, error.to_string()),
        };
        let took = self.clock.elapsed().saturating_sub(sent);
        let line = || Answered {
            time_ms: now_ms,
            request: number,
            tenant: &self.tenant,
            account: account.as_deref().map(shown),
            events,
            status,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            text: shown(&text),
        };
        self.tail.tell(Some(&self.tenant), account.as_deref(), &|| line().to_line());
    }
}

/// All visitors of a request are of one account.
fn account_of(request: &LogEvent) -> Option<String> {
    let batch = RawBatch::parse(request.body()).ok()?;
    let account = batch.field("account_id")?.get();
    Some(serde_json::from_str(account).unwrap_or_else(|_| account.to_owned()))
}

impl<D: Dispatcher> Dispatcher for Observed<D> {
    fn dispatch_event(&self, request: LogEvent) -> DispatchFuture {
        let notes = Arc::clone(&self.notes);
        let under_way = notes.sent(&request);
        let answer = self.inner.dispatch_event(request);
        Box::pin(async move {
            let answer = answer.await;
            notes.answered(under_way, &answer);
            answer
        })
    }

    fn flush(&self, deadline: Duration) -> FlushFuture {
        self.inner.flush(deadline)
    }
}

#[cfg(test)]
mod tests {
    use posthaste::{
        SystemClock,
        dispatch::{DispatchError, Response},
    };

    use posthaste::Clock as _;

    use super::*;

    #[test]
    fn every_answer_is_counted_once_by_status_and_once_by_what_it_means() {
        let answers = Answers::default();
        let statuses =
            [100, 204, 200, 301, 400, 404, 413, 429, 503].map(|status| Ok(Response::status(status)));
        for answer in statuses.into_iter().chain([Err(DispatchError::Panicked)]) {
            answers.count(&answer, SystemClock.now_ms());
        }
        let by_status: Vec<_> = answers.by_status().collect();
        let expected = [("1xx", 1), ("2xx", 2), ("3xx", 1), ("4xx", 4), ("5xx", 1), ("none", 1)];
        assert_eq!(by_status, expected);
        // The verdicts' own table, in the library: 301 and 404 hold; 100, 429, 503 and no answer are tried again.
        let by_verdict: Vec<_> = answers.by_verdict().collect();
        let expected = [("delivered", 2), ("retry", 4), ("halve", 1), ("bisect", 1), ("hold", 2)];
        assert_eq!(by_verdict, expected);
    }
}
