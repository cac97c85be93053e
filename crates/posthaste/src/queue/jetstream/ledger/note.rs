//! What a process writes down: who it is, and what it has counted by now.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::queue::jetstream::traffic::Traffic;

/// The form of notes that this version writes and reads.
const FORM: u32 = 1;
/// What all keys of notes begin with.
const PREFIX: &str = "run.";

/// What a process's pipelines have counted, in events, beside what has gone through its connection to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::exhaustive_structs, reason = "made by struct update from the default")]
pub struct ProcessCounts {
    /// Taken from clients.
    pub accepted: u64,
    /// Taken from clients, and not in the stream yet.
    pub waiting: u64,
    /// Delivered.
    pub delivered: u64,
    /// Dead letters that it has made, wherever they are.
    pub buried: u64,
}

/// What a process has written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessNote {
    pub(super) form: u32,
    /// What it is, such as `relay`.
    pub name: String,
    /// What it does, such as `accept`.
    pub role: String,
    /// Its machine.
    pub host: String,
    /// Its number there.
    pub pid: u32,
    /// When it started: milliseconds since 1970, by its own clock.
    pub started_ms: i64,
    /// When it wrote this.
    pub written_ms: i64,
    /// How often it has written.
    pub words: u64,
    /// This was its last word: it ended in order.
    pub has_ended: bool,
    /// What its pipelines have counted.
    pub counts: ProcessCounts,
    /// What has gone through its connection to the stream.
    pub traffic: Traffic,
    /// Publishes that were tried again after the stream had forgotten their ids: it may have so many messages twice.
    pub maybe_repeated: u64,
}

impl ProcessNote {
    /// The first, before anything is counted.
    pub(super) fn new(name: &str, role: &str, host: String, started_ms: i64) -> Self {
        Self {
            form: FORM,
            name: name.to_owned(),
            role: role.to_owned(),
            host,
            pid: std::process::id(),
            started_ms,
            written_ms: started_ms,
            words: 0,
            has_ended: false,
            counts: ProcessCounts::default(),
            traffic: Traffic::default(),
            maybe_repeated: 0,
        }
    }

    pub(super) fn key(run: &str) -> String {
        format!("{PREFIX}{run}")
    }

    pub(super) fn is_key(key: &str) -> bool {
        key.starts_with(PREFIX)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        write(self)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        read(bytes, |note: &Self| note.form, FORM)
    }
}

/// A note as it is kept.
pub(super) fn write(note: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(note).expect("texts and numbers, written to memory, cannot fail")
}

/// A note of the form that this version reads.
pub(super) fn read<T: DeserializeOwned>(
    bytes: &[u8],
    form_of: impl Fn(&T) -> u32,
    wanted: u32,
) -> Result<T, String> {
    let note = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match form_of(&note) {
        form if form == wanted => Ok(note),
        form => Err(format!("it has the form {form}, and this version reads form {wanted}")),
    }
}
