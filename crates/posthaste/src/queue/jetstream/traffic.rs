//! How much has gone through: in events, which people count, and in messages, which the stream counts too.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// How much has gone through, in events unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Traffic {
    /// Taken from callers.
    pub accepted: u64,
    /// Taken from callers, and in the stream by now.
    pub published: u64,
    /// Publishes that the stream knew already, having been tried again: in messages.
    pub repeated: u64,
    /// Leased from the stream.
    pub leased: u64,
    /// Leased, and given back or lost: others deliver them.
    pub returned: u64,
    /// Leased, and come to their end, delivered or buried, as the stream has confirmed.
    pub settled: u64,
    /// Of letters in the stream of the dead, those that were not there before.
    pub buried: u64,
    /// Of messages that cannot be read, and are dead letters.
    pub unreadable: u64,
    /// Put back into the stream, having been dead letters, by whoever holds the stream's letters.
    pub replayed: u64,
    /// Taken from callers, and given up at the end.
    pub given_up: u64,
    /// On their way into the stream now.
    pub publishing: u64,
    /// Leased now.
    pub held: u64,
    /// The same in messages.
    pub messages: Messages,
}

/// How many messages have gone through. The stream counts them by itself, so that its count can be held against this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Messages {
    /// Acknowledged by the stream, those that it knew already included.
    pub published: u64,
    /// Of those, the ones that it knew under an id of the caller's: an earlier process may have counted them.
    pub known: u64,
    /// On their way into the stream now.
    pub publishing: u64,
    /// Given up on their way; nobody knows whether the stream has them.
    pub given_up: u64,
    /// Gone from the stream, as it has confirmed.
    pub settled: u64,
    /// Of those, the ones that somebody had before: two may have settled one of these.
    pub settled_again: u64,
    /// Told to go, and not confirmed yet.
    pub settling: u64,
    /// Told to go by a queue that has ended since: nobody knows whether they went.
    pub maybe_settled: u64,
    /// Come here after somebody had them before.
    pub redelivered: u64,
    /// Dead letters put back into the stream.
    pub replayed: u64,
    /// Dead letters that the stream of the dead took.
    pub buried: u64,
    /// Dead letters that it had already: another may have counted them.
    pub buried_again: u64,
    /// Dead letters removed from it, replayed or purged.
    pub removed: u64,
    /// Dead letters being removed now.
    pub removing: u64,
    /// Dead letters that were to be removed; nobody knows whether this process did it.
    pub maybe_removed: u64,
}

impl Traffic {
    /// What is left of it once its queue is gone: nothing is under way any more, and of what was, nobody knows the end.
    pub(super) fn at_last(mut self) -> Self {
        self.given_up += std::mem::take(&mut self.publishing);
        self.messages.given_up += std::mem::take(&mut self.messages.publishing);
        self.messages.maybe_settled += std::mem::take(&mut self.messages.settling);
        self.messages.maybe_removed += std::mem::take(&mut self.messages.removing);
        self.returned += std::mem::take(&mut self.held);
        self
    }
}

impl Traffic {
    /// What has gone through since then. What is under way is so now.
    pub(super) fn since(self, then: &Self) -> Self {
        Self {
            accepted: self.accepted.saturating_sub(then.accepted),
            published: self.published.saturating_sub(then.published),
            repeated: self.repeated.saturating_sub(then.repeated),
            leased: self.leased.saturating_sub(then.leased),
            returned: self.returned.saturating_sub(then.returned),
            settled: self.settled.saturating_sub(then.settled),
            buried: self.buried.saturating_sub(then.buried),
            unreadable: self.unreadable.saturating_sub(then.unreadable),
            replayed: self.replayed.saturating_sub(then.replayed),
            given_up: self.given_up.saturating_sub(then.given_up),
            publishing: self.publishing,
            held: self.held,
            messages: self.messages.since(&then.messages),
        }
    }
}

impl Messages {
    fn since(self, then: &Self) -> Self {
        Self {
            published: self.published.saturating_sub(then.published),
            known: self.known.saturating_sub(then.known),
            publishing: self.publishing,
            given_up: self.given_up.saturating_sub(then.given_up),
            settled: self.settled.saturating_sub(then.settled),
            settled_again: self.settled_again.saturating_sub(then.settled_again),
            settling: self.settling,
            maybe_settled: self.maybe_settled.saturating_sub(then.maybe_settled),
            redelivered: self.redelivered.saturating_sub(then.redelivered),
            replayed: self.replayed.saturating_sub(then.replayed),
            buried: self.buried.saturating_sub(then.buried),
            buried_again: self.buried_again.saturating_sub(then.buried_again),
            removed: self.removed.saturating_sub(then.removed),
            removing: self.removing,
            maybe_removed: self.maybe_removed.saturating_sub(then.maybe_removed),
        }
    }

    /// Whether nothing is on its way into the stream or out of it.
    pub(super) fn is_at_rest(&self) -> bool {
        self.publishing == 0 && self.settling == 0 && self.removing == 0
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.published += other.published;
        self.repeated += other.repeated;
        self.leased += other.leased;
        self.returned += other.returned;
        self.settled += other.settled;
        self.buried += other.buried;
        self.unreadable += other.unreadable;
        self.replayed += other.replayed;
        self.given_up += other.given_up;
        self.publishing += other.publishing;
        self.held += other.held;
        self.messages += other.messages;
    }
}

impl AddAssign for Messages {
    fn add_assign(&mut self, other: Self) {
        self.published += other.published;
        self.known += other.known;
        self.publishing += other.publishing;
        self.given_up += other.given_up;
        self.settled += other.settled;
        self.settling += other.settling;
        self.settled_again += other.settled_again;
        self.maybe_settled += other.maybe_settled;
        self.redelivered += other.redelivered;
        self.replayed += other.replayed;
        self.buried += other.buried;
        self.buried_again += other.buried_again;
        self.removed += other.removed;
        self.removing += other.removing;
        self.maybe_removed += other.maybe_removed;
    }
}
