//! Dead letters in a stream of their own, which all processes share: whoever connects lists, replays and purges them.
//!
//! A letter's id is its place in that stream. One that this process has just written has no place yet: it has an id of its
//! own from [`OWN_FROM`] on, for as long as the process lives, so that the pipeline knows it again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_nats::{
    HeaderMap,
    jetstream::{
        message::StreamMessage,
        stream::{DeleteMessageErrorKind, RawMessageErrorKind, Stream},
    },
};
use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::oneshot;

use super::{
    connection::{ANSWER_WITHIN, Core, Engine, now},
    error::JetStreamError,
    ids, message, publish,
    state::Removal,
    tenant::Tenant,
};
use crate::{
    batch::LogEvent,
    outcome::{DeadLetter, Refusal},
    queue::{DeadLetterStore, NotKept, QueueItem as _, Receipt, Shortage},
};

/// Letters of this process have ids from here on, below those that are in memory.
const OWN_FROM: u64 = 1 << 62;
/// Letters that are known by ids of this process, at most; the oldest are then known by their places.
const OWN_MAX: usize = 65_536;
/// Letters on their way, at most.
const UNDER_WAY_MAX: usize = 1_024;
/// Attempts to write a letter or to remove one, before whoever wants it asks again.
const TRIES: u32 = 3;
/// Bytes of a page of letters, at most.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// Letters listed at once, at most.
const LIST_MAX: usize = 10_000;
/// How long a count is good for.
const COUNT_LASTS: Duration = Duration::from_secs(1);
/// How long delivery may wait for a look at the letters.
const LOOK_WITHIN: Duration = Duration::from_millis(500);
/// How long others may.
const WALK_WITHIN: Duration = Duration::from_secs(30);

/// The dead letters of a tenant.
#[derive(Debug, Clone)]
pub(super) struct Letters {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tenant: Arc<Tenant>,
    own: Mutex<Own>,
    count: Mutex<Counted>,
    under_way: AtomicUsize,
}

/// Letters of this process.
#[derive(Debug, Default)]
struct Own {
    given: u64,
    places: BTreeMap<u64, u64>,
    ids: FxHashMap<u64, u64>,
    /// On their way out.
    removed: FxHashSet<u64>,
}

#[derive(Debug, Default)]
struct Counted {
    letters: usize,
    at: Option<Duration>,
}

impl Own {
    fn next_id(&mut self) -> u64 {
        self.given += 1;
        OWN_FROM + self.given
    }

    fn stored(&mut self, id: u64, place: u64) {
        self.places.insert(id, place);
        if let Some(before) = self.ids.insert(place, id) {
            self.places.remove(&before);
        }
        if self.places.len() > OWN_MAX
            && let Some((_, place)) = self.places.pop_first()
        {
            self.ids.remove(&place);
        }
    }

    fn remove(&mut self, id: u64) -> Option<u64> {
        let place = if id < OWN_FROM { id } else { self.places.remove(&id)? };
        if let Some(id) = self.ids.remove(&place) {
            self.places.remove(&id);
        }
        self.removed.insert(place);
        Some(place)
    }
}

/// The id of the letter about a message of the stream: whoever writes it, and however often, it is one letter.
pub(super) fn id_of_message(tenant: &Tenant, sequence: u64) -> String {
    format!("{}/{sequence}", tenant.subject())
}

/// Writes a letter. Returns its place, and whether it was there already.
pub(super) async fn store(tenant: &Tenant, headers: HeaderMap, body: Bytes) -> Result<(u64, bool), String> {
    put(tenant.core(), &tenant.dead_subject(), tenant.core().dead_stream(), headers, body).await
}

async fn put(
    core: &Core,
    subject: &str,
    stream: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(u64, bool), String> {
    let mut said = String::new();
    for _ in 0..TRIES {
        let within = core.options().publish_timeout;
        let answer = core.ask(subject, Some(headers.clone()), body.clone(), within).await;
        match answer.and_then(|answer| publish::read(stream, &answer.payload).map_err(|not| not.why)) {
            Ok(stored) => return Ok((stored.sequence, stored.is_repeat)),
            Err(why) => said = why,
        }
    }
    Err(format!("the stream {stream} has not taken it: {said}"))
}

/// A removal under way. The ledger has to know its end, even where nobody waits for it any longer.
struct Removing<'a> {
    tenant: &'a Tenant,
    so_far: Removal,
}

