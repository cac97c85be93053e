//! Waiting: looks at what is kept, then at what is newer whenever there is something newer, until it is decided or over.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    COMPARISONS_MAX, LOOK_PAUSE, LOOKED_AT_ONCE, MISSES_MAX, SETTLE, WAITERS_MAX,
    answer::{Expected, Miss, Outcome, counted},
    nearest::Nearest,
    pattern::Expectation,
    seen::Seen,
    tally::{Row, State, Tally},
    text::shown,
};
use crate::{Collector, told::Told};

/// Room for those who wait.
#[derive(Debug)]
pub(crate) struct Waiters(Semaphore);

impl Default for Waiters {
    fn default() -> Self {
        Self(Semaphore::new(WAITERS_MAX))
    }
}

impl Waiters {
    pub(super) fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.0.try_acquire().ok()
    }
}

impl Collector {
    /// Waits until the events that are expected have come, for [`WAIT_MAX`](crate::WAIT_MAX) at most, and says what is
    /// missing where they have not: what `POST /expect` does, without HTTP. [`Collector::start`] is for tests.
    pub async fn expect(&self, expectation: &Expectation, wait: Duration) -> Outcome {
        expect(self, expectation, None, wait).await
    }
}

/// Looks once, and waits for the rest.
pub(super) async fn expect(
    collector: &Collector,
    expectation: &Expectation,
    session: Option<&str>,
    wait: Duration,
) -> Outcome {
    let permit = collector.waiters().enter();
    let is_refused = permit.is_none() && !wait.is_zero();
    let wait = if is_refused { Duration::ZERO } else { wait.min(super::WAIT_MAX) };
    let mut waiting = Waiting::new(collector, expectation, session, wait);
    waiting.until_decided().await;
    let mut outcome = waiting.outcome();
    if is_refused {
        outcome.notes.push(format!("did not wait: {WAITERS_MAX} others wait already"));
    }
    outcome
}

/// One who waits.
struct Waiting<'a> {
    collector: &'a Collector,
    session: Option<&'a str>,
    tally: Tally<'a>,
    /// The newest event when everything was looked at last.
    newest: u64,
    /// How often something had been reset then.
    resets: u64,
    began: Duration,
    ends: Duration,
    /// Until when it has to stay so, once it is so.
    settles: Option<Duration>,
}

impl<'a> Waiting<'a> {
    fn new(
        collector: &'a Collector,
        expectation: &'a Expectation,
        session: Option<&'a str>,
        wait: Duration,
    ) -> Self {
        let began = collector.clock().elapsed();
        let tally = Tally::new(expectation);
        let ends = began.saturating_add(wait);
        Self { collector, session, tally, newest: 0, resets: 0, began, ends, settles: None }
    }

    async fn until_decided(&mut self) {
        // Had before the first look, they miss nothing that comes after it.
        let (mut news, mut stopping) = (self.collector.news(), self.collector.stopping());
        loop {
            self.look().await;
            let now = self.collector.clock().elapsed();
            let left = self.decided_at(now).saturating_sub(now);
            if left.is_zero() {
                return;
            }
            tokio::select! {
                _ = news.changed() => self.pause(now, left).await,
                () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => return,
                () = self.collector.clock().sleep(left) => {}
            }
        }
    }

    /// Who has just looked looks a moment later, at all that came meanwhile.
    async fn pause(&self, looked_at: Duration, left: Duration) {
        let clock = self.collector.clock();
        let pause = (looked_at + LOOK_PAUSE).saturating_sub(clock.elapsed()).min(left);
        if !pause.is_zero() {
            clock.sleep(pause).await;
        }
    }

