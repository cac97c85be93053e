//! A stream, for whoever wants more of it than a queue: what it promises, who has events in it, and its dead letters.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc, time::Duration};

use super::{
    connection::{ANSWER_WITHIN, Core, Engine, now},
    error::JetStreamError,
    inspection,
    letters::{self, Letters},
    options::JetStreamOptions,
    queue::JetStreamQueue,
    report::StreamReport,
    setup::{self, Make},
    subject,
    tenant::{Role, Tenant},
    traffic::Traffic,
};
use crate::{
    batch::LogEvent,
    clock::{Clock as _, SystemClock},
    outcome::DeadLetter,
};

/// A connection to a stream. Cheap to clone: clones are the same connection, which ends with the last of them and of its
/// queues.
#[derive(Clone)]
pub struct JetStream(Arc<Engine>);

impl JetStream {
    /// Connects, makes the streams that are not there, and waits until both can be used, for as long as the options say.
    pub fn open(options: JetStreamOptions) -> Result<Self, JetStreamError> {
        let engine = Engine::start(options, Make::Missing)?;
        engine.wait_until_usable()?;
        Ok(Self(Arc::new(engine)))
    }

    /// The same, without waiting: for whoever has something to do while the servers are away. It connects, and makes the
    /// streams, as soon as it can.
    pub fn start(options: JetStreamOptions) -> Result<Self, JetStreamError> {
        Ok(Self(Arc::new(Engine::start(options, Make::Missing)?)))
    }

    /// Looks at the streams, makes nothing, and goes.
    pub fn inspect(options: JetStreamOptions) -> Result<StreamReport, JetStreamError> {
        Self::attach(options)?.check()
    }

    /// Connects to streams that are there, and makes none.
    pub fn attach(options: JetStreamOptions) -> Result<Self, JetStreamError> {
        let engine = Engine::start(options, Make::Nothing)?;
        engine.wait_until_usable()?;
        Ok(Self(Arc::new(engine)))
    }

    pub(super) fn of(engine: Arc<Engine>) -> Self {
        Self(engine)
    }

    /// A tenant's part of it. One queue serves one pipeline.
    pub fn queue(&self, tenant: &str, role: Role) -> Result<JetStreamQueue, JetStreamError> {
        JetStreamQueue::over(Arc::clone(&self.0), tenant, role)
    }

    /// The options that it was opened with.
    pub fn options(&self) -> &JetStreamOptions {
        self.core().options()
    }

    /// What it promises, as of the last look, half a minute ago at most while it can be used. `None`: it never could be.
    pub fn report(&self) -> Option<StreamReport> {
        self.core().report()
    }

    /// What it promises now; its findings have consumers of others, too.
    pub fn check(&self) -> Result<StreamReport, JetStreamError> {
        let core = Arc::clone(self.0.core());
        self.run(async move {
            let mut report = setup::look(&core, Make::Nothing).await?;
            report.findings.extend(inspection::foreign_findings(&core).await?);
            Ok(report)
        })
    }

    /// Why it cannot be used now, if it cannot.
    pub fn trouble(&self) -> Option<JetStreamError> {
        self.core().why_not()
    }

    /// How many publishes were tried again after the stream had forgotten their ids: so many messages may be in it twice.
    pub fn maybe_repeated(&self) -> u64 {
        self.core().maybe_repeated()
    }

    fn core(&self) -> &Core {
        self.0.core()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0
    }

    /// Everything that has gone through this connection, whichever of its queues it was.
    pub fn traffic(&self) -> Traffic {
        self.core().traffic()
    }

