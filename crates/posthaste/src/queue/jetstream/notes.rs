//! What processes write down beside a stream, in a key-value bucket of its own.
//!
//! Invariant: whoever reads all notes reads each that was there all the time, however often it is written meanwhile. So keys
//! are what the bucket's stream says that it has, at one moment: a list that is read message by message misses those that
//! are overwritten under it. And each note is asked of the leader, since others may be behind.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::jetstream::{kv, stream::LastRawMessageErrorKind};
use bytes::Bytes;

use super::{connection::Core, error::JetStreamError, inspection, letters, stream::JetStream};

/// The header of a message that says that its key is gone.
const OPERATION: &str = "KV-Operation";

impl JetStream {
    /// Writes something down under a key, beside the stream (in the key-value bucket `<stream>-notes`, which it makes): what
    /// a process has counted, for others to add up. Keys have letters, digits, `-`, `_`, `.` and `=`.
    pub fn write_note(&self, key: &str, note: impl Into<Bytes>) -> Result<(), JetStreamError> {
        let (core, key, note) = (Arc::clone(self.engine().core()), key.to_owned(), note.into());
        self.run(async move { write_note(&core, &key, note).await })
    }

    /// The same, given up after so long.
    pub(super) fn write_note_within(
        &self,
        key: &str,
        note: impl Into<Bytes>,
        within: Duration,
    ) -> Result<(), JetStreamError> {
        if let Some(error) = self.engine().core().why_not() {
            return Err(error);
        }
        let (core, key, note) = (Arc::clone(self.engine().core()), key.to_owned(), note.into());
        self.engine().wait_for(within, async move { write_note(&core, &key, note).await })?
    }

    /// Everything that was written down, by key.
    pub fn notes(&self) -> Result<BTreeMap<String, Bytes>, JetStreamError> {
        let core = Arc::clone(self.engine().core());
        self.run(async move {
            let Some(bucket) = bucket(&core, false).await? else { return Ok(BTreeMap::new()) };
            let prefix = prefix(&bucket);
            let subjects = letters::counts_of(&core, &bucket.stream_name, &format!("{prefix}>")).await?;
            let mut notes = BTreeMap::new();
            for subject in subjects.keys() {
                let key = subject.strip_prefix(&prefix).unwrap_or(subject);
                if let Some(note) = read(&bucket, subject).await? {
                    notes.insert(key.to_owned(), note);
                }
            }
            Ok(notes)
        })
    }

    /// One of them.
    pub(super) fn note(&self, key: &str) -> Result<Option<Bytes>, JetStreamError> {
        let (core, key) = (Arc::clone(self.engine().core()), key.to_owned());
        self.run(async move {
            let Some(bucket) = bucket(&core, false).await? else { return Ok(None) };
            read(&bucket, &format!("{}{key}", prefix(&bucket))).await
        })
    }

    /// Forgets a note.
    pub fn remove_note(&self, key: &str) -> Result<(), JetStreamError> {
        let (core, key) = (Arc::clone(self.engine().core()), key.to_owned());
        self.run(async move {
            let Some(bucket) = bucket(&core, false).await? else { return Ok(()) };
            bucket.purge(&key).await.map_err(|error| JetStreamError::refused("remove a note", error))
        })
    }
}

/// What the subjects of its keys begin with.
fn prefix(bucket: &kv::Store) -> String {
    format!("$KV.{}.", bucket.name)
}

async fn write_note(core: &Core, key: &str, note: Bytes) -> Result<(), JetStreamError> {
    let bucket = bucket(core, true).await?.ok_or(JetStreamError::Closed)?;
    let written = bucket.put(key, note).await;
    written.map(drop).map_err(|error| JetStreamError::refused("write a note", error))
}

async fn bucket(core: &Core, makes: bool) -> Result<Option<kv::Store>, JetStreamError> {
    let name = inspection::notes_of(core.stream());
    if let Ok(bucket) = core.context().get_key_value(&name).await {
        return Ok(Some(bucket));
    }
    if !makes {
        return Ok(None);
    }
    let config = kv::Config {
        bucket: name.clone(),
        description: "what processes have counted".to_owned(),
        history: 1,
        num_replicas: core.report().map_or(core.options().replicas, |report| report.replicas),
        ..kv::Config::default()
    };
    let made = core.context().create_key_value(config).await;
    made.map(Some).map_err(|error| JetStreamError::refused(format!("make the bucket {name}"), error))
}

/// `None`: it is gone.
async fn read(bucket: &kv::Store, subject: &str) -> Result<Option<Bytes>, JetStreamError> {
    match bucket.stream.get_last_raw_message_by_subject(subject).await {
        Ok(note) => Ok(note.headers.get(OPERATION).is_none().then_some(note.payload)),
        Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
        Err(error) => Err(JetStreamError::refused("read the notes", error)),
    }
}
