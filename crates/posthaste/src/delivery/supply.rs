//! What comes out of the queue: leases, the news that leases are lost, and the end of leases.
//!
//! All three may take their time and may fail. What fails is tried again, and `health()` tells of it.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use crate::{
    outcome::Trouble,
    queue::{Eventually, Leased, QueueError},
};

/// How long to wait before a queue that has failed is asked again.
const RETRY: Duration = Duration::from_secs(1);

type Answer<R> = Pin<Box<dyn Future<Output = Result<R, QueueError>> + Send>>;

/// The ids of leases, and whether the queue has ended them.
type Ending = Pin<Box<dyn Future<Output = (Vec<u64>, Result<(), QueueError>)> + Send>>;

/// Leases to come.
pub(super) struct Supply<T> {
    under_way: Option<Answer<Vec<Leased<T>>>>,
    /// Nothing is leased before this time.
    not_before: Option<Duration>,
    /// How often in a row there was nothing to lease though there should have been.
    empty: u32,
    /// The queue is elsewhere: asking costs, and others may share it.
    is_far: bool,
    /// How many events an item has, in 64ths: the mean, the last items counting most.
    events_each: usize,
    trouble: Option<Trouble>,
}

/// One event an item, as a rule.
const ONE: usize = 64;

impl<T> Default for Supply<T> {
    fn default() -> Self {
        Self { under_way: None, not_before: None, empty: 0, is_far: false, events_each: ONE, trouble: None }
    }
}

impl<T> Supply<T> {
    /// Whether the queue may be asked for more.
    pub(super) fn may_ask(&self, now: Duration) -> bool {
        self.under_way.is_none() && self.not_before.is_none_or(|from| from <= now)
    }

    /// Asks: what there is, unless it takes its time.
    pub(super) fn ask(
        &mut self,
        answer: Eventually<Result<Vec<Leased<T>>, QueueError>>,
        now: Duration,
        now_ms: i64,
    ) -> Vec<Leased<T>> {
        match answer {
            Eventually::Now(answer) => self.answered(answer, now, now_ms),
            Eventually::Later(answer) => {
                (self.under_way, self.is_far) = (Some(answer), true);
                Vec::new()
            }
        }
    }

    /// The answer that took its time. Never resolves where none does.
    pub(super) async fn next(&mut self) -> Result<Vec<Leased<T>>, QueueError> {
        let Some(answer) = &mut self.under_way else { return std::future::pending().await };
        let answer = answer.await;
        self.under_way = None;
        answer
    }

    pub(super) fn answered(
        &mut self,
        answer: Result<Vec<Leased<T>>, QueueError>,
        now: Duration,
        now_ms: i64,
    ) -> Vec<Leased<T>> {
        match answer {
            Ok(leases) => {
                self.trouble = None;
                leases
            }
            Err(error) => {
                let text = format!("cannot take events from the queue: {error}");
                self.trouble.get_or_insert_with(|| Trouble::new(text, now_ms));
                self.not_before = Some(now.saturating_add(RETRY));
                Vec::new()
            }
        }
    }

    /// An item with this many events has been leased.
    pub(super) fn leased(&mut self, events: usize) {
        let new = events.saturating_mul(ONE);
        self.events_each = self.events_each.saturating_mul(15).saturating_add(new) / 16;
    }

    /// How many items to expect so many events of.
    pub(super) fn items_of(&self, events: usize) -> usize {
        if self.events_each <= ONE { events } else { events.saturating_mul(ONE).div_ceil(self.events_each) }
    }

    /// There was something, or nothing was to be expected.
    pub(super) fn flows(&mut self) {
        self.empty = 0;
    }

    /// There should have been something. Our queues in memory never say so. Others may count an item before they hand it
    /// out, which passes at once; a disk that cannot be read is asked again later, and a queue that is elsewhere less and
    /// less often.
    pub(super) fn ran_dry(&mut self, now: Duration) {
        /// Turns that such a queue may need.
        const TURNS: u32 = 1_000;
        /// Half of the first pause.
        const FAR_RETRY: Duration = Duration::from_millis(5);
        self.empty = self.empty.saturating_add(1);
        let pause = (FAR_RETRY * 2_u32.pow(self.empty.min(10))).min(RETRY);
        if self.is_far || self.empty > TURNS {
            self.not_before = Some(now.saturating_add(if self.is_far { pause } else { RETRY }));
        }
    }