    pub(super) fn run<R: Send + 'static>(
        &self,
        what: impl Future<Output = Result<R, JetStreamError>> + Send + 'static,
    ) -> Result<R, JetStreamError> {
        if let Some(error) = self.core().why_not() {
            return Err(error);
        }
        self.0.wait_for(ANSWER_WITHIN * 2, what)?
    }

    /// How many messages each tenant has in the stream.
    pub fn tenants(&self) -> Result<BTreeMap<String, usize>, JetStreamError> {
        self.counts_of(self.core().stream().to_owned())
    }

    /// How many dead letters each tenant has.
    pub fn dead_letter_counts(&self) -> Result<BTreeMap<String, usize>, JetStreamError> {
        self.counts_of(self.core().dead_stream().to_owned())
    }

    fn counts_of(&self, stream: String) -> Result<BTreeMap<String, usize>, JetStreamError> {
        let core = Arc::clone(self.0.core());
        let counts = self.run(async move { letters::counts_of(&core, &stream, ">").await })?;
        let named = |(subject, count): (String, usize)| {
            let token = subject.split_once('.').map(|(_, token)| token)?;
            Some((subject::tenant(token)?, count))
        };
        Ok(counts.into_iter().filter_map(named).collect())
    }

    /// A tenant's dead letters, whoever has written them.
    pub fn dead_letters(&self, tenant: &str) -> Result<JetStreamLetters, JetStreamError> {
        let token = subject::token(tenant)?;
        let (core, handle) = (Arc::clone(self.0.core()), self.0.handle().clone());
        let tenant = Arc::new(Tenant::new(core, handle, token, Role::Accept));
        Ok(JetStreamLetters(Letters::new(Arc::clone(&self.0), tenant)))
    }
}

impl fmt::Debug for JetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStream")
            .field("address", &self.core().options().address().to_string())
            .field("link", &self.core().link())
            .finish_non_exhaustive()
    }
}

/// A tenant's dead letters in a stream, whoever has written them: listed, replayed and purged from any process. What is
/// done here is in no pipeline's ledger: the letters are the stream's.
#[derive(Debug)]
pub struct JetStreamLetters(Letters);

/// What became of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Handled {
    /// So many letters.
    pub letters: usize,
    /// So many events.
    pub events: usize,
}

impl JetStreamLetters {
    /// How many there are.
    pub fn count(&self) -> Result<usize, JetStreamError> {
        self.0.counted()
    }

    /// The oldest behind the letter of the id `after`, or of all, at most so many; none only where there are no more.
    pub fn page(
        &self,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<(u64, DeadLetter<LogEvent>)>, JetStreamError> {
        self.0.read_page(after, max)
    }

    /// Puts those back into the stream that are to go, oldest first, each under a new id, and forgets its letter then. If
    /// this process dies in between, an event is in both, and may be put back again, with the same uuid.
    pub fn replay_where(
        &self,
        mut is_to_go: impl FnMut(&DeadLetter<LogEvent>) -> bool,
    ) -> Result<Handled, JetStreamError> {
        self.walk(&mut is_to_go, |letters, id, letter| {
            letters.put_back(id, letter.item.with_put_back_ms(SystemClock.now_ms()))
        })
    }

    /// Forgets those that are to go.
    pub fn purge_where(
        &self,
        mut is_to_go: impl FnMut(&DeadLetter<LogEvent>) -> bool,
    ) -> Result<Handled, JetStreamError> {
        self.walk(&mut is_to_go, |letters, id, _| letters.forget(vec![id]))
    }

    /// A walk ends with the letters that were there when it began.
    fn walk(
        &self,
        is_to_go: &mut dyn FnMut(&DeadLetter<LogEvent>) -> bool,
        what: impl Fn(&Letters, u64, DeadLetter<LogEvent>) -> Result<(), JetStreamError>,
    ) -> Result<Handled, JetStreamError> {
        const PAGE: usize = 256;
        let (mut after, mut left, mut handled) = (None, self.count()?, Handled::default());
        while left > 0 {
            let page = self.page(after, PAGE.min(left))?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            left -= page.len().min(left);
            for (id, letter) in page {
                if is_to_go(&letter) {
                    let events = letter.item.events();
                    what(&self.0, id, letter)?;
                    handled.letters += 1;
                    handled.events += events;
                }
            }
        }
        Ok(handled)
    }
}

/// How long this process has known the stream: for whoever wants to show it.
impl JetStream {
    /// Whether there is a connection, and both streams are there.
    pub fn is_usable(&self) -> bool {
        self.core().why_not().is_none()
    }

    /// Waits until it can be used, for so long at most. False: it cannot.
    pub fn wait_until_usable(&self, within: Duration) -> bool {
        let (core, until) = (Arc::clone(self.0.core()), now().saturating_add(within));
        let within = until.saturating_sub(now());
        self.0.wait_for(within, async move { drop(core.usable().await) }).is_ok()
    }
}
