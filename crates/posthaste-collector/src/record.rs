//! What is told of a kept event: its fields where it is good, its text and what is wrong with it where it is bad.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::{Fault, Problem};

/// Bytes that are kept of the text of a bad event or body.
pub const RECORD_TEXT_BYTES_MAX: usize = 8_192;

/// What is to be said of an event in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "one more is a change for whoever tells events apart")]
pub enum Verdict {
    /// Nothing is wrong with it.
    Good,
    /// It counts, but something about it is odd.
    Warned,
    /// The API drops it, or misreads it.
    Bad,
}

/// An event that has nothing wrong with it. A field that was missing, `null` or empty is empty or `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoodEvent {
    /// Its number in the order in which events arrived since the process started; never given again.
    pub id: u64,
    /// The number of the request that it came in, likewise.
    pub request: u64,
    /// The test's session that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What is to be said of it in one word.
    pub verdict: Verdict,
    /// What it says in words: `visitor ann saw green_button of checkout_button`.
    pub words: String,
    /// The key of the flag that was decided on, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// How often it came again.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeats: u32,
    /// The account of the request.
    pub account_id: String,
    /// The project of the request.
    pub project_id: String,
    /// The datafile's revision that the sender had.
    pub revision: String,
    /// Who sent it.
    pub client_name: String,
    /// The sender's version.
    pub client_version: String,
    /// The visitor's id.
    pub visitor_id: String,
    /// The event's id.
    pub uuid: String,
    /// When it happened: milliseconds since 1970, UTC.
    pub timestamp: i64,
    /// `campaign_activated`, or the conversion's key; empty where the sender left it out.
    pub key: String,
    /// Whether it is an impression; otherwise it is a conversion.
    pub is_impression: bool,
    /// The campaign of an impression, the event's id of a conversion.
    pub entity_id: String,
    /// The campaign of an impression's decision.
    pub campaign_id: Option<String>,
    /// The experiment of an impression's decision.
    pub experiment_id: Option<String>,
    /// The variation of an impression's decision.
    pub variation_id: Option<String>,
    /// How an impression's decision came about, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// What the program said about a conversion.
    pub tags: Map<String, Value>,
    /// Revenue in the currency's smallest unit.
    pub revenue: Option<i64>,
    /// A value of the program's own.
    pub value: Option<f64>,
    /// The visitor's attributes by key, or by type where they have none; the last one where a key comes twice.
    pub attributes: Map<String, Value>,
    /// The experiment's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The variation's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variation: Option<String>,
    /// The conversion's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What is odd about it and does no harm by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
    /// What a script of faults did to the request that it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// When it arrived: milliseconds since 1970, UTC.
    pub received_ms: i64,
}

/// An event that the API would throw away or miscount, or a body that cannot be read at all.
#[derive(Debug, Clone, Serialize)]
pub struct BadEvent {
    /// Its number in the order in which events arrived since the process started; never given again.
    pub id: u64,
    /// The number of the request that it came in, likewise.
    pub request: u64,
    /// The test's session that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What is to be said of it in one word.
    pub verdict: Verdict,
    /// What it says in words: `visitor ann saw green_button of checkout_button`.
    pub words: String,
    /// The key of the flag that was decided on, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// How often it came again.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeats: u32,
    /// Who sent it, where that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// The sender's version, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// The visitor's id, where there is one to be read.
    pub visitor_id: Option<String>,
    /// The event's id, likewise.
    pub uuid: Option<String>,
    /// When it says that it happened, likewise.
    pub timestamp: Option<i64>,
    /// The event's key, likewise.
    pub key: Option<String>,
    /// The event's entity, likewise.
    pub entity_id: Option<String>,
    /// The experiment of its decision, likewise.
    pub experiment_id: Option<String>,
    /// The experiment's key, where a datafile knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// The event, or the smallest part of the body around the fault, or the body: the same JSON with its fields
    /// sorted. A string with the beginning of the text where that has more than [`RECORD_TEXT_BYTES_MAX`] or is
    /// not JSON.
    pub event: Box<RawValue>,
    /// What is wrong with it; never empty, at most [`PROBLEMS_PER_PART_MAX`](posthaste::judge::PROBLEMS_PER_PART_MAX).
    pub problems: Vec<Problem>,
    /// What a script of faults did to the request that it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// When it arrived: milliseconds since 1970, UTC.
    pub received_ms: i64,
}

/// One event as it is kept. In JSON a bad one is told by its `problems`.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// Nothing wrong with it.
    Good(Box<GoodEvent>),
    /// Something wrong with it.
    Bad(Box<BadEvent>),
}

impl Record {
    /// Its number in the order in which events arrived.
    pub fn id(&self) -> u64 {
        match self {
            Self::Good(event) => event.id,
            Self::Bad(event) => event.id,
        }
    }

    /// What is to be said of it in one word.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Good(event) => event.verdict,
            Self::Bad(event) => event.verdict,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields out so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
