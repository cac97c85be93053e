//! One tenant's part of a stream, for the tasks that work on it: what is here, and how the stream is told of it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_nats::Subject;
use futures_util::{StreamExt, stream};
use parking_lot::{Mutex, MutexGuard};
use tokio::{runtime::Handle, sync::Notify};

use super::{
    connection::{ANSWER_WITHIN, Core, now},
    publish::Stored,
    state::{Bounds, State},
    subject,
};
use crate::queue::{QueueError, QueueWatcher};

pub(super) const ACK: &[u8] = b"+ACK";
pub(super) const NAK: &[u8] = b"-NAK";
pub(super) const IN_PROGRESS: &[u8] = b"+WPI";

/// Questions to the stream under way for one call, at most.
const AT_ONCE: usize = 256;

/// What this process does with a tenant's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It puts them into the stream, and others deliver them.
    Accept,
    /// It delivers what is in the stream, whoever has put it there. It may accept too: dead letters go back by it.
    Deliver,
    /// It does both.
    Both,
}

impl Role {
    pub(super) fn delivers(self) -> bool {
        self != Self::Accept
    }
}

/// One tenant's part of a stream.
pub(super) struct Tenant {
    core: Arc<Core>,
    handle: Handle,
    token: String,
    subject: String,
    role: Role,
    state: Arc<Mutex<State>>,
    watcher: OnceLock<Arc<dyn QueueWatcher>>,
    /// There is something to fetch for, or to fetch.
    pub(super) wanted: Notify,
    /// There is something to lease.
    pub(super) filled: Notify,
    /// Something that was under way has ended.
    pub(super) ended: Notify,
}

impl Tenant {
    pub(super) fn new(core: Arc<Core>, handle: Handle, token: String, role: Role) -> Self {
        let state = Arc::<Mutex<State>>::default();
        core.count_too(&state);
        Self {
            subject: format!("{}.{token}", core.stream()),
            core,
            handle,
            token,
            role,
            state,
            watcher: OnceLock::new(),
            wanted: Notify::new(),
            filled: Notify::new(),
            ended: Notify::new(),
        }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// Of the consumer that all who deliver share.
    pub(super) fn consumer(&self) -> &str {
        &self.token
    }

    pub(super) fn dead_subject(&self) -> String {
        format!("{}.{}", self.core.dead_stream(), self.token)
    }

    pub(super) fn name(&self) -> String {
        subject::tenant(&self.token).unwrap_or_default()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn bounds(&self) -> Bounds {
        let options = self.core.options();
        Bounds { items: options.publish_window, bytes: options.publish_window_bytes }
    }

    pub(super) fn ack_wait(&self) -> Duration {
        self.core.options().ack_wait
    }

    pub(super) fn watch(&self, watcher: Arc<dyn QueueWatcher>) {
        // A queue serves one pipeline; a second one is told nothing.
        drop(self.watcher.set(watcher));
    }

    pub(super) fn tell(&self, what: impl FnOnce(&dyn QueueWatcher)) {
        if let Some(watcher) = self.watcher.get() {
            what(&**watcher);
        }
    }

    /// The stream has a request.
    pub(super) fn published(&self, key: u64, stored: &Stored) {
        let published = self.state().published(key, stored.sequence, stored.is_repeat);
        let Some((publishing, is_awaited)) = published else { return };
        // Nobody may hold the receipt any more.
        let _ = publishing.told.send(Ok(()));
        if is_awaited {
            self.ended.notify_waiters();
            self.tell(|watcher| watcher.gone());
        }
    }

    /// Says the same about all of these, and returns those of which the stream has confirmed it, and why it has not
    /// confirmed others.
    async fn say(
        &self,
        replies: Vec<(u64, Subject)>,
        what: &'static [u8],
        within: Duration,
    ) -> (Vec<u64>, Option<String>) {
        let said = stream::iter(replies)
            .map(|(id, reply)| async move { (id, self.core.ask(reply.as_str(), None, what, within).await) })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let (mut confirmed, mut why_not) = (Vec::with_capacity(said.len()), None);
        for (id, answer) in said {
            match answer {
                Ok(_) => confirmed.push(id),
                Err(why) => why_not = Some(why),
            }
        }
        (confirmed, why_not)
    }

    /// These have come to their end: waits until the stream knows.
    pub(super) async fn settle(&self, ids: &[u64]) -> Result<(), QueueError> {
        // Asked for now: a message that has come again has another place for the answer.
        let replies = self.state().settle(ids);
        let (confirmed, why_not) = self.say(replies, ACK, ANSWER_WITHIN).await;
        let is_quiet = {
            let mut state = self.state();
            state.settled(&confirmed);
            state.is_quiet()
        };
        if is_quiet {
            self.ended.notify_waiters();
        }
        match why_not {
            None => Ok(()),
            Some(why) => {
                let address = self.core.options().address();
                Err(QueueError::new(format!("{address} does not confirm what has ended: {why}")))
            }
        }
    }

    /// These are still worked on. Returns those that are lost.
    pub(super) async fn renew(&self, ids: &[u64]) -> Vec<u64> {
        let asked_at = now();
        let replies = {
            let mut state = self.state();
            state.lose_over(ids, asked_at);
            state.replies(ids)
        };
        let (confirmed, _) = self.say(replies, IN_PROGRESS, self.renew_within()).await;
        let mut state = self.state();
        let now = now();
        state.renewed(&confirmed, now, asked_at.saturating_add(self.ack_wait()));
        // Those that ended above are among them.
        state.lose_over(ids, now)
    }

    /// What waits in the buffer lasts on, or goes.
    pub(super) async fn renew_buffer(&self) {
        let asked_at = now();
        let over = self.state().buffered_until(asked_at.saturating_add(self.ack_wait() * 2 / 3));
        let given_back = if over.is_empty() {
            Vec::new()
        } else {
            let (confirmed, _) = self.say(over, IN_PROGRESS, self.renew_within()).await;
            let mut state = self.state();
            let now = now();
            state.buffer_renewed(&confirmed, now, asked_at.saturating_add(self.ack_wait()));
            state.let_go(now, self.ack_wait())
        };
        let given_back = given_back.into_iter().map(|reply| (0, reply)).collect();
        self.say(given_back, NAK, ANSWER_WITHIN).await;
    }

    /// Two attempts fit into the time between two renewals.
    fn renew_within(&self) -> Duration {
        (self.ack_wait() / 6).min(ANSWER_WITHIN)
    }

    /// Gives back what nobody here works on, in the background.
    pub(super) fn give_back(self: &Arc<Self>, replies: Vec<Subject>) {
        if replies.is_empty() {
            return;
        }
        self.state().begin_saying();
        let tenant = Arc::clone(self);
        self.handle.spawn(async move {
            let replies = replies.into_iter().map(|reply| (0, reply)).collect();
            let (_, why_not) = tenant.say(replies, NAK, ANSWER_WITHIN).await;
            if let Some(why) = why_not {
                tracing::debug!(why, "leases could not be given back; they run out by themselves");
            }
            tenant.state().said();
            tenant.ended.notify_waiters();
        });
    }

    /// One message is to be said something about, and nobody waits for the answer.
    pub(super) async fn say_once(&self, reply: Subject, what: &'static [u8]) -> bool {
        self.say(vec![(0, reply)], what, ANSWER_WITHIN).await.1.is_none()
    }

    /// Waits until nothing is under way.
    pub(super) async fn quiet(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.state().is_quiet() {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.core.count_at_last(&self.state);
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant")
            .field("subject", &self.subject)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
