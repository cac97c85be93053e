//! What arrives, as it arrives: server-sent events for pages and terminals.
//!
//! ```text
//! news ─▶ wait until a tenth of a second has passed ─▶ what is newer than the last told: 200 of it, the rest counted
//! ```
//!
//! A listener pulls: while its connection is full nothing is made for it, and what came meanwhile it is told at once.
//!
//! Invariants: an event that a filter picks is either among the rows or counted as skipped, each once; there are no more
//! than [`LISTENERS_MAX`] listeners, and each takes a bit of memory for each kept event.

mod matches;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{Collector, CollectorLedger, Filter, filter::Picker, store::Snapshot, told::Told};

use matches::Matches;

/// Listeners at once.
pub const LISTENERS_MAX: usize = 64;
/// Rows that are told at once; more are counted.
pub const ROWS_MAX: usize = 200;
/// Bytes of rows that are told at once, beside the newest.
pub const ROWS_BYTES_MAX: usize = 4 << 20;
/// Between two tellings at least.
const PACE: Duration = Duration::from_millis(100);
/// Silence after which a line without meaning shows that the connection still stands.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Seats for those who listen.
#[derive(Debug)]
pub(crate) struct Listeners(Arc<Semaphore>);

impl Default for Listeners {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LISTENERS_MAX)))
    }
}

impl Listeners {
    /// A seat, which is free again once this is dropped.
    fn seat(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

impl Collector {
    /// Tells of what the filter picks, from what is newer than its `after` on; `None`: too many listen.
    pub(crate) fn stream(&self, filter: &Filter) -> Option<Body> {
        let listener = Listener {
            picker: Picker::new(filter, self.config()),
            session: filter.session.clone(),
            news: self.news(),
            stopping: self.stopping(),
            told_until: filter.after.unwrap_or_default(),
            matches: Matches::default(),
            resets: None,
            forgotten: 0,
            last: None,
            _seat: self.listeners().seat()?,
            collector: self.clone(),
        };
        Some(Body::from_stream(stream::unfold(listener, Listener::next)))
    }
}

#[derive(Debug)]
struct Listener {
    collector: Collector,
    picker: Picker,
    session: Option<String>,
    news: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    /// The newest id that was told of.
    told_until: u64,
    matches: Matches,
    /// As they were when the matches were counted; none before that.
    resets: Option<u64>,
    forgotten: u64,
    last: Option<Duration>,
    _seat: OwnedSemaphorePermit,
}

#[derive(Serialize)]
struct News<'a> {
    rows: Vec<Box<RawValue>>,
    skipped: u64,
    newest: u64,
    oldest: u64,
    total: u64,
    forgotten: u64,
    ledger: &'a CollectorLedger,
}

#[derive(Serialize)]
struct Reset {
    newest: u64,
}

/// What a listener waits for.
enum Woken {
    ByNews,
    BySilence,
    ToLeave,
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        let silent = match self.wait().await {
            Woken::ToLeave => return None,
            Woken::ByNews => false,
            Woken::BySilence => true,
        };
        // A first look goes through all that is kept.
        let made = tokio::task::spawn_blocking(move || {
            let text = self.tell(silent);
            (Ok(Bytes::from(text)), self)
        });
        made.await.ok()
    }

    async fn wait(&mut self) -> Woken {
        let Self { collector, news, stopping, last, .. } = self;
        if *stopping.borrow() {
            return Woken::ToLeave;
        }
        let Some(last) = *last else {
            news.mark_unchanged();
            return Woken::ByNews;
        };
        let clock = collector.clock();
        let woken = tokio::select! {
            changed = news.changed() => if changed.is_ok() { Woken::ByNews } else { Woken::ToLeave },
            () = clock.sleep(SILENCE_MAX) => Woken::BySilence,
            _ = stopping.changed() => Woken::ToLeave,
        };
        let pause = PACE.saturating_sub(clock.elapsed().saturating_sub(last));
        if matches!(woken, Woken::ByNews) && !pause.is_zero() {
            tokio::select! {
                () = clock.sleep(pause) => {}
                _ = stopping.changed() => return Woken::ToLeave,
            }
        }
        // What comes from here on is news once more.
        news.mark_unchanged();
        woken
    }

    fn tell(&mut self, silent: bool) -> String {
        let (snapshot, floor, ledger, forgotten) = {
            let store = self.collector.store();
            let session = self.session.as_deref();
            (store.after(self.told_until), store.reset_at(), store.ledger(session), store.forgotten(session))
        };
        self.last = Some(self.collector.clock().elapsed());
        if silent && forgotten == self.forgotten {
            return ":\n\n".to_owned();
        }
        self.forgotten = forgotten;
        let reset = self.begin_anew(&snapshot);
        let snapshot = if self.told_until > snapshot.newest {
            // Ids of a process that is gone.
            self.told_until = 0;
            self.collector.kept_after(0)
        } else {
            snapshot
        };
        let lost = (snapshot.oldest - 1).saturating_sub(self.told_until.max(floor));
        let (rows, picked) = self.pick(&snapshot);
        self.matches.forget_before(snapshot.oldest);
        self.told_until = snapshot.newest;
        let skipped = picked - rows.len() as u64 + lost;
        let newest = snapshot.newest;
        let rows = News {
            rows,
            skipped,
            newest,
            oldest: snapshot.oldest,
            total: self.matches.count(),
            forgotten,
            ledger: &ledger,
        };
        let reset = if reset { frame("reset", newest, &Reset { newest }) } else { String::new() };
        reset + &frame("rows", newest, &rows)
    }

    /// Counts what the filter picks of what was told already; whether a listener has to forget what it was told.
    fn begin_anew(&mut self, snapshot: &Snapshot) -> bool {
        let is_first = self.resets.is_none();
        let is_gone = self.told_until > snapshot.newest;
        if self.resets == Some(snapshot.resets) && !is_gone {
            return false;
        }
        self.resets = Some(snapshot.resets);
        self.matches = Matches::default();
        if self.told_until > 0 && !is_gone {
            let all = self.collector.kept_after(0);
            let told = all.views().take_while(|view| view.id() <= self.told_until);
            for view in told.filter(|view| self.picker.picks(view)) {
                self.matches.insert(view.id());
            }
        }
        is_gone || !is_first
    }

    /// The newest of what is picked, and how many there are.
    fn pick(&mut self, snapshot: &Snapshot) -> (Vec<Box<RawValue>>, u64) {
        let (mut last, mut picked) = (VecDeque::with_capacity(ROWS_MAX), 0);
        for view in snapshot.views().filter(|view| self.picker.picks(view)) {
            self.matches.insert(view.id());
            picked += 1;
            if last.len() == ROWS_MAX {
                last.pop_front();
            }
            last.push_back(view);
        }
        let (mut rows, mut bytes) = (Vec::with_capacity(last.len()), 0);
        for view in last.into_iter().rev() {
            let record = Told::new(view, self.collector.config()).record();
            let row = to_raw_value(&record).expect("a record can be written as JSON");
            bytes += row.get().len();
            if bytes > ROWS_BYTES_MAX && !rows.is_empty() {
                break;
            }
            rows.push(row);
        }
        rows.reverse();
        (rows, picked)
    }
}

fn frame(event: &str, id: u64, data: &impl Serialize) -> String {
    // JSON has no line breaks of its own.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n")
}
