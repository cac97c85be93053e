//! The counts of all, and of each session of a test.
//!
//! Invariants: no more than [`SESSIONS_MAX`] sessions have counts of their own, what more there are is counted under
//! [`OTHER_SESSIONS`]; a session that was forgotten and comes again begins anew.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::CollectorLedger;

/// Sessions that are told apart.
pub const SESSIONS_MAX: usize = 10_000;
/// What sessions are counted under once there are too many.
pub const OTHER_SESSIONS: &str = "(others)";

/// What has arrived in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SessionLedger {
    pub(crate) name: String,
    pub(crate) requests: u64,
    pub(crate) events: u64,
    pub(crate) good: u64,
    pub(crate) bad: u64,
    pub(crate) warned: u64,
    pub(crate) repeats: u64,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: CollectorLedger,
    named: BTreeMap<Box<str>, Session>,
    /// How many were begun.
    begun: u64,
}

#[derive(Debug, Default)]
struct Session {
    ledger: CollectorLedger,
    /// Its number among those that were begun.
    number: u64,
}

impl Sessions {
    /// Counts in all, and in the session if it is one.
    pub(super) fn count(&mut self, session: Option<&str>, count: impl Fn(&mut CollectorLedger)) {
        count(&mut self.all);
        if let Some(session) = session {
            self.with(session, |session| count(&mut session.ledger));
        }
    }

    /// Does it with the session, which begins where it is not known.
    fn with<T>(&mut self, name: &str, it: impl FnOnce(&mut Session) -> T) -> T {
        if let Some(known) = self.named.get_mut(name) {
            return it(known);
        }
        if self.named.len() >= SESSIONS_MAX && name != OTHER_SESSIONS {
            return self.with(OTHER_SESSIONS, it);
        }
        self.begun += 1;
        let begun = Session { number: self.begun, ..Session::default() };
        it(self.named.entry(name.into()).or_insert(begun))
    }

    /// A visitor's number, which is another one once the session was forgotten.
    pub(super) fn own(&mut self, session: Option<&str>, visitor: u64) -> u64 {
        session
            .map_or(visitor, |session| visitor.rotate_left(1) ^ self.with(session, |session| session.number))
    }

    /// The session's counts; those of all that are not told apart where it may be one of these.
    fn find(&self, name: &str) -> Option<&CollectorLedger> {
        let session = self.named.get(name).or_else(|| self.named.get(OTHER_SESSIONS));
        session.map(|session| &session.ledger)
    }

    pub(super) fn ledger(&self, session: Option<&str>) -> CollectorLedger {
        self.of(session).cloned().unwrap_or_default()
    }

    pub(super) fn forgotten(&self, session: Option<&str>) -> u64 {
        self.of(session).map_or(0, |ledger| ledger.forgotten)
    }

    pub(super) fn bad(&self, session: Option<&str>) -> u64 {
        self.of(session).map_or(0, |ledger| ledger.bad)
    }

    fn of(&self, session: Option<&str>) -> Option<&CollectorLedger> {
        match session {
            None => Some(&self.all),
            Some(name) => self.find(name),
        }
    }

    pub(super) fn list(&self) -> Vec<SessionLedger> {
        let one = |(name, session): (&str, &Session)| {
            let CollectorLedger { requests, events, good, bad, warned, duplicates: repeats, .. } =
                session.ledger;
            SessionLedger { name: str::to_owned(name), requests, events, good, bad, warned, repeats }
        };
        self.named.iter().map(|(name, session)| one((&**name, session))).collect()
    }

    /// About how much memory it takes.
    pub(super) fn memory(&self) -> usize {
        self.named.len() * (2 * size_of::<Session>() + 64)
    }

    /// Takes a session's counts out, of all too.
    pub(super) fn remove(&mut self, session: &str) {
        if let Some(Session { ledger, .. }) = self.named.remove(session) {
            self.all.take_out(&ledger);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_bounded_and_every_event_is_counted() {
        let mut sessions = Sessions::default();
        for number in 0..SESSIONS_MAX + 5 {
            sessions.count(Some(&format!("s{number}")), |ledger| ledger.events += 1);
        }
        assert_eq!(sessions.named.len(), SESSIONS_MAX + 1);
        assert_eq!(sessions.ledger(Some(OTHER_SESSIONS)).events, 5);
        let events: u64 = sessions.list().iter().map(|session| session.events).sum();
        assert_eq!(
            (events, sessions.ledger(None).events),
            (SESSIONS_MAX as u64 + 5, SESSIONS_MAX as u64 + 5)
        );
        // Of one that is not told apart nobody says that nothing came.
        assert_eq!(sessions.ledger(Some("s10004")).events, 5);
        sessions.remove("s3");
        assert_eq!(
            (sessions.named.contains_key("s3"), sessions.ledger(None).events),
            (false, SESSIONS_MAX as u64 + 4)
        );
    }
}
