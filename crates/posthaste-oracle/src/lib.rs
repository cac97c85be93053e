//! Whether a pipeline of events kept its promises, found out without asking it.
//!
//! A pipeline that loses events may well lose them from its own books too. So somebody else keeps books: the producer
//! writes down what it offers and what it is told, the receiver writes down what arrives, and after the faults have
//! stopped this crate compares the two. It knows the laws and nothing else: no queue, no file, no request, and no type of
//! the code that it judges.
//!
//! ```
//! use posthaste_oracle::{Answer, Digest, Fact, Oracle};
//!
//! let payload = Digest::of(b"a purchase");
//! let mut oracle = Oracle::new();
//! oracle.note(Fact::Started { run: 1 });
//! oracle.note(Fact::Claimed { run: 1, id: 7, digest: payload }); // before it is offered
//! oracle.note(Fact::Accepted { run: 1, id: 7 });
//! oracle.note(Fact::Stored { run: 1, id: 7 });
//! oracle.note(Fact::Killed { run: 1 });
//! assert_eq!(oracle.verdict().lost(), 1); // stored, and nowhere to be found
//!
//! oracle.note(Fact::Arrived { id: 7, digest: payload, answer: Answer::Taken, at_ms: 0 });
//! assert_eq!(oracle.verdict().lost(), 0);
//! ```
//!
//! # Who says what
//!
//! ```text
//! producer ── Claimed ─▶ offers it ── Accepted ── Stored        (or NotStored; or Refused)
//! harness  ── Started ── Killed or Ended, of each process
//! receiver ── Arrived, with the answer that it gave
//! harness  ── Dead, Waiting: what it found in the files at the end; Reported: what the judged says of itself
//! ```
//!
//! An event has a number, its id, and a [`Digest`] of the payload as it must arrive, uuid and time included. A producer
//! that can be killed writes its facts through a [`FactLog`]: a line each, whole before it goes on, so that a line which
//! is not there was never acted upon.
//!
//! # The laws
//!
//! | broken by | what is right |
//! |---|---|
//! | lost | a stored event survives everything, an accepted one everything but the death of its process: it arrives, is a dead letter, or still waits |
//! | invented | whatever is there was offered |
//! | altered | whatever is there is as it was when it was offered, repeats included |
//! | refused but there | an event that was handed back is not kept. Where the process was killed before it answered, both are right |
//! | unjustly dead | a dead letter was refused by the receiver, alone in its request |
//! | unanswered | whoever offers gets an answer, unless the process is killed |
//! | ledgers | what a process says of itself agrees with what it was seen to do |
//! | fresh | an event that is offered after the faults have stopped arrives |
//!
//! Repeats are counted and no fault: the same event may arrive more than once, the same each time.

mod digest;
mod entry;
mod fact;
mod ledger;
mod log;
mod oracle;
mod verdict;

pub use digest::Digest;
pub use fact::{Answer, BadFact, Cause, Fact};
pub use ledger::Ledger;
pub use log::{FactLog, Facts, LogError};
pub use oracle::{Oracle, STRANGERS_MAX};
pub use verdict::{EXAMPLES_MAX, Fault, Finding, Fresh, Lost, Verdict};
