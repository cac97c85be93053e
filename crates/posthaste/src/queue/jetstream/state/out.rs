//! The way out of the stream: what is fetched, leased, and comes to its end.

use std::time::Duration;

use async_nats::Subject;
use rustc_hash::FxHashSet;

use super::{Arrived, Fetched, Held, Lease, Place, State, events};
use crate::{
    batch::LogEvent,
    queue::{QueueItem as _, leasing::Leasing},
};

/// The way out.
impl State {
    /// A message has come. `left`: how many more the stream has for us.
    pub(in crate::queue::jetstream) fn arrived(
        &mut self,
        sequence: u64,
        reply: Subject,
        left: u64,
        now: Duration,
        until: Duration,
        item: impl FnOnce() -> LogEvent,
    ) -> Arrived {
        self.fetched(sequence);
        self.left_in_stream = left;
        self.idle_beats = 0;
        match self.places.get(&sequence) {
            None => {
                let held = Held { item: item(), reply, until, fetched_at: now, is_again: false };
                self.buffer_bytes += held.item.bytes();
                self.places.insert(sequence, Place::Buffer);
                self.buffer.push_back(Fetched { sequence, lease: held });
                Arrived::Buffered
            }
            Some(Place::Aside) => Arrived::Known,
            Some(Place::Buffer) => {
                let known = self.buffer.iter_mut().find(|fetched| fetched.sequence == sequence);
                if let Some(fetched) = known {
                    (fetched.lease.reply, fetched.lease.until) = (reply, until);
                }
                Arrived::Known
            }
            Some(Place::Lease(id)) => {
                let Some(lease) = self.leases.get_mut(id) else { return Arrived::Known };
                (lease.held.reply, lease.held.until) = (reply, until);
                if lease.is_settling { Arrived::Settled } else { Arrived::Known }
            }
        }
    }

    /// Messages come in the order of their places, unless they come again.
    fn fetched(&mut self, sequence: u64) {
        self.last_fetched = self.last_fetched.max(sequence);
        while self.unfetched.front().is_some_and(|first| *first <= self.last_fetched) {
            self.unfetched.pop_front();
        }
    }

    /// A message that cannot be read. False: it is on its way already.
    pub(in crate::queue::jetstream) fn aside(&mut self, sequence: u64) -> bool {
        self.fetched(sequence);
        let is_new = self.places.insert(sequence, Place::Aside).is_none();
        self.busy += usize::from(is_new);
        is_new
    }

    /// It is a dead letter with so many events, or could not be kept, and comes again. `is_again`: somebody had it before.
    pub(in crate::queue::jetstream) fn set_aside(
        &mut self,
        sequence: u64,
        kept: Option<u64>,
        is_again: bool,
    ) {
        self.places.remove(&sequence);
        self.busy -= 1;
        self.traffic.unreadable += kept.unwrap_or_default();
        self.traffic.messages.settled += u64::from(kept.is_some());
        self.traffic.messages.settled_again += u64::from(kept.is_some() && is_again);
    }

    /// A pull is open, and the stream has nothing for it.
    pub(in crate::queue::jetstream) fn idle(&mut self) {
        // One may have been on its way while something was published.
        const SURE: u32 = 2;
        self.idle_beats = self.idle_beats.saturating_add(1);
        if self.idle_beats >= SURE {
            self.left_in_stream = 0;
            self.unfetched.clear();
        }
    }

    /// Messages that the stream probably has for us.
    pub(super) fn in_stream(&self) -> u64 {
        self.left_in_stream.max(self.unfetched.len() as u64)
    }

    /// How many messages more the buffer bears.
    pub(in crate::queue::jetstream) fn room(&self, items: usize, bytes: usize) -> usize {
        if self.is_halted() || self.buffer_bytes >= bytes {
            return 0;
        }
        items.saturating_sub(self.buffer.len())
    }

    /// Nothing is to be fetched now.
    pub(in crate::queue::jetstream) fn is_halted(&self) -> bool {
        self.is_closed || self.is_resting
    }

    pub(in crate::queue::jetstream) fn has_buffered(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Somebody wants something: fetching goes on. True: it had stopped.
    pub(in crate::queue::jetstream) fn wanted(&mut self) -> bool {
        std::mem::take(&mut self.is_resting)
    }

    /// Hands out what the buffer has.
    pub(in crate::queue::jetstream) fn lease(&mut self, leasing: &mut Leasing<LogEvent>) {
        while leasing.wants_more()
            && let Some(Fetched { sequence, lease }) = self.buffer.pop_front()
        {
            let id = self.next_id;
            self.next_id += 1;
            self.buffer_bytes -= lease.item.bytes();
            let events = events(&lease.item);
            self.traffic.leased += events;
            self.traffic.held += events;
            leasing.take(id, lease.item.clone());
            self.places.insert(sequence, Place::Lease(id));
            self.leases.insert(id, Lease { sequence, held: lease, is_settling: false });
        }
    }

    /// These have come to their end. Returns where to say so.
    pub(in crate::queue::jetstream) fn settle(&mut self, ids: &[u64]) -> Vec<(u64, Subject)> {
        let mut replies = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(lease) = self.leases.get_mut(id) else { continue };
            if !std::mem::replace(&mut lease.is_settling, true) {
                self.settling += 1;
                self.traffic.messages.settling += 1;
                self.traffic.held -= events(&lease.held.item);
            }
            replies.push((*id, lease.held.reply.clone()));
        }
        replies
    }