impl<'a> Removing<'a> {
    fn new(tenant: &'a Tenant) -> Self {
        tenant.state().removing();
        Self { tenant, so_far: Removal::NotHere }
    }
}

impl Drop for Removing<'_> {
    fn drop(&mut self) {
        self.tenant.state().removed(self.so_far);
    }
}

impl Shared {
    fn core(&self) -> &Core {
        self.tenant.core()
    }

    async fn stream(&self) -> Result<Stream<()>, JetStreamError> {
        let name = self.core().dead_stream();
        let stream = self.core().context().get_stream_no_info(name).await;
        stream.map_err(|error| JetStreamError::refused(format!("use the stream {name}"), error))
    }

    /// The letter at this place, or the first behind it.
    async fn next(&self, stream: &Stream<()>, from: u64) -> Result<Option<StreamMessage>, JetStreamError> {
        let wanted = stream.raw_message_builder().sequence(from).next_by_subject(self.tenant.dead_subject());
        match wanted.send().await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(JetStreamError::refused("read dead letters", error)),
        }
    }

    /// Letters from this place on that are known by their places.
    async fn others(
        &self,
        from: u64,
        max: usize,
    ) -> Result<Vec<(u64, DeadLetter<LogEvent>)>, JetStreamError> {
        let stream = self.stream().await?;
        let (mut letters, mut from, mut bytes) = (Vec::new(), from, 0);
        while letters.len() < max && bytes < PAGE_BYTES_MAX {
            let Some(message) = self.next(&stream, from).await? else { break };
            let place = message.sequence;
            from = place.saturating_add(1);
            let is_hidden = {
                let own = self.own.lock();
                own.removed.contains(&place) || own.ids.contains_key(&place)
            };
            if !is_hidden {
                let letter = message::read_letter(&message.headers, &message.payload);
                bytes += letter.item.bytes();
                letters.push((place, letter));
            }
        }
        Ok(letters)
    }

    /// Letters of this process behind this id.
    async fn own(&self, after: u64, max: usize) -> Result<Vec<(u64, DeadLetter<LogEvent>)>, JetStreamError> {
        let stream = self.stream().await?;
        let known: Vec<(u64, u64)> = {
            let own = self.own.lock();
            own.places.range(after.saturating_add(1)..).map(|(id, place)| (*id, *place)).collect()
        };
        let (mut letters, mut bytes) = (Vec::new(), 0);
        for (id, place) in known {
            if letters.len() >= max || bytes >= PAGE_BYTES_MAX {
                break;
            }
            match self.next(&stream, place).await? {
                Some(message) if message.sequence == place => {
                    let letter = message::read_letter(&message.headers, &message.payload);
                    bytes += letter.item.bytes();
                    letters.push((id, letter));
                }
                _ => {
                    // Somebody else has replayed or purged it.
                    let mut own = self.own.lock();
                    own.places.remove(&id);
                    own.ids.remove(&place);
                }
            }
        }
        Ok(letters)
    }

    async fn page(
        &self,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<(u64, DeadLetter<LogEvent>)>, JetStreamError> {
        let after = after.unwrap_or_default();
        if after < OWN_FROM {
            let others = self.others(after.saturating_add(1), max).await?;
            if !others.is_empty() {
                return Ok(others);
            }
        }
        self.own(after.max(OWN_FROM), max).await
    }

    async fn look_at_count(&self) -> Result<usize, JetStreamError> {
        let subject = self.tenant.dead_subject();
        let counts = counts_of(self.core(), self.core().dead_stream(), &subject).await?;
        let letters = counts.get(&subject).copied().unwrap_or_default();
        *self.count.lock() = Counted { letters, at: Some(now()) };
        Ok(letters)
    }

    async fn delete(&self, place: u64) -> Result<(), JetStreamError> {
        let stream = self.stream().await?;
        let (mut said, mut removing) = (None, Removing::new(&self.tenant));
        for _ in 0..TRIES {
            // Whoever stops to wait does not know either.
            let before = std::mem::replace(&mut removing.so_far, Removal::Unsure);
            match stream.delete_message(place).await {
                Ok(_) => {
                    removing.so_far = Removal::Done;
                    return Ok(());
                }
                Err(error) => {
                    if matches!(error.kind(), DeleteMessageErrorKind::JetStream(_)) {
                        removing.so_far = before;
                    }
                    // Somebody else was first, or this process was, and never heard of it.
                    if error.to_string().contains("no message found") {
                        return Ok(());
                    }
                    said = Some(error);
                }
            }
        }
        let said = said.map(|error| error.to_string()).unwrap_or_default();
        Err(JetStreamError::refused("remove a dead letter", said))
    }

    async fn remove(&self, ids: Vec<u64>) -> Result<(), JetStreamError> {
        let places: Vec<u64> = {
            let mut own = self.own.lock();
            ids.into_iter().filter_map(|id| own.remove(id)).collect()
        };
        {
            let mut count = self.count.lock();
            count.letters = count.letters.saturating_sub(places.len());
        }
        let mut result = Ok(());
        for place in places {
            let deleted = self.delete(place).await;
            // Where it is still there, it is to be seen again.
            self.own.lock().removed.remove(&place);
            result = result.and(deleted);
        }
        self.count.lock().at = None;
        result
    }
}