    /// There should have been something, and it is no matter of a moment.
    pub(super) fn pauses(&mut self, now: Duration) {
        self.empty = self.empty.saturating_add(1);
        self.not_before = Some(now.saturating_add(RETRY));
    }

    /// Whether there was nothing to lease when it was last asked, though there should have been.
    pub(super) fn is_dry(&self) -> bool {
        self.empty > 0
    }

    /// When it may be asked again, if that is to come.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        self.not_before.filter(|from| now < *from)
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }
}

/// Leases whose end the queue has not confirmed.
#[derive(Default)]
pub(super) struct Endings {
    under_way: FuturesUnordered<Ending>,
    again: Vec<u64>,
    retry_at: Option<Duration>,
    trouble: Option<Trouble>,
}

impl Endings {
    /// These are being ended.
    pub(super) fn begin(
        &mut self,
        ids: Vec<u64>,
        answer: Eventually<Result<(), QueueError>>,
        now: Duration,
        now_ms: i64,
    ) {
        match answer {
            Eventually::Now(Ok(())) => {}
            Eventually::Now(Err(error)) => self.ended(ids, Err(error), now, now_ms),
            Eventually::Later(answer) => {
                self.under_way.push(Box::pin(answer.map(move |answer| (ids, answer))));
            }
        }
    }

    /// The next answer. Never resolves where none is to come.
    pub(super) async fn next(&mut self) -> (Vec<u64>, Result<(), QueueError>) {
        match self.under_way.next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    pub(super) fn ended(
        &mut self,
        ids: Vec<u64>,
        answer: Result<(), QueueError>,
        now: Duration,
        now_ms: i64,
    ) {
        match answer {
            Ok(()) => self.trouble = None,
            Err(error) => {
                let text = format!("cannot tell the queue what has been delivered: {error}");
                self.trouble.get_or_insert_with(|| Trouble::new(text, now_ms));
                self.again.extend(ids);
                self.retry_at.get_or_insert(now.saturating_add(RETRY));
            }
        }
    }

    /// Those that are to be tried again now.
    pub(super) fn take_again(&mut self, now: Duration) -> Vec<u64> {
        if self.retry_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.retry_at = None;
        std::mem::take(&mut self.again)
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.retry_at
    }

    /// Whether the queue has confirmed everything.
    pub(super) fn are_confirmed(&self) -> bool {
        self.under_way.is_empty() && self.again.is_empty()
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }
}

/// Leases that would run out.
pub(super) struct Renewal {
    /// How long a lease lasts; `None`: without end.
    time: Option<Duration>,
    next_at: Duration,
    under_way: Option<Answer<Vec<u64>>>,
}

impl Renewal {
    pub(super) fn new(time: Option<Duration>, now: Duration) -> Self {
        let mut renewal = Self { time, next_at: now, under_way: None };
        renewal.put_off(now);
        renewal
    }