    /// The stream has confirmed the end of these.
    pub(in crate::queue::jetstream) fn settled(&mut self, ids: &[u64]) {
        for id in ids {
            if let Some(lease) = self.leases.remove(id) {
                self.places.remove(&lease.sequence);
                self.settling -= usize::from(lease.is_settling);
                self.traffic.messages.settling -= u64::from(lease.is_settling);
                self.traffic.messages.settled += 1;
                self.traffic.messages.settled_again += u64::from(lease.held.is_again);
                self.traffic.settled += events(&lease.held.item);
            }
        }
    }

    /// The place in the stream of a leased message.
    pub(in crate::queue::jetstream) fn sequence_of(&self, id: u64) -> Option<u64> {
        self.leases.get(&id).map(|lease| lease.sequence)
    }

    /// Where to say that these are still worked on.
    pub(in crate::queue::jetstream) fn replies(&self, ids: &[u64]) -> Vec<(u64, Subject)> {
        let lasting = |id: &u64| self.leases.get(id).filter(|lease| !lease.is_settling);
        ids.iter().filter_map(|id| Some((*id, lasting(id)?.held.reply.clone()))).collect()
    }

    /// The stream has heard by now that these are worked on. It says so of messages that others have, too: what had run out
    /// before stays lost.
    pub(in crate::queue::jetstream) fn renewed(&mut self, ids: &[u64], now: Duration, until: Duration) {
        for id in ids {
            if let Some(lease) = self.leases.get_mut(id) {
                lease.held.renew(now, until);
            }
        }
    }

    /// Those of these leases that have run out: others may have their messages. They end here.
    pub(in crate::queue::jetstream) fn lose_over(&mut self, ids: &[u64], now: Duration) -> Vec<u64> {
        let is_over =
            |id: &u64| self.leases.get(id).is_none_or(|lease| !lease.is_settling && lease.held.until <= now);
        let lost: Vec<u64> = ids.iter().copied().filter(is_over).collect();
        for id in &lost {
            self.give_back(*id, now);
        }
        lost
    }

    /// Its message is the stream's again. Returns where to say so, unless others may have it: they would lose it.
    fn give_back(&mut self, id: u64, now: Duration) -> Option<Subject> {
        let lease = self.leases.remove(&id)?;
        self.places.remove(&lease.sequence);
        let events = events(&lease.held.item);
        self.traffic.held -= events;
        self.traffic.returned += events;
        (lease.held.until > now).then_some(lease.held.reply)
    }

    /// All leases end, and the buffer is empty. Returns where to say so.
    pub(in crate::queue::jetstream) fn release(&mut self, now: Duration) -> Vec<Subject> {
        let lasting = self.leases.iter().filter(|(_, lease)| !lease.is_settling);
        let ids: Vec<u64> = lasting.map(|(id, _)| *id).collect();
        let mut replies: Vec<Subject> = ids.into_iter().filter_map(|id| self.give_back(id, now)).collect();
        replies.extend(self.empty_buffer(now));
        self.is_resting = true;
        replies
    }

    fn empty_buffer(&mut self, now: Duration) -> Vec<Subject> {
        self.buffer_bytes = 0;
        self.is_resting |= !self.buffer.is_empty();
        self.left_in_stream += self.buffer.len() as u64;
        let Self { buffer, places, .. } = self;
        let let_go = |fetched: Fetched| {
            places.remove(&fetched.sequence);
            (fetched.lease.until > now).then_some(fetched.lease.reply)
        };
        buffer.drain(..).filter_map(let_go).collect()
    }

    /// What waits in the buffer and would run out before this time.
    pub(in crate::queue::jetstream) fn buffered_until(&self, until: Duration) -> Vec<(u64, Subject)> {
        let over = self.buffer.iter().filter(|fetched| fetched.lease.until <= until);
        over.map(|fetched| (fetched.sequence, fetched.lease.reply.clone())).collect()
    }

    /// The stream knows that these of the buffer are still wanted.
    pub(in crate::queue::jetstream) fn buffer_renewed(
        &mut self,
        sequences: &[u64],
        now: Duration,
        until: Duration,
    ) {
        let sequences: FxHashSet<u64> = sequences.iter().copied().collect();
        for fetched in self.buffer.iter_mut().filter(|fetched| sequences.contains(&fetched.sequence)) {
            fetched.lease.renew(now, until);
        }
    }

    /// What ran out in the buffer goes: others may have it. What has been there for longer than `idle` goes with everything
    /// else: nobody here wants it. Returns where to say so.
    pub(in crate::queue::jetstream) fn let_go(&mut self, now: Duration, idle: Duration) -> Vec<Subject> {
        if self.buffer.front().is_some_and(|first| first.lease.fetched_at.saturating_add(idle) <= now) {
            return self.empty_buffer(now);
        }
        let Self { buffer, places, buffer_bytes, .. } = self;
        buffer.retain(|fetched| {
            let lasts = fetched.lease.until > now;
            if !lasts {
                places.remove(&fetched.sequence);
                *buffer_bytes -= fetched.lease.item.bytes();
            }
            lasts
        });
        Vec::new()
    }
}