/// Messages of a stream, by subject.
pub(super) async fn counts_of(
    core: &Core,
    stream: &str,
    filter: &str,
) -> Result<BTreeMap<String, usize>, JetStreamError> {
    #[derive(serde::Deserialize)]
    struct Info {
        #[serde(default)]
        state: InfoState,
    }
    #[derive(Default, serde::Deserialize)]
    struct InfoState {
        subjects: Option<BTreeMap<String, usize>>,
    }
    let asked = serde_json::json!({ "subjects_filter": filter });
    let to = format!("$JS.API.STREAM.INFO.{stream}");
    let answer = core.ask(to, None, asked.to_string(), ANSWER_WITHIN).await;
    let refused = |why: String| JetStreamError::refused(format!("count the messages of {stream}"), why);
    let answer = answer.map_err(refused)?;
    let info: Info = serde_json::from_slice(&answer.payload).map_err(|error| refused(error.to_string()))?;
    Ok(info.state.subjects.unwrap_or_default())
}

impl Letters {
    pub(super) fn new(engine: Arc<Engine>, tenant: Arc<Tenant>) -> Self {
        let (own, count, under_way) = (Mutex::default(), Mutex::default(), AtomicUsize::new(0));
        Self { engine, shared: Arc::new(Shared { tenant, own, count, under_way }) }
    }

    fn run<R: Send + 'static, F: Future<Output = Result<R, JetStreamError>> + Send + 'static>(
        &self,
        within: Duration,
        what: impl FnOnce(Arc<Shared>) -> F,
    ) -> Result<R, JetStreamError> {
        if let Some(error) = self.shared.core().why_not() {
            return Err(error);
        }
        self.engine.wait_for(within, what(Arc::clone(&self.shared)))?
    }

    fn look<R: Default + Send + 'static, F: Future<Output = Result<R, JetStreamError>> + Send + 'static>(
        &self,
        within: Duration,
        what: impl FnOnce(Arc<Shared>) -> F,
    ) -> R {
        self.run(within, what).unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to look at the dead letters");
            R::default()
        })
    }
}

/// For whoever wants to know why not.
impl Letters {
    pub(super) fn counted(&self) -> Result<usize, JetStreamError> {
        self.run(WALK_WITHIN, |shared| async move { shared.look_at_count().await })
    }

