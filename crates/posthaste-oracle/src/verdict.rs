//! The laws, applied to the books: what was kept, what was not, and of which event.

use std::fmt;

use serde::Serialize;

use crate::{
    Oracle,
    entry::{Entry, Offer, Sight, Told},
    ledger::{Ends, Seen},
    oracle::{End, Run},
};

/// Events that are named for each kind of fault; the others are counted.
pub const EXAMPLES_MAX: usize = 10;

/// What the books say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Verdict {
    /// Events that were offered.
    pub claimed: u64,
    /// Answers to offers that said yes.
    pub accepted: u64,
    /// Events that were said to be stored.
    pub stored: u64,
    /// Events that are bound to be somewhere: stored, or accepted by a process that was not killed.
    pub promised: u64,
    /// Events whose receipt failed.
    pub not_stored: u64,
    /// Events that were handed back and not offered again.
    pub refused: u64,
    /// Events that the receiver took.
    pub arrived: u64,
    /// Events among the dead letters.
    pub dead: u64,
    /// Events that wait.
    pub waiting: u64,
    /// Events that were accepted, not said to be stored, and gone with their killed process: as announced.
    pub vanished: u64,
    /// Of those, the ones whose receipt had failed: nothing was left to keep them for their process's last moment.
    pub failed_and_gone: u64,
    /// Events that a process was killed with before it answered, and that are nowhere.
    pub unknown: u64,
    /// How often the receiver took an event that it had taken before.
    pub repeated: u64,
    /// Dead letters of events that have one already.
    pub letters_repeated: u64,
    /// Processes that were started.
    pub runs: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// Promised, and nowhere.
    pub lost_events: Lost,
    /// There, and never offered.
    pub invented: u64,
    /// There, and not as it was offered.
    pub altered: u64,
    /// There, though it was handed back.
    pub refused_but_there: u64,
    /// A dead letter says that the receiver refused it, which the receiver did not.
    pub unjustly_dead: u64,
    /// Offered to a process that was not killed, and never answered.
    pub unanswered: u64,
    /// Facts that cannot follow those before them: the harness is wrong, or the log is.
    pub contradictions: u64,
    /// Some of those, as a log has them.
    pub contradictory: Vec<String>,
    /// What processes said of themselves and was seen otherwise.
    pub ledgers: Vec<String>,
    /// Whether events flow after all faults.
    pub fresh: Fresh,
    /// Some of the events that the faults were found in.
    pub findings: Vec<Finding>,
}

/// Lost events, by the promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Lost {
    /// They were said to be stored: that survives everything.
    pub stored: u64,
    /// They were accepted: that survives as long as the process is not killed.
    pub accepted: u64,
}

/// Whether events flow after all faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fresh {
    /// Nobody tried.
    #[default]
    Untried,
    /// Every fresh event arrived.
    Flowed,
    /// One did not.
    Stuck,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Stored and nowhere.
    LostStored,
    /// Accepted and nowhere.
    LostAccepted,
    /// There and never offered.
    Invented,
    /// Not as it was.
    Altered,
    /// Handed back and kept.
    RefusedButThere,
    /// Dead without a reason.
    UnjustlyDead,
    /// No answer from a living process.
    Unanswered,
}

/// An event that a fault was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// The event.
    pub id: u64,
    /// The process that offered it last; 0 where nobody did.
    pub run: u32,
}

impl Verdict {
    /// Whether no law was broken, and events flow.
    pub fn ok(&self) -> bool {
        let faults = [
            self.lost(),
            self.invented,
            self.altered,
            self.refused_but_there,
            self.unjustly_dead,
            self.unanswered,
            self.contradictions,
            self.ledgers.len() as u64,
        ];
        faults == [0; 8] && self.fresh == Fresh::Flowed
    }

    /// How many promised events are nowhere.
    pub fn lost(&self) -> u64 {
        self.lost_events.stored + self.lost_events.accepted
    }

    pub(crate) fn of(oracle: &Oracle) -> Self {
        let mut verdict = Self {
            invented: oracle.strays,
            contradictions: oracle.contradictions_total,
            contradictory: oracle.contradictions.iter().map(ToString::to_string).collect(),
            runs: oracle.runs.len() as u64,
            kills: oracle.runs.values().filter(|run| run.end == End::Killed).count() as u64,
            accepted: oracle.runs.values().map(|run| run.accepted).sum(),
            ..Self::default()
        };
        for (id, entry) in &oracle.entries {
            verdict.count(entry);
            for fault in verdict.judge(oracle, entry) {
                verdict.blame(fault, *id, entry);
            }
        }
        verdict.hold_against_ledgers(oracle);
        verdict
    }

