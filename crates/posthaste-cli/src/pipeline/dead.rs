//! Where dead letters end: the first ones are told of, all are kept where a file was given.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use posthaste::{DeadLetter, LogEvent, ProjectConfig, UserEvent};

use super::keep::Keep;
use crate::{
    common::output::{Output, REPORTED_MAX, plain},
    lines,
};

/// Characters of the API's answer that are told.
const TEXT_CHARS_MAX: usize = 200;

#[derive(Debug)]
pub(crate) struct DeadLetterOffice {
    keep: Option<Arc<Keep>>,
    output: Arc<Output>,
    letters: AtomicU64,
    /// Events in the letters.
    events: AtomicU64,
}

impl DeadLetterOffice {
    pub(crate) fn new(keep: Option<Arc<Keep>>, output: Arc<Output>) -> Self {
        Self { keep, output, letters: AtomicU64::new(0), events: AtomicU64::new(0) }
    }

    pub(crate) fn take_event(&self, letter: &DeadLetter<UserEvent>, config: &ProjectConfig) {
        self.events.fetch_add(1, Relaxed);
        self.tell(letter, &format!("event {:?}", letter.item.uuid().to_string()));
        if let Some(keep) = &self.keep {
            keep.put(&lines::dead_event_line(letter, config));
        }
    }

    pub(crate) fn take_batch(&self, letter: &DeadLetter<LogEvent>) {
        self.events.fetch_add(letter.item.events() as u64, Relaxed);
        let uuid = uuid_of(&letter.item).map(|uuid| format!("event {uuid:?}"));
        self.tell(letter, uuid.as_deref().unwrap_or("an event of a batch"));
        if let Some(keep) = &self.keep {
            keep.put(&lines::dead_batch_line(letter));
        }
    }

    /// How many dead letters nobody was told of.
    pub(crate) fn untold(&self) -> u64 {
        self.letters.load(Relaxed).saturating_sub(REPORTED_MAX)
    }

    /// How many events have a letter.
    pub(crate) fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Says something else, where letters are told.
    pub(crate) fn note(&self, line: impl std::fmt::Display) {
        self.output.note(line);
    }

    /// The API's answer is shown as it is, but for what could drive a terminal.
    fn tell<T>(&self, letter: &DeadLetter<T>, what: &str) {
        if self.letters.fetch_add(1, Relaxed) >= REPORTED_MAX {
            return;
        }
        let status = letter.status.map(|status| format!(", status {status}")).unwrap_or_default();
        let text: String = letter.text.trim().chars().take(TEXT_CHARS_MAX).collect();
        let text = if text.is_empty() { text } else { format!(": {}", plain(&text)) };
        self.output.note(format_args!("dead letter: {what} was {}{status}{text}", letter.reason));
    }
}

/// The uuid of the first event, which is the only one in a request that was given up.
fn uuid_of(request: &LogEvent) -> Option<String> {
    let batch = request.event().ok()?;
    let event = batch.visitors.first()?.snapshots.first()?.events.first()?;
    Some(event.uuid.clone())
}
