//! From notes and the stream to what can be said: pure sums, with bounds.

use std::fmt;

use serde::Serialize;

use super::{note::ProcessNote, sums::Sums};
use crate::queue::jetstream::inspection::Inspection;

/// What a number is at least, and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bounds {
    /// At least.
    pub low: u64,
    /// At most; none: nobody knows.
    pub high: Option<u64>,
}

impl Bounds {
    /// By how much a number is below, and above.
    fn misses(self, number: u64) -> (u64, u64) {
        (self.low.saturating_sub(number), self.high.map_or(0, |high| number.saturating_sub(high)))
    }
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Standing {
    /// It writes down what it counts.
    Living,
    /// It ended in order.
    Ended,
    /// It has said nothing for seconds and left no last word: it was killed, or is cut off from the stream.
    Silent,
}

/// What it all comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// Every message that the stream ever took is accounted for.
    Balanced,
    /// Nobody knows: a process ended without a last word, or what was counted twice leaves room for what is missing.
    /// Nothing contradicts what processes say.
    Unknown,
    /// It does not add up, whatever the silent have done.
    Unbalanced,
}

/// What the stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// Both streams.
    pub(super) look: Inspection,
    /// Events in the stream, where they were counted one by one.
    pub(super) counted: Option<u64>,
}

/// What a process said before the look, and after.
#[derive(Debug, Clone)]
pub(super) struct Paper {
    pub(super) before: Option<ProcessNote>,
    pub(super) after: Result<ProcessNote, String>,
    pub(super) is_living: bool,
}

/// A process, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Process {
    /// How it stands.
    pub standing: Standing,
    /// What it has said last.
    #[serde(flatten)]
    pub note: ProcessNote,
}

/// In events, as processes have counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct EventSums {
    /// Taken from clients.
    pub accepted: u64,
    /// Taken from clients, and not in the stream yet.
    pub waiting: u64,
    /// Put into the stream.
    pub published: u64,
    /// Put back into the stream, having been dead letters.
    pub replayed: u64,
    /// In the stream; none: there are too many to count.
    pub in_stream: Option<u64>,
    /// Of those, the ones that somebody has leased.
    pub leased: u64,
    /// Delivered.
    pub delivered: u64,
    /// Made dead letters.
    pub buried: u64,
}

/// In messages: the stream's own count, and what processes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MessageSums {
    /// That the stream has ever taken.
    pub taken: u64,
    /// That processes say they have put there.
    pub published: Bounds,
    /// That are in the stream.
    pub in_stream: u64,
    /// That have gone from it.
    pub gone: u64,
    /// That processes say they have delivered or buried.
    pub settled: Bounds,
    /// Dead letters that there are.
    pub dead_letters: u64,
    /// Publishes under an id that the stream knew already.
    pub repeated: u64,
    /// Leased again: they may have been delivered twice.
    pub redelivered: u64,
}

/// How many could be missing without showing: the bounds of what processes say are so far apart, beyond what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Leeway {
    /// Messages that processes say they have put into the stream.
    pub published: u64,
    /// Messages that processes say they have delivered or buried.
    pub settled: u64,
    /// Dead letters.
    pub dead_letters: u64,
}

/// A stream's books: what it has taken and given, who says so, and whether that is all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// The stream.
    pub stream: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// In events.
    pub events: EventSums,
    /// In messages.
    pub messages: MessageSums,
    /// Messages that are in nobody's count: put there by processes before they said so, or by others.
    pub unknown_published: Bounds,
    /// Messages that have gone, and are in nobody's count.
    pub unknown_gone: Bounds,
    /// How many could be missing without showing.
    pub leeway: Leeway,
    /// Dead letters that are gone though no process says that it replayed or purged them.
    pub unknown_dead_letters: u64,
    /// What is not as it should be, in words.
    pub findings: Vec<String>,
    /// Every process that has used the stream, the oldest first.
    pub processes: Vec<Process>,
}

impl Paper {
    pub(super) fn standing(&self) -> Standing {
        match &self.after {
            Ok(note) if note.has_ended => Standing::Ended,
            _ if self.is_living => Standing::Living,
            _ => Standing::Silent,
        }
    }
}