    async fn look(&mut self) {
        let mut news = self.collector.kept_after(self.newest);
        if news.resets != self.resets {
            self.resets = news.resets;
            self.tally.reset();
            news = self.collector.kept_after(0);
        }
        self.newest = news.newest;
        for (view, number) in news.views().zip(1_usize..) {
            if view.is_of(self.session) {
                self.tally.look(&Seen::new(Told::new(view, self.collector.config())));
            }
            if number.is_multiple_of(LOOKED_AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        self.tally.count_bad(self.collector.store().bad(self.session));
    }

    /// When it is decided, should nothing else come.
    fn decided_at(&mut self, now: Duration) -> Duration {
        match self.tally.state() {
            State::Holds | State::Broken => now,
            State::Settles => (*self.settles.get_or_insert(now + SETTLE)).min(self.ends),
            State::HoldsAtEnd | State::Open => {
                self.settles = None;
                self.ends
            }
        }
    }

    fn outcome(&self) -> Outcome {
        let waited = self.collector.clock().elapsed().saturating_sub(self.began);
        let holds = self.tally.rows().iter().all(Row::holds);
        let mut expected: Vec<Expected> = self.tally.rows().iter().map(Row::expected).collect();
        if !holds {
            self.tell_misses(&mut expected);
        }
        let forgotten = self.collector.store().forgotten(self.session);
        Outcome {
            holds,
            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            looked_at: self.tally.looked_at,
            forgotten,
            expected,
            notes: self.notes(forgotten, holds),
        }
    }

    /// Looks once more, at no more than was counted.
    fn tell_misses(&self, expected: &mut [Expected]) {
        let rows = self.tally.rows();
        let mut nearest: Vec<Nearest> = rows.iter().map(|_| Nearest::default()).collect();
        let kept = self.collector.kept_after(0);
        let newest_first = kept.views().rev().skip_while(|view| view.id() > self.newest);
        let mut left = COMPARISONS_MAX;
        for view in newest_first.filter(|view| view.is_of(self.session)) {
            let seen = Seen::new(Told::new(view, self.collector.config()));
            for ((row, expected), nearest) in rows.iter().zip(expected.iter_mut()).zip(&mut nearest) {
                if row.came < row.pattern.count.min {
                    left = left.saturating_sub(nearest.offer(row.pattern, &seen));
                } else if !row.holds() && expected.surplus.len() < MISSES_MAX && row.pattern.fits(&seen) {
                    expected.surplus.push(Miss::of(&seen));
                }
            }
            if left == 0 || rows.iter().zip(&*expected).all(|(row, expected)| row.is_told(expected)) {
                break;
            }
        }
        for (expected, nearest) in expected.iter_mut().zip(nearest) {
            expected.nearest = nearest.into_misses();
        }
    }

    fn notes(&self, forgotten: u64, holds: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if forgotten > 0 {
            notes.push(format!(
                "{} made room and may be missing here; give the collector more memory, or reset it before the test",
                counted(forgotten, "older event")
            ));
        }
        if self.tally.looked_at == 0 && !holds {
            notes.push(self.nothing_came());
        }
        notes
    }

    /// Nothing was there to look at: perhaps because it went elsewhere.
    fn nothing_came(&self) -> String {
        let all = self.collector.ledger().events;
        match self.session {
            Some(session) if all > 0 => format!(
                "no event came in session {}, and {} elsewhere; send to /t/{}/v1/events",
                shown(session),
                counted(all, "event"),
                shown(session)
            ),
            _ => "no event has come yet; does the SDK post to /v1/events of this address, and is it flushed?"
                .to_owned(),
        }
    }
}

impl Row<'_> {
    /// Whether no other event has anything to add to what is said of it.
    fn is_told(&self, expected: &Expected) -> bool {
        let is_full = expected.surplus.len() == MISSES_MAX;
        self.came >= self.pattern.count.min && (self.holds() || is_full)
    }

    fn expected(&self) -> Expected {
        Expected {
            pattern: shown(&self.pattern.written),
            holds: self.holds(),
            count: self.pattern.count.to_string(),
            came: self.came,
            ids: self.ids.clone(),
            surplus: Vec::new(),
            nearest: Vec::new(),
        }
    }
}
