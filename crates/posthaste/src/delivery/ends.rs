//! How what was leased comes to its end: delivered, or buried, or taken back by the queue; and who waits for it.
//!
//! Invariant: the books, the queue and the waiters learn of each end at one moment, and once.

use std::{sync::Arc, time::Duration};

use super::{
    books::Act,
    burial::{Burial, Burials, News},
    held::Held,
    item::Item,
    job::Part,
    lanes::Lanes,
    leases::{Fate, Lease, Leases, PartEnd},
    line::{Line, Lines},
    mailbox::Command,
    options::WhenFull,
    pending::Asked,
    shared::Shared,
    supply::{Endings, Renewal},
    waiters::{Progress, Waiters},
};
use crate::{
    dispatch::Answer,
    outcome::{DeadReason, Trouble},
    queue::{Eventually, Leased, QueueError},
};

/// What is leased, and what is left to do with what has ended.
pub(super) struct Ends<T: Item> {
    shared: Arc<Shared<T>>,
    leases: Leases,
    held: Held,
    renewal: Renewal,
    burials: Burials<T>,
    endings: Endings,
    waiters: Waiters<T>,
    /// Events of the backlog that have not ended.
    backlog_events: u64,
    /// Something has changed that others want to know of.
    has_news: bool,
    /// The queue has room that callers who wait for some have not been told of.
    has_room: bool,
}

/// Something that has taken its time.
pub(super) enum Event<T> {
    Burial(News<T>),
    /// The queue has let go of these, or has not.
    Ended(Vec<u64>, Result<(), QueueError>),
    /// The queue has taken these back.
    Lost(Vec<u64>),
}