impl Ledger {
    pub(super) fn new(account: Account, papers: Vec<Paper>) -> Self {
        let Account { look, counted } = account;
        let sums = Sums::of(&papers);
        let (taken, in_stream) = (look.events.taken, look.events.messages);
        let gone = look.events.gone();
        let bounds = |low, high| Bounds { low, high: (!sums.is_open()).then_some(high) };
        let (published, settled) =
            (bounds(sums.published_low, sums.published_high), bounds(sums.settled_low, sums.settled_high));
        let rest = |number: u64, low, high| Bounds {
            low: number.saturating_sub(high),
            high: Some(number.saturating_sub(low)),
        };
        let events = events(&papers, counted);
        let mut ledger = Self {
            stream: look.events.name.clone(),
            verdict: Verdict::Balanced,
            events,
            messages: MessageSums {
                taken,
                published,
                in_stream,
                gone,
                settled,
                dead_letters: look.dead.as_ref().map_or(0, |dead| dead.messages),
                repeated: sums.repeated,
                redelivered: sums.redelivered,
            },
            unknown_published: rest(taken, sums.published_low, sums.published_high),
            unknown_gone: rest(gone, sums.settled_low, sums.settled_high),
            leeway: Leeway {
                published: sums.published_loose,
                settled: sums.settled_loose,
                dead_letters: sums.letters.loose(look.dead.as_ref()),
            },
            unknown_dead_letters: sums.letters.missing(look.dead.as_ref()),
            findings: sums.unreadable.clone(),
            processes: Vec::new(),
        };
        ledger.judge(&sums);
        ledger.processes = processes(papers);
        ledger
    }

    fn judge(&mut self, sums: &Sums) {
        let MessageSums { taken, published, gone, settled, .. } = self.messages;
        let ((lost, strange), (back, vanished)) = (published.misses(taken), settled.misses(gone));
        let mut broken = Vec::new();
        let mut find = |number: u64, one: &str, many: &str, what: &str| {
            if number > 0 {
                broken.push(format!("{number} {} {what}", if number == 1 { one } else { many }));
            }
        };
        find(lost, "message is", "messages are", "LOST: the stream acknowledged more than it has ever taken");
        find(
            vanished,
            "message has",
            "messages have",
            "gone from the stream, and no process says that it delivered or buried them: somebody removed them, or a limit \
             of the stream did",
        );
        find(
            strange,
            "message is",
            "messages are",
            "in nobody's count: a process that keeps none has put them there",
        );
        find(
            back,
            "message is",
            "messages are",
            "in the stream again though it had confirmed their end: they will be delivered again",
        );
        let letters = self.unknown_dead_letters;
        let doubts = self.doubts(sums.is_open());
        if !sums.is_open() {
            find(
                letters,
                "dead letter is",
                "dead letters are",
                "gone, and nobody says who has them: no process replayed or purged them",
            );
        }
        self.verdict = match (broken.is_empty(), sums.is_open() || !doubts.is_empty()) {
            (false, _) => Verdict::Unbalanced,
            (true, true) => Verdict::Unknown,
            (true, false) => Verdict::Balanced,
        };
        self.findings.extend(broken);
        self.findings.extend(doubts);
    }

    /// What nobody can know, in words.
    fn doubts(&self, is_open: bool) -> Vec<String> {
        let mut doubts = Vec::new();
        let mut doubt = |number: u64, what: &str| {
            if number > 0 {
                doubts.push(format!("up to {number} {what}"));
            }
        };
        doubt(
            self.leeway.published,
            "messages could be lost, or put there by others, without showing: so many messages may have been counted twice, or were \
             given up on their way into the stream",
        );
        doubt(
            self.leeway.settled,
            "messages could have gone without showing: so many messages were leased again and may have been delivered or buried \
             twice, or their end was never confirmed",
        );
        doubt(
            self.leeway.dead_letters,
            "dead letters could be gone without showing: so many may have been buried twice, or their removal was never \
             confirmed",
        );
        if is_open {
            doubt(
                self.unknown_dead_letters,
                "dead letters are gone, and only a process without a last word can have replayed or purged them",
            );
        }
        doubts
    }
}

fn events(papers: &[Paper], counted: Option<u64>) -> EventSums {
    let mut sum = EventSums { in_stream: counted, ..EventSums::default() };
    for paper in papers {
        let Ok(note) = &paper.after else { continue };
        sum.accepted += note.counts.accepted;
        sum.waiting += note.counts.waiting;
        sum.published += note.traffic.published;
        sum.replayed += note.traffic.replayed;
        // What the silent had comes back by itself.
        sum.leased += if paper.standing() == Standing::Living { note.traffic.held } else { 0 };
        sum.delivered += note.counts.delivered;
        sum.buried += note.counts.buried;
    }
    sum
}

fn processes(papers: Vec<Paper>) -> Vec<Process> {
    let known = papers.into_iter().filter_map(|paper| {
        let standing = paper.standing();
        paper.after.ok().map(|note| Process { standing, note })
    });
    let mut known: Vec<Process> = known.collect();
    known.sort_by_key(|process| process.note.started_ms);
    known
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.high {
            Some(high) if high == self.low => write!(f, "{high}"),
            Some(high) => write!(f, "{} to {high}", self.low),
            None => write!(f, "{} or more", self.low),
        }
    }
}
