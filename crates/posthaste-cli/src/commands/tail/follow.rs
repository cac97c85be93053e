//! Following: what is there, what comes, and after a lost connection what came meanwhile.
//!
//! Invariants: each event is shown once, in the order of ids; what a collector leaves out of its stream is fetched, and
//! what it has forgotten by then is counted.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{HeaderMap, body::Incoming};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{shown, sse::Reader};
use crate::common::{
    exit::Failure,
    output::{Lines, Output, counted},
    remote::{Remote, RemoteError, Whole},
};

/// A collector says something every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// How long to wait before another try: at first, and at most.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Events that are fetched at once.
const PAGE: usize = 1_000;

/// Somebody who follows.
#[derive(Debug)]
pub(super) struct Tail<'a> {
    remote: Remote,
    /// The filters, each with `&` before it.
    query: String,
    output: &'a Output,
    lines: Lines,
    /// All up to this id has been shown.
    after: u64,
}

/// What a stream tells.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    rows: Vec<&'a RawValue>,
    skipped: u64,
    newest: u64,
}

/// Why it goes no further for now.
#[derive(Debug)]
enum Stop {
    /// Nobody reads.
    Unread,
    Lost(RemoteError),
    Failed(Failure),
}

impl From<RemoteError> for Stop {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Silent { .. } => Self::Lost(error),
            RemoteError::Refused { .. } => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<'a> Tail<'a> {
    pub(super) fn new(remote: Remote, query: String, output: &'a Output) -> Self {
        Self { remote, query, output, lines: Lines::as_they_come(), after: 0 }
    }

    /// Until nobody reads any more. That there is no collector to begin with is an error; that it goes away is not.
    pub(super) async fn follow(&mut self, after: Option<u64>, last: usize) -> Result<(), Failure> {
        let begun = match after {
            Some(after) => {
                self.after = after;
                self.newest().await.map(drop)
            }
            None => self.show_last(last).await,
        };
        let mut stop = match begun {
            Err(Stop::Lost(error)) => return Err(error.into()),
            Err(stop) => stop,
            Ok(()) => self.stream().await,
        };
        let mut pause = PAUSE;
        loop {
            match stop {
                Stop::Unread => return Ok(()),
                Stop::Failed(failure) => return Err(failure),
                Stop::Lost(error) if pause == PAUSE => {
                    self.output.note(format_args!("posthaste: {error}; trying again"));
                }
                Stop::Lost(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            stop = match self.is_another().await {
                Ok(is_another) => {
                    pause = PAUSE;
                    if is_another {
                        self.output.inform("the collector was started anew");
                        self.after = 0;
                    }
                    self.stream().await
                }
                Err(stop) => stop,
            };
        }
    }

    /// Writes out what is left.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.lines.end()
    }

    async fn show_last(&mut self, last: usize) -> Result<(), Stop> {
        let Whole { headers, body } = self.page(&format!("order=newest&limit={last}")).await?;
        let mut events = self.events(&body)?;
        events.reverse();
        for event in events {
            self.show(event)?;
        }
        self.after = newest(&headers);
        self.flush()
    }

    /// Ids of another process begin anew.
    async fn is_another(&self) -> Result<bool, Stop> {
        Ok(self.newest().await? < self.after)
    }

    async fn newest(&self) -> Result<u64, Stop> {
        Ok(newest(&self.page("limit=0").await?.headers))
    }

    async fn page(&self, which: &str) -> Result<Whole, RemoteError> {
        self.remote.get_whole(&format!("/all?{which}{}", self.query)).await
    }

    /// What comes, until the connection is lost.
    async fn stream(&mut self) -> Stop {
        let path = format!("/stream?after={}{}", self.after, self.query);
        match self.remote.get(&path, "text/event-stream").await {
            Ok(answer) => match self.read(answer.into_body()).await {
                Ok(()) => Stop::Lost(self.remote.silent("the connection ended")),
                Err(stop) => stop,
            },
            Err(error) => error.into(),
        }
    }

    async fn read(&mut self, mut body: Incoming) -> Result<(), Stop> {
        let mut reader = Reader::default();
        loop {
            let frame = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => frame.map_err(|error| self.remote.silent(error))?,
                Err(_) => return Err(self.remote.silent("it has fallen silent").into()),
            };
            let Ok(piece) = frame.into_data() else { continue };
            let events = reader.push(&piece).map_err(|_| self.strange("an event without an end"))?;
            for event in events {
                match &*event.name {
                    "rows" => self.rows(&event.data).await?,
                    "reset" => self.output.inform("the collector was reset"),
                    _ => {}
                }
            }
            self.flush()?;
        }
    }

    async fn rows(&mut self, data: &str) -> Result<(), Stop> {
        let Told { rows, skipped, newest } =
            serde_json::from_str(data).map_err(|error| self.strange(&error.to_string()))?;
        if skipped > 0 {
            let first = rows.first().and_then(|row| shown::id(row));
            let until = first.map_or(newest, |id| id.saturating_sub(1));
            self.fetch(skipped, until).await?;
        }
        for row in rows {
            self.show(row)?;
        }
        self.after = self.after.max(newest);
        Ok(())
    }

    /// What the stream has left out, up to this id.
    async fn fetch(&mut self, skipped: u64, until: u64) -> Result<(), Stop> {
        let mut left = skipped;
        loop {
            let page = format!("order=oldest&after={}&until={until}&limit={PAGE}", self.after);
            let Whole { body, .. } = self.page(&page).await?;
            let events = self.events(&body)?;
            if events.is_empty() {
                break;
            }
            left = left.saturating_sub(events.len() as u64);
            for event in events {
                self.show(event)?;
            }
            self.flush()?;
        }
        if left > 0 {
            let events = counted(left, "event was", "events were");
            self.output
                .note(format_args!("posthaste: {events} forgotten by the collector before they were shown"));
        }
        Ok(())
    }

    fn events<'b>(&self, body: &'b [u8]) -> Result<Vec<&'b RawValue>, Stop> {
        serde_json::from_slice(body).map_err(|error| self.strange(&error.to_string()))
    }

    fn show(&mut self, event: &RawValue) -> Result<(), Stop> {
        let (id, text) =
            shown::lines(event, self.output.audience()).map_err(|error| self.strange(&error.to_string()))?;
        if id > self.after {
            self.after = id;
            self.lines.put(text.as_bytes())?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.lines.flush()?;
        if self.lines.is_closed() { Err(Stop::Unread) } else { Ok(()) }
    }

    fn strange(&self, why: &str) -> Stop {
        let url = self.remote.url();
        let text = format!("{url} does not answer as a collector of this version: {why}; is it one?");
        Stop::Failed(Failure::Refused(text))
    }
}

fn newest(headers: &HeaderMap) -> u64 {
    headers.get("x-newest").and_then(|id| id.to_str().ok()?.parse().ok()).unwrap_or_default()
}