    pub(super) fn read_page(
        &self,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<(u64, DeadLetter<LogEvent>)>, JetStreamError> {
        self.run(WALK_WITHIN, move |shared| async move { shared.page(after, max).await })
    }

    pub(super) fn forget(&self, ids: Vec<u64>) -> Result<(), JetStreamError> {
        self.run(WALK_WITHIN, |shared| async move { shared.remove(ids).await })
    }

    /// Puts a letter's request back into the stream under a new id, and then forgets the letter.
    pub(super) fn put_back(&self, id: u64, item: LogEvent) -> Result<(), JetStreamError> {
        self.run(WALK_WITHIN, move |shared| async move {
            let core = shared.core();
            let refused = |why: String| JetStreamError::refused("put a dead letter back", why);
            let headers = message::headers(&item, &ids::random());
            let headers = headers.ok_or_else(|| refused("its end point has a line break".to_owned()))?;
            put(core, shared.tenant.subject(), core.stream(), headers, item.body().clone())
                .await
                .map_err(refused)?;
            shared.tenant.state().replayed(item.events() as u64);
            shared.remove(vec![id]).await
        })
    }
}

impl DeadLetterStore<LogEvent> for Letters {
    fn is_shared(&self) -> bool {
        true
    }

    fn count(&self) -> usize {
        let is_fresh = {
            let count = self.shared.count.lock();
            count.at.is_some_and(|at| now().saturating_sub(at) < COUNT_LASTS)
        };
        if !is_fresh && self.shared.core().link().is_connected {
            self.look(LOOK_WITHIN, |shared| async move { shared.look_at_count().await.map(drop) });
        }
        self.shared.count.lock().letters
    }

    /// Others have written it, or an earlier process has.
    fn was_found(&self, id: u64) -> bool {
        id < OWN_FROM
    }

    fn push(
        &self,
        letter: DeadLetter<LogEvent>,
        of: Option<u64>,
    ) -> Result<(u64, Receipt), NotKept<LogEvent>> {
        let shared = Arc::clone(&self.shared);
        if shared.under_way.load(SeqCst) >= UNDER_WAY_MAX {
            let why = "as many dead letters as may be are on their way into the stream";
            return Err(NotKept::new(letter, why).short_of_room(Some(Shortage::Passing)));
        }
        let sequence = of.and_then(|id| shared.tenant.state().sequence_of(id));
        let message_id = match sequence {
            Some(sequence) => id_of_message(&shared.tenant, sequence),
            None => ids::of_parts(&[letter.item.body(), &letter.time_ms.to_le_bytes()]),
        };
        let Some(headers) = message::letter_headers(&letter, &message_id) else {
            return Err(NotKept::new(letter, "its end point has a line break, which no header may have"));
        };
        let id = shared.own.lock().next_id();
        let (told, stored) = oneshot::channel();
        shared.under_way.fetch_add(1, SeqCst);
        self.engine.handle().spawn(async move {
            let kept = store(&shared.tenant, headers, letter.item.body().clone()).await;
            shared.under_way.fetch_sub(1, SeqCst);
            let kept = kept.map(|(place, was_there)| {
                shared.own.lock().stored(id, place);
                shared.count.lock().letters += usize::from(!was_there);
                shared.tenant.state().buried(letter.item.events() as u64, was_there);
            });
            // The pipeline may have ended.
            let _ = told.send(kept.map_err(Refusal::Storage));
        });
        Ok((id, Receipt::pending(async move { stored.await.unwrap_or(Err(Refusal::Closed)) })))
    }

    fn list(&self) -> Vec<(u64, DeadLetter<LogEvent>)> {
        let mut letters: Vec<(u64, DeadLetter<LogEvent>)> = Vec::new();
        while letters.len() < LIST_MAX {
            let page = self.page(letters.last().map(|(id, _)| *id), LIST_MAX - letters.len());
            if page.is_empty() {
                break;
            }
            letters.extend(page);
        }
        letters
    }

    fn remove(&self, ids: &[u64]) {
        let (shared, ids) = (Arc::clone(&self.shared), ids.to_vec());
        // The end waits for it: what the ledger hears last is to have it.
        shared.tenant.state().begin_saying();
        self.engine.handle().spawn(async move {
            if let Err(error) = shared.remove(ids).await {
                tracing::error!(%error, "failed to remove dead letters; they will be there again");
            }
            shared.tenant.state().said();
            shared.tenant.ended.notify_waiters();
        });
    }

    fn page(&self, after: Option<u64>, max: usize) -> Vec<(u64, DeadLetter<LogEvent>)> {
        self.look(WALK_WITHIN, move |shared| async move { shared.page(after, max).await })
    }
}