impl<T: Item> Ends<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        let lease_time = shared.queue().lease_time();
        Self {
            leases: Leases::new(lease_time.is_some()),
            held: Held::new(window_bytes(&shared)),
            renewal: Renewal::new(lease_time, shared.clock().elapsed()),
            burials: Burials::default(),
            endings: Endings::default(),
            waiters: Waiters::default(),
            backlog_events: 0,
            has_news: false,
            has_room: false,
            shared,
        }
    }

    fn now(&self) -> Duration {
        self.shared.clock().elapsed()
    }

    fn now_ms(&self) -> i64 {
        self.shared.clock().now_ms()
    }

    /// The sequence that the next lease of each line gets.
    pub(super) fn next_sequences(&self) -> Lines {
        self.leases.next()
    }

    /// Leases that have not ended.
    pub(super) fn open(&self) -> usize {
        self.leases.open()
    }

    /// How many bytes more may be leased in this line.
    pub(super) fn bytes_left(&self, line: Line) -> usize {
        self.held.left(line)
    }

    /// Those of them that are of the backlog.
    pub(super) fn open_paced(&self) -> usize {
        self.leases.open_paced()
    }

    /// The lease of an item that takes this many bytes.
    pub(super) fn begin_lease(&mut self, line: Line, id: u64, bytes: impl FnOnce() -> usize) -> Lease {
        let lease = self.leases.begin_in(line, id);
        self.held.begin(lease.place(), bytes);
        self.waiters.lease_begun(lease.place());
        lease
    }

    /// What waits in the queue is the backlog, with everything that has been leased, in all so many events; so are new
    /// leases below this sequence.
    pub(super) fn begin_backlog(&mut self, before: u64, events: u64) {
        self.backlog_events = events;
        self.leases.pace_before(before);
        self.held.begin_backlog();
        if before == self.leases.next().new {
            self.waiters.backlog_begun(self.leases.next());
        }
    }

    /// The queue had one line, and nothing of it is left.
    pub(super) fn end_backlog(&mut self) {
        self.leases.pace_no_more();
    }

    /// About how many events of the backlog have not ended.
    pub(super) fn backlog_events(&self) -> u64 {
        self.backlog_events
    }

    /// The item of this lease is now in one part more.
    pub(super) fn split(&mut self, lease: Option<Lease>) {
        if let Some(lease) = lease {
            self.leases.split(lease);
        }
    }

    pub(super) fn delivered(&mut self, parts: Vec<Part<T>>) {
        self.end(parts.into_iter().map(|part| (part.lease, part.item.events(), Fate::Delivered)));
    }

    fn end(&mut self, parts: impl Iterator<Item = (Lease, usize, Fate)>) {
        let Self { leases, held, waiters, shared, backlog_events, .. } = self;
        let mut ids = Vec::with_capacity(parts.size_hint().0);
        let answer = shared.books().act(|act| {
            let mut delivered = 0;
            for (lease, events, fate) in parts {
                if leases.is_paced(lease) {
                    *backlog_events = backlog_events.saturating_sub(events as u64);
                }
                match leases.end_part(lease, events, fate) {
                    PartEnd::Lost => continue,
                    PartEnd::OthersLeft => act.end_early(lease.id(), events),
                    PartEnd::Last { was_split } => {
                        if was_split {
                            act.end_whole(lease.id());
                        }
                        ids.push(lease.id());
                        held.end(lease.place());
                        waiters.lease_ended(lease.place());
                    }
                }
                match fate {
                    Fate::Delivered => delivered += events,
                    Fate::Buried(reason) => act.bury(events, reason),
                }
            }
            act.deliver(delivered);
            shared.queue().settle(&ids)
        });
        self.has_room = true;
        if !matches!(answer, Eventually::Now(Ok(()))) {
            let (now, now_ms) = (self.now(), self.now_ms());
            self.endings.begin(ids, answer, now, now_ms);
        }
    }

    /// Tells callers who wait for room, if there is some that they have not been told of.
    pub(super) fn tell_of_room(&mut self) {
        if std::mem::take(&mut self.has_room) {
            self.shared.admission().room_made();
        }
    }

    /// A part that the API refuses.
    pub(super) fn bury(&mut self, part: Part<T>, reason: DeadReason, answer: &Answer) {
        let (status, text) = match answer {
            Ok(response) => (Some(response.status), response.text.clone()),
            Err(error) => (None, error.to_string()),
        };
        self.bury_with(part, reason, status, text);
    }

    /// A part that is too old to be sent.
    pub(super) fn expire(&mut self, part: Part<T>, text: String) {
        self.bury_with(part, DeadReason::Expired, None, text);
    }

    fn bury_with(&mut self, part: Part<T>, reason: DeadReason, status: Option<u16>, text: String) {
        let is_whole = !self.leases.is_split(part.lease);
        let letter = self.shared.letter(part.item, reason, status, text);
        self.begin_burial(Burial { id: None, lease: part.lease, letter, is_whole });
    }

    fn begin_burial(&mut self, burial: Burial<T>) {
        let now = self.now();
        let kept = self.burials.begin(self.shared.letters(), burial, now);
        self.has_news |= self.burials.trouble().is_some();
        if let Some(burial) = kept {
            self.buried(&burial);
        }
    }

    /// Where room is being made for one letter, the next would find none either.
    fn begin_burials(&mut self, burials: Vec<Burial<T>>) {
        let mut burials = burials.into_iter();
        while !self.burials.is_room_being_made()
            && let Some(burial) = burials.next()
        {
            self.begin_burial(burial);
        }
        self.burials.put_off(burials);
    }

    fn buried(&mut self, Burial { id, lease, letter, .. }: &Burial<T>) {
        self.end(std::iter::once((*lease, letter.item.events(), Fate::Buried(letter.reason))));
        if let Some(id) = id {
            self.shared.letters().buried(*id);
        }
        self.shared.letters().tell(letter);
    }

    /// What the queue has let go to make room for newer items; it stood in this line.
    pub(super) fn bury_displaced(&mut self, line: Line) {
        /// Keeps one call's memory and time small.
        const AT_ONCE: usize = 1_024;
        if self.burials.is_stuck() {
            return;
        }
        let displaced = self.shared.queue().displaced(AT_ONCE);
        let burial = |Leased { id, item, .. }: Leased<T>| {
            let lease = self.begin_lease(line, id, || item.bytes());
            let letter = self.shared.letter(item, DeadReason::Displaced, None, String::new());
            Burial { id: None, lease, letter, is_whole: true }
        };
        let burials = displaced.into_iter().map(burial).collect();
        self.begin_burials(burials);
    }

    /// Waits for dead letters that came from outside, and for those whose events are on their way into the queue.
    pub(super) fn follow_letters(&mut self) {
        self.burials.follow(self.shared.letters());
    }

    /// The next thing that has taken its time. Never resolves where there is none.
    pub(super) async fn next_event(&mut self) -> Event<T> {
        let Self { burials, endings, renewal, .. } = self;
        tokio::select! {
            biased;
            news = burials.next() => Event::Burial(news),
            (ids, answer) = endings.next() => Event::Ended(ids, answer),
            lost = renewal.next() => Event::Lost(lost),
        }
    }

    pub(super) fn take(&mut self, event: Event<T>, lanes: &mut Lanes<T>) {
        let (now, now_ms) = (self.now(), self.now_ms());
        match event {
            Event::Burial(News::Kept(burial, kept)) => {
                self.has_news = true;
                let id = burial.id;
                match self.burials.kept(burial, kept, now) {
                    Some(burial) => self.buried(&burial),
                    None => id.into_iter().for_each(|id| self.shared.letters().buried(id)),
                }
            }
            Event::Burial(News::Replayed(id, stored)) => self.shared.letters().replayed(id, stored.is_ok()),
            Event::Burial(News::Direct(id, kept)) => self.shared.letters().directly_kept(id, kept.is_ok()),
            Event::Ended(ids, answer) => {
                self.has_news = true;
                self.endings.ended(ids, answer, now, now_ms);
            }
            Event::Lost(ids) => self.lose(&ids, lanes),
        }
    }

    /// What failed a while ago, and what would run out.
    pub(super) fn try_again(&mut self, lanes: &mut Lanes<T>) {
        let (now, now_ms) = (self.now(), self.now_ms());
        let again = self.burials.take_again(now);
        self.begin_burials(again);
        let ids = self.endings.take_again(now);
        if !ids.is_empty() {
            let answer = self.shared.queue().settle(&ids);
            self.endings.begin(ids, answer, now, now_ms);
        }
        if self.renewal.is_due(now) {
            let ids = self.leases.ids();
            let lost = self.renewal.begin(self.shared.queue().renew(&ids), now);
            self.lose(&lost, lanes);
        }
    }

    /// The queue has taken these back: nobody here sends them again.
    fn lose(&mut self, ids: &[u64], lanes: &mut Lanes<T>) {
        let Self { leases, held, shared, waiters, .. } = self;
        for id in ids {
            let Some((place, ended)) = leases.lose(*id) else { continue };
            held.end(place);
            waiters.lease_lost(place, leases.next());
            shared.books().act(|act| {
                act.end_whole(*id);
                for (fate, events) in ended {
                    take_back(act, events, fate);
                }
            });
        }
        if ids.is_empty() {
            return;
        }
        lanes.retain(&mut |part: &Part<T>| keep(leases, part), shared.options());
    }

    /// Whether some request may hold what the queue has taken back.
    pub(super) fn some_are_lost(&self) -> bool {
        self.leases.some_are_lost()
    }

    /// Whether a part is still ours. One that is not ends here, without counting.
    pub(super) fn keep(&mut self, part: &Part<T>) -> bool {
        keep(&mut self.leases, part)
    }

    /// When there is something to do, whatever happens until then.
    pub(super) fn due(&self) -> Option<Duration> {
        let moments =
            [self.endings.due(), self.renewal.due(), self.burials.due(), self.waiters.next_deadline()];
        moments.into_iter().flatten().min()
    }

    /// Whether something has changed since the last call.
    pub(super) fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.burials.trouble().or_else(|| self.endings.trouble())
    }

    fn progress(&self, unleased: Lines) -> Progress {
        Progress { now: self.now(), next: self.leases.next(), unleased }
    }

    /// Somebody waits for everything that is there.
    pub(super) fn wait(&mut self, Command { within, asked }: Command<T>, unleased: Lines) {
        let deadline = self.now().saturating_add(within);
        let Lines { new, backlog } = self.leases.next();
        let target = Lines { new: new + unleased.new, backlog: backlog + unleased.backlog };
        self.waiters.add(asked, deadline, target, self.leases.open());
    }

    /// When everything ends at the latest, where somebody has asked to close.
    pub(super) fn closing(&self) -> Option<Duration> {
        self.waiters.closing()
    }

    pub(super) fn is_time_to_end(&self, unleased: Lines) -> bool {
        self.waiters.is_time_to_end(self.progress(unleased))
    }

    /// Those who need not or cannot wait any longer, with how much is left for each.
    pub(super) fn take_over(&mut self, unleased: Lines) -> Vec<(Asked<T>, u64)> {
        self.waiters.take_over(self.progress(unleased))
    }

    pub(super) fn take_waiters(&mut self) -> Vec<Asked<T>> {
        self.waiters.take_all()
    }

    /// Gives burials and the queue's confirmations the time that is left.
    pub(super) async fn finish(&mut self, until: Duration, lanes: &mut Lanes<T>) {
        self.follow_letters();
        while (self.burials.are_under_way() || !self.endings.are_confirmed()) && self.now() < until {
            let due = self.endings.due().unwrap_or(until).min(until);
            let sleep = self.shared.clock().sleep(due.saturating_sub(self.now()));
            let event = tokio::select! {
                event = self.next_event() => Some(event),
                () = sleep => None,
            };
            match event {
                Some(event) => self.take(event, lanes),
                None => self.try_again(lanes),
            }
        }
    }
}

/// How many bytes may be leased. What is leased makes no room: where the oldest are to, most of the queue is not.
fn window_bytes<T: Item>(shared: &Shared<T>) -> usize {
    /// Of the queue.
    const SHARE: u64 = 4;
    let options = shared.options();
    let of_queue = match shared.queue().capacity_bytes() {
        u64::MAX => u64::MAX,
        bytes => bytes / SHARE,
    };
    match options.when_full {
        WhenFull::DropOldest => {
            options.window_bytes.min(usize::try_from(of_queue).unwrap_or(usize::MAX)).max(1)
        }
        _ => options.window_bytes,
    }
}

fn keep<T>(leases: &mut Leases, part: &Part<T>) -> bool {
    let is_lost = leases.is_lost(part.lease);
    if is_lost {
        leases.end_part(part.lease, 0, Fate::Delivered);
    }
    !is_lost
}

/// They will come to an end again.
fn take_back(act: &Act<'_>, events: usize, fate: Fate) {
    match fate {
        Fate::Delivered => act.take_back_delivered(events),
        Fate::Buried(reason) => act.take_back_buried(events, reason),
    }
}
