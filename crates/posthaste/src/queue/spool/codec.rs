//! What a spool's record holds.
//!
//! ```text
//! user event = 'E' flags:u8 body     flags: 1 region EU, 2 region is sent
//! request    = 'R' length:u16 end point, body      (little-endian)
//! ```
//!
//! The body is a request body, of the one event in the first case: whoever finds a spool can read it without posthaste.

use std::sync::Arc;

use crate::{
    batch::{Batch, LogEvent},
    event::{UserEvent, encode_events},
    project::{Context, Region},
    queue::QueueItem,
};

const USER_EVENT: u8 = b'E';
const REQUEST: u8 = b'R';
const EU: u8 = 1;
const REGION_SENT: u8 = 2;

/// Why a record is not an item of the queue's kind.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableRecord(String);

impl UnreadableRecord {
    /// For this reason.
    #[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
    pub fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// An item that can be kept in a spool.
///
/// ```
/// use posthaste::{LogEvent, queue::SpoolItem};
///
/// let body = r#"{"visitors":[{"visitor_id":"a","snapshots":[{"events":[{}]}]}]}"#;
/// let request = LogEvent::from_body("http://127.0.0.1:8080/v1/events", body)?;
/// let record = request.to_record();
/// assert_eq!(LogEvent::from_record(&record, &mut None)?, request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SpoolItem: QueueItem {
    /// Reads an item back. Items read one after the other share `context` where theirs are equal.
    fn from_record(record: &[u8], context: &mut Option<Arc<Context>>) -> Result<Self, UnreadableRecord>;

    /// What is stored of the item.
    fn to_record(&self) -> Vec<u8>;
}

impl SpoolItem for UserEvent {
    fn from_record(record: &[u8], last: &mut Option<Arc<Context>>) -> Result<Self, UnreadableRecord> {
        let [USER_EVENT, flags, body @ ..] = record else {
            return Err(UnreadableRecord::new("not a user event"));
        };
        let text = std::str::from_utf8(body).map_err(UnreadableRecord::new)?;
        let batch: Batch = serde_json::from_str(text).map_err(UnreadableRecord::new)?;
        let [visitor] = &batch.visitors[..] else { return Err(UnreadableRecord::new("not one visitor")) };
        let bot_filtering = visitor.attributes.last().and_then(|last| last.value.as_bool());
        let context = context(&batch, *flags, bot_filtering.unwrap_or_default());
        let context = match last {
            Some(last) if **last == context => Arc::clone(last),
            _ => Arc::clone(last.insert(Arc::new(context))),
        };
        Self::from_visitor(context, visitor).map_err(UnreadableRecord::new)
    }

    fn to_record(&self) -> Vec<u8> {
        let context = self.context();
        let mut flags = 0;
        if context.region() == Region::Eu {
            flags |= EU;
        }
        if context.region_sent() {
            flags |= REGION_SENT;
        }
        let mut record = vec![USER_EVENT, flags];
        record.extend_from_slice(&encode_events(std::iter::once(self)).0);
        record
    }
}

fn context(batch: &Batch, flags: u8, bot_filtering: bool) -> Context {
    Context::new(&batch.account_id, &batch.project_id, &batch.revision)
        .with_client(&batch.client_name, &batch.client_version)
        .with_anonymize_ip(batch.anonymize_ip)
        .with_bot_filtering(bot_filtering)
        .with_region(if flags & EU == 0 { Region::Us } else { Region::Eu })
        .with_region_sent(flags & REGION_SENT != 0)
}

impl SpoolItem for LogEvent {
    fn from_record(record: &[u8], _last: &mut Option<Arc<Context>>) -> Result<Self, UnreadableRecord> {
        let [REQUEST, low, high, rest @ ..] = record else {
            return Err(UnreadableRecord::new("not a request"));
        };
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (end_point, body) =
            rest.split_at_checked(length).ok_or_else(|| UnreadableRecord::new("cut short"))?;
        let end_point = std::str::from_utf8(end_point).map_err(UnreadableRecord::new)?;
        let request = Self::from_body(end_point, body.to_vec()).map_err(UnreadableRecord::new)?;
        if LogEvent::events(&request) == 0 { Err(UnreadableRecord::new("no events")) } else { Ok(request) }
    }

    /// An address of 64 KiB is none; it is kept empty then, and is held as a wrong address.
    fn to_record(&self) -> Vec<u8> {
        let length = u16::try_from(self.end_point().len()).unwrap_or(0);
        let mut record = vec![REQUEST];
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(self.end_point().as_bytes().get(..usize::from(length)).unwrap_or_default());
        record.extend_from_slice(self.body());
        record
    }
}