    /// Three times in a lease's time: two may fail.
    fn put_off(&mut self, now: Duration) {
        self.next_at = now.saturating_add(self.time.unwrap_or_default() / 3);
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.time.filter(|_| self.under_way.is_none()).map(|_| self.next_at)
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// Leases are being renewed; returns the lost ones that are known at once.
    pub(super) fn begin(
        &mut self,
        answer: Eventually<Result<Vec<u64>, QueueError>>,
        now: Duration,
    ) -> Vec<u64> {
        self.put_off(now);
        match answer {
            Eventually::Now(answer) => Self::lost(answer),
            Eventually::Later(answer) => {
                self.under_way = Some(answer);
                Vec::new()
            }
        }
    }

    /// The answer that took its time: the leases that are lost. Never resolves where none is to come.
    pub(super) async fn next(&mut self) -> Vec<u64> {
        let Some(answer) = &mut self.under_way else { return std::future::pending().await };
        let answer = answer.await;
        self.under_way = None;
        Self::lost(answer)
    }

    fn lost(answer: Result<Vec<u64>, QueueError>) -> Vec<u64> {
        answer.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to renew leases; others may get their events too");
            Vec::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn broken<T>() -> Result<T, QueueError> {
        Err(QueueError::new("out of order"))
    }

    #[test]
    fn a_queue_that_fails_is_asked_again_a_second_later() {
        let mut supply = Supply::<u8>::default();
        assert!(supply.may_ask(s(0)));
        assert!(supply.ask(Eventually::Now(broken()), s(5), 0).is_empty());
        assert!(!supply.may_ask(s(5)) && supply.may_ask(s(6)));
        assert_eq!((supply.due(s(5)), supply.due(s(6))), (Some(s(6)), None));
        assert!(supply.trouble().unwrap().what.contains("out of order"));
        let leases = supply.ask(Eventually::Now(Ok(vec![Leased::new(7, 1)])), s(6), 0);
        assert_eq!((leases.len(), supply.trouble()), (1, None));
    }

    #[test]
    fn nothing_more_is_asked_for_while_an_answer_is_on_its_way() {
        let mut supply = Supply::<u8>::default();
        assert!(supply.next().now_or_never().is_none());
        let later = Eventually::Later(Box::pin(async { Ok(vec![Leased::new(7, 1)]) }));
        assert!(supply.ask(later, s(1), 0).is_empty());
        assert!(!supply.may_ask(s(100)));
        assert_eq!(supply.next().now_or_never().unwrap().unwrap().len(), 1);
        assert!(supply.may_ask(s(1)));
    }

    #[test]
    fn items_of_several_events_are_expected_to_be_fewer() {
        let mut supply = Supply::<u8>::default();
        assert_eq!(
            (supply.items_of(0), supply.items_of(500), supply.items_of(usize::MAX)),
            (0, 500, usize::MAX)
        );
        (0..200).for_each(|_| supply.leased(10));
        assert!((50..=53).contains(&supply.items_of(500)), "{}", supply.items_of(500));
        assert_eq!((supply.items_of(0), supply.items_of(1)), (0, 1), "one item at least");
        (0..200).for_each(|_| supply.leased(1));
        assert_eq!(supply.items_of(500), 500);
    }

    #[test]
    fn leases_whose_end_was_not_taken_are_ended_again_a_second_later() {
        let mut endings = Endings::default();
        endings.begin(vec![1, 2], Eventually::Now(broken()), s(5), 0);
        endings.begin(vec![3], Eventually::Later(Box::pin(async { broken() })), s(5), 0);
        let (ids, answer) = endings.next().now_or_never().unwrap();
        endings.ended(ids, answer, s(5), 0);
        assert!(!endings.are_confirmed() && endings.trouble().is_some());
        assert_eq!((endings.take_again(s(5)), endings.due()), (vec![], Some(s(6))));
        assert_eq!((endings.take_again(s(6)), endings.due()), (vec![1, 2, 3], None));
        endings.ended(vec![1, 2, 3], Ok(()), s(6), 0);
        assert!(endings.are_confirmed() && endings.trouble().is_none());
    }

    #[test]
    fn leases_are_renewed_three_times_in_their_time_and_lost_ones_named() {
        let mut renewal = Renewal::new(Some(s(30)), s(0));
        assert_eq!((renewal.due(), renewal.is_due(s(9)), renewal.is_due(s(10))), (Some(s(10)), false, true));
        assert_eq!(renewal.begin(Eventually::Now(Ok(vec![7])), s(10)), [7]);
        assert_eq!(renewal.due(), Some(s(20)));
        let later = Eventually::Later(Box::pin(async { Ok(vec![8]) }));
        assert!(renewal.begin(later, s(20)).is_empty());
        assert_eq!(renewal.due(), None, "one renewal at a time");
        assert_eq!(renewal.next().now_or_never(), Some(vec![8]));
        assert_eq!(renewal.due(), Some(s(30)));
        assert!(renewal.begin(Eventually::Now(broken()), s(30)).is_empty(), "nobody knows that any is lost");
        assert_eq!(Renewal::new(None, s(0)).due(), None, "leases without end");
    }
}
