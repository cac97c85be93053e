//! What a spool's record holds.
//!
//! ```text
//! user event = 'E' flags:u8 body     flags: 1 region EU, 2 region is sent
//! request    = 'R' request                         somebody took it, nobody says when
//!            | 'T' taken:i64 request               taken at this time, in milliseconds since 1970
//!            | 'O' taken:i64 request               the body is nobody knows what; taken at the least i64: nobody says when
//!            | 'A' again:i64 ('T' | 'O') …         either of these, put back at this time, having been a dead letter
//! request    = length:u16 end point, body          (numbers are little-endian)
//! ```
//!
//! The body is a request body, of the one event in the first case: whoever finds a spool can read it without posthaste.
//! Only that of an opaque request is as it came.

use std::sync::Arc;

use crate::{
    batch::{Batch, LogEvent},
    event::{UserEvent, encode_events},
    project::{Context, Region},
    queue::QueueItem,
};

const USER_EVENT: u8 = b'E';
const REQUEST: u8 = b'R';
const REQUEST_TAKEN: u8 = b'T';
const OPAQUE: u8 = b'O';
const AGAIN: u8 = b'A';
const NOT_KNOWN: i64 = i64::MIN;
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
        match record {
            [REQUEST, request @ ..] => read_request(request),
            [REQUEST_TAKEN, rest @ ..] => {
                let (taken_ms, request) = rest.split_first_chunk().ok_or_else(cut_short)?;
                read_request(request).map(|request| request.with_taken_ms(i64::from_le_bytes(*taken_ms)))
            }
            [OPAQUE, rest @ ..] => {
                let (taken_ms, request) = rest.split_first_chunk().ok_or_else(cut_short)?;
                let (end_point, body) = split_request(request)?;
                let request = Self::opaque(end_point, body.to_vec());
                Ok(match i64::from_le_bytes(*taken_ms) {
                    NOT_KNOWN => request,
                    taken_ms => request.with_taken_ms(taken_ms),
                })
            }
            [AGAIN, rest @ ..] => {
                let (again_ms, record) = rest.split_first_chunk().ok_or_else(cut_short)?;
                if record.first() == Some(&AGAIN) {
                    return Err(UnreadableRecord::new("put back twice"));
                }
                Self::from_record(record, &mut None)
                    .map(|request| request.with_put_back_ms(i64::from_le_bytes(*again_ms)))
            }
            _ => Err(UnreadableRecord::new("not a request")),
        }
    }

    fn to_record(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(24 + self.end_point().len() + self.body().len());
        let (kind, taken_ms) = match self.taken_ms() {
            taken_ms if self.is_opaque() => (OPAQUE, Some(taken_ms.unwrap_or(NOT_KNOWN))),
            None => (REQUEST, None),
            taken_ms => (REQUEST_TAKEN, taken_ms),
        };
        if let Some(again_ms) = self.put_back_ms() {
            record.push(AGAIN);
            record.extend(again_ms.to_le_bytes());
        }
        record.push(kind);
        record.extend(taken_ms.into_iter().flat_map(i64::to_le_bytes));
        write_request(&mut record, self);
        record
    }
}

fn cut_short() -> UnreadableRecord {
    UnreadableRecord::new("cut short")
}

fn read_request(request: &[u8]) -> Result<LogEvent, UnreadableRecord> {
    let (end_point, body) = split_request(request)?;
    let request = LogEvent::from_body(end_point, body.to_vec()).map_err(UnreadableRecord::new)?;
    if request.events() == 0 { Err(UnreadableRecord::new("no events")) } else { Ok(request) }
}

fn split_request(request: &[u8]) -> Result<(&str, &[u8]), UnreadableRecord> {
    let (length, rest) = request.split_first_chunk().ok_or_else(cut_short)?;
    let (end_point, body) =
        rest.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or_else(cut_short)?;
    Ok((std::str::from_utf8(end_point).map_err(UnreadableRecord::new)?, body))
}

/// An address of 64 KiB is none; it is kept empty then, and is held as a wrong address.
fn write_request(record: &mut Vec<u8>, request: &LogEvent) {
    let length = u16::try_from(request.end_point().len()).unwrap_or(0);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(request.end_point().as_bytes().get(..usize::from(length)).unwrap_or_default());
    record.extend_from_slice(request.body());
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"visitors":[{"visitor_id":"a","snapshots":[{"events":[{}]}]}]}"#;

    fn read(record: &[u8]) -> Result<LogEvent, UnreadableRecord> {
        LogEvent::from_record(record, &mut None)
    }

    fn request() -> LogEvent {
        LogEvent::from_body("http://x/", BODY).unwrap()
    }

    fn opaque() -> LogEvent {
        LogEvent::opaque("http://x/", &b"\xff{"[..])
    }

    /// Byte for byte as the module's page says, and as spools hold them that are there already.
    #[test]
    fn every_kind_of_record_is_written_and_read_as_it_always_was() {
        for (head, request) in [
            (&b"R\x09\x00http://x/"[..], request()),
            (b"T\xd2\x02\x96\x49\x00\x00\x00\x00\x09\x00http://x/", request().with_taken_ms(1_234_567_890)),
            (b"O\x00\x00\x00\x00\x00\x00\x00\x80\x09\x00http://x/", opaque()),
            (b"O\x05\x00\x00\x00\x00\x00\x00\x00\x09\x00http://x/", opaque().with_taken_ms(5)),
            (b"T\xff\xff\xff\xff\xff\xff\xff\xff\x09\x00http://x/", request().with_taken_ms(-1)),
            (
                b"A\x07\0\0\0\0\0\0\0T\x05\0\0\0\0\0\0\0\x09\0http://x/",
                request().with_taken_ms(5).with_put_back_ms(7),
            ),
            (
                b"A\x07\0\0\0\0\0\0\0O\x05\0\0\0\0\0\0\0\x09\0http://x/",
                opaque().with_taken_ms(5).with_put_back_ms(7),
            ),
        ] {
            let record = [head, request.body()].concat();
            assert_eq!(read(&record).unwrap(), request);
            assert_eq!(request.to_record(), record);
        }
    }

    #[test]
    fn a_record_that_is_cut_or_of_another_kind_is_unreadable() {
        let record = request().with_taken_ms(5).with_put_back_ms(7).to_record();
        for length in 0..record.len() {
            assert!(read(&record[..length]).is_err(), "{length} bytes");
        }
        for (record, reason) in
            [(&b"X"[..], "not a request"), (b"R\xff\xffhttp", "cut short"), (b"A12345678A", "put back twice")]
        {
            assert_eq!(read(record).unwrap_err().to_string(), reason);
        }
        assert_eq!(read(b"R\x00\x00{\"visitors\":[]}").unwrap_err().to_string(), "no events");
    }
}