    fn count(&mut self, entry: &Entry) {
        if let Some(sight) = &entry.sight {
            self.arrived += u64::from(sight.taken > 0);
            self.dead += u64::from(sight.letters > 0);
            self.waiting += u64::from(sight.waiting);
            self.repeated += u64::from(sight.taken.saturating_sub(1));
            self.letters_repeated += u64::from(sight.letters.saturating_sub(1));
        }
        let Some(offer) = &entry.offer else { return };
        self.claimed += 1;
        self.stored += u64::from(offer.told == Told::Stored);
        self.not_stored += u64::from(offer.told == Told::NotStored);
        self.refused += u64::from(offer.told == Told::Refused);
        if offer.fresh {
            let has_arrived = entry.sight.is_some_and(|sight| sight.taken > 0);
            let flows = has_arrived && self.fresh != Fresh::Stuck;
            self.fresh = if flows { Fresh::Flowed } else { Fresh::Stuck };
        }
    }

    /// What is wrong with an event. Of what was lost or given up, the kind is counted here too.
    fn judge(&mut self, oracle: &Oracle, entry: &Entry) -> Vec<Fault> {
        let mut faults = Vec::new();
        if entry.sight.is_some_and(|sight| sight.is_unjustly_dead()) {
            faults.push(Fault::UnjustlyDead);
        }
        let Some(offer) = &entry.offer else {
            faults.push(Fault::Invented);
            return faults;
        };
        let was_killed = oracle.runs.get(&offer.run).is_some_and(|run| run.end == End::Killed);
        faults.extend(self.judge_offer(offer, entry.sight.as_ref(), was_killed));
        if entry.sight.is_some_and(|sight| sight.changed || sight.digest != offer.digest) {
            faults.push(Fault::Altered);
        }
        faults
    }

    fn judge_offer(&mut self, offer: &Offer, sight: Option<&Sight>, was_killed: bool) -> Option<Fault> {
        let is_kept = sight.is_some_and(Sight::is_kept);
        match offer.told {
            Told::Nothing if !was_killed => return Some(Fault::Unanswered),
            Told::Nothing => self.unknown += u64::from(!is_kept),
            Told::Refused if sight.is_some() && !offer.may_be_there => return Some(Fault::RefusedButThere),
            Told::Refused => {}
            Told::Stored => {
                self.promised += 1;
                return (!is_kept).then_some(Fault::LostStored);
            }
            Told::Accepted | Told::NotStored if was_killed => {
                self.vanished += u64::from(!is_kept);
                self.failed_and_gone += u64::from(!is_kept && offer.told == Told::NotStored);
            }
            Told::Accepted | Told::NotStored => {
                self.promised += 1;
                return (!is_kept).then_some(Fault::LostAccepted);
            }
        }
        None
    }

    fn blame(&mut self, fault: Fault, id: u64, entry: &Entry) {
        let count = match fault {
            Fault::LostStored => &mut self.lost_events.stored,
            Fault::LostAccepted => &mut self.lost_events.accepted,
            Fault::Invented => &mut self.invented,
            Fault::Altered => &mut self.altered,
            Fault::RefusedButThere => &mut self.refused_but_there,
            Fault::UnjustlyDead => &mut self.unjustly_dead,
            Fault::Unanswered => &mut self.unanswered,
        };
        *count += 1;
        if self.findings.iter().filter(|finding| finding.fault == fault).count() < EXAMPLES_MAX {
            let run = entry.offer.map_or(0, |offer| offer.run);
            self.findings.push(Finding { fault, id, run });
        }
    }

    /// Of processes that came to their own end: of a killed one, not all was heard.
    fn hold_against_ledgers(&mut self, oracle: &Oracle) {
        let last = oracle.runs.keys().next_back().copied();
        let is_alone = oracle.runs.len() == 1;
        for (number, run) in &oracle.runs {
            let (End::Ended, Some(ledger)) = (run.end, run.reported) else { continue };
            let Run { accepted, refused, .. } = *run;
            let seen = Seen {
                accepted,
                refused,
                waiting: (last == Some(*number)).then_some(self.waiting),
                ends: is_alone.then_some(Ends { arrived: self.arrived, dead: self.dead }),
            };
            let differences = ledger.compare(seen);
            self.ledgers.extend(differences.into_iter().map(|text| format!("process {number}: {text}")));
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LostStored => "was said to be stored, and is nowhere",
            Self::LostAccepted => "was accepted by a process that was not killed, and is nowhere",
            Self::Invented => "is there, and nobody offered it",
            Self::Altered => "is not as it was when it was offered",
            Self::RefusedButThere => "was handed back, and is there",
            Self::UnjustlyDead => "is a dead letter, and the receiver did not refuse it",
            Self::Unanswered => "was offered, and there was no answer",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} (process {}) {}", self.id, self.run, self.fault)
    }
}
