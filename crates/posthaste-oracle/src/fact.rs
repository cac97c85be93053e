//! What can be said about an event or a process: one fact, one line of text.
//!
//! ```text
//! claim 1 17 af63dc4c8601ec8c .       run, id, digest
//! arrive 17 af63dc4c8601ec8c taken 1795500003394 .
//! ```
//!
//! The dot says that the line is whole: a process may be killed while it writes one.

use std::{fmt, str::FromStr};

use crate::{Digest, Ledger};

/// Something that happened. A run is one life of a process, numbered by whoever starts it; runs that overlap are several
/// processes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// A process began.
    Started {
        /// Its number.
        run: u32,
    },
    /// A process was killed, or its machine was: it made no more promises, and keeps only what it said was stored.
    Killed {
        /// Its number.
        run: u32,
    },
    /// A process came to its own end.
    Ended {
        /// Its number.
        run: u32,
    },
    /// An event is about to be offered. The same event may be offered again after a refusal, or after a kill.
    Claimed {
        /// The process that offers it.
        run: u32,
        /// The event.
        id: u64,
        /// The payload as it must arrive.
        digest: Digest,
    },
    /// The event was offered after all faults had stopped: it has to arrive.
    Fresh {
        /// The event.
        id: u64,
    },
    /// The offer was accepted.
    Accepted {
        /// The process that offered it.
        run: u32,
        /// The event.
        id: u64,
    },
    /// The accepted event is as safe as was promised: its receipt resolved.
    Stored {
        /// The process that offered it.
        run: u32,
        /// The event.
        id: u64,
    },
    /// The accepted event's receipt failed. That takes back nothing: the event is delivered or a dead letter all the same.
    NotStored {
        /// The process that offered it.
        run: u32,
        /// The event.
        id: u64,
    },
    /// The offer was refused; the producer has the event back.
    Refused {
        /// The process that offered it.
        run: u32,
        /// The event.
        id: u64,
    },
    /// The receiver has read it.
    Arrived {
        /// The event.
        id: u64,
        /// The payload as it arrived.
        digest: Digest,
        /// What the receiver answered.
        answer: Answer,
        /// Milliseconds on any clock: for whoever reads the log.
        at_ms: u64,
    },
    /// The receiver has read something that no producer could have offered: it has no id.
    Stray {
        /// Milliseconds on any clock.
        at_ms: u64,
    },
    /// A dead letter was found.
    Dead {
        /// The event.
        id: u64,
        /// The payload as it was kept.
        digest: Digest,
        /// Why it is dead.
        cause: Cause,
    },
    /// It was found where events wait, at the end.
    Waiting {
        /// The event.
        id: u64,
        /// The payload as it was kept.
        digest: Digest,
    },
    /// What a process said of itself.
    Reported {
        /// Its number.
        run: u32,
        /// What it said.
        ledger: Ledger,
    },
}

/// What the receiver answered to the request that brought the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is the receiver's now (2xx).
    Taken,
    /// Nothing, or to come again (5xx, 429, a lost connection).
    NotNow,
    /// No, to the event alone (400, 413): it may become a dead letter.
    Refused,
    /// No, to a request with others in it: nobody knows whom it meant.
    RefusedInCompany,
}

/// Why an event is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The receiver is said to have refused it; whether it did is compared.
    Refused,
    /// Something for which the harness does not blame anybody, such as a displaced event where that was asked for.
    Excused,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { run } => write!(f, "start {run} ."),
            Self::Killed { run } => write!(f, "kill {run} ."),
            Self::Ended { run } => write!(f, "end {run} ."),
            Self::Claimed { run, id, digest } => write!(f, "claim {run} {id} {digest} ."),
            Self::Fresh { id } => write!(f, "fresh {id} ."),
            Self::Accepted { run, id } => write!(f, "accept {run} {id} ."),
            Self::Stored { run, id } => write!(f, "store {run} {id} ."),
            Self::NotStored { run, id } => write!(f, "fail {run} {id} ."),
            Self::Refused { run, id } => write!(f, "refuse {run} {id} ."),
            Self::Arrived { id, digest, answer, at_ms } => {
                write!(f, "arrive {id} {digest} {} {at_ms} .", answer.name())
            }
            Self::Stray { at_ms } => write!(f, "stray {at_ms} ."),
            Self::Dead { id, digest, cause } => write!(f, "dead {id} {digest} {} .", cause.name()),
            Self::Waiting { id, digest } => write!(f, "wait {id} {digest} ."),
            Self::Reported { run, ledger } => write!(f, "ledger {run} {ledger} ."),
        }
    }
}

/// A line that is no fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fact")]
pub struct BadFact(pub String);

impl FromStr for Fact {
    type Err = BadFact;

    fn from_str(line: &str) -> Result<Self, BadFact> {
        parse(line).ok_or_else(|| BadFact(line.to_owned()))
    }
}

fn parse(line: &str) -> Option<Fact> {
    let mut words = line.split(' ');
    let mut words = Words(&mut words);
    let fact = match words.next()? {
        "start" => Fact::Started { run: words.read()? },
        "kill" => Fact::Killed { run: words.read()? },
        "end" => Fact::Ended { run: words.read()? },
        "claim" => Fact::Claimed { run: words.read()?, id: words.read()?, digest: words.read()? },
        "fresh" => Fact::Fresh { id: words.read()? },
        "accept" => Fact::Accepted { run: words.read()?, id: words.read()? },
        "store" => Fact::Stored { run: words.read()?, id: words.read()? },
        "fail" => Fact::NotStored { run: words.read()?, id: words.read()? },
        "refuse" => Fact::Refused { run: words.read()?, id: words.read()? },
        "arrive" => Fact::Arrived {
            id: words.read()?,
            digest: words.read()?,
            answer: words.one_of(&Answer::ALL, Answer::name)?,
            at_ms: words.read()?,
        },
        "stray" => Fact::Stray { at_ms: words.read()? },
        "dead" => Fact::Dead {
            id: words.read()?,
            digest: words.read()?,
            cause: words.one_of(&Cause::ALL, Cause::name)?,
        },
        "wait" => Fact::Waiting { id: words.read()?, digest: words.read()? },
        "ledger" => Fact::Reported { run: words.read()?, ledger: words.ledger()? },
        _ => return None,
    };
    (words.next() == Some(".") && words.next().is_none()).then_some(fact)
}

/// What is left of a line.
struct Words<'a, 'b>(&'b mut std::str::Split<'a, char>);

impl<'a> Words<'a, '_> {
    fn next(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn read<T: FromStr>(&mut self) -> Option<T> {
        self.next()?.parse().ok()
    }

    fn one_of<T: Copy>(&mut self, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let word = self.next()?;
        all.iter().copied().find(|one| name(*one) == word)
    }

    fn ledger(&mut self) -> Option<Ledger> {
        Some(Ledger {
            recovered: self.read()?,
            accepted: self.read()?,
            delivered: self.read()?,
            dead: self.read()?,
            queued: self.read()?,
            refused: self.read()?,
        })
    }
}

impl Answer {
    const ALL: [Self; 4] = [Self::Taken, Self::NotNow, Self::Refused, Self::RefusedInCompany];

    fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::NotNow => "not-now",
            Self::Refused => "refused",
            Self::RefusedInCompany => "refused-in-company",
        }
    }
}

impl Cause {
    const ALL: [Self; 2] = [Self::Refused, Self::Excused];

    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Excused => "excused",
        }
    }
}
