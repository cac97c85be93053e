//! What a message of the stream holds: a request's body as it is, and headers that say the rest.
//!
//! | header | what |
//! |---|---|
//! | `Nats-Msg-Id` | the message's id, by which a publish that is tried again is not stored twice |
//! | `Posthaste-Version` | of this form: 1 |
//! | `Posthaste-To` | the end point |
//! | `Posthaste-Events` | how many events the body carries |
//! | `Posthaste-Taken` | when it was accepted: milliseconds since 1970 |
//! | `Posthaste-Put-Back` | when it was put back last, having been a dead letter |
//! | `Posthaste-Opaque` | 1: nobody can read the body |
//!
//! A dead letter is such a message with more headers: `Posthaste-Reason` (its name), `-Status`, `-Text` (a JSON string),
//! `-Died` (milliseconds since 1970). Whoever reads a stream can do so without posthaste.

use async_nats::HeaderMap;
use bytes::Bytes;

use crate::{
    batch::LogEvent,
    outcome::{DeadLetter, DeadReason},
};

const ID: &str = "Nats-Msg-Id";
const VERSION: &str = "Posthaste-Version";
const VERSION_NOW: &str = "1";
const TO: &str = "Posthaste-To";
const EVENTS: &str = "Posthaste-Events";
const TAKEN: &str = "Posthaste-Taken";
const PUT_BACK: &str = "Posthaste-Put-Back";
const OPAQUE: &str = "Posthaste-Opaque";
const REASON: &str = "Posthaste-Reason";
const STATUS: &str = "Posthaste-Status";
const TEXT: &str = "Posthaste-Text";
const DIED: &str = "Posthaste-Died";

/// Characters of an answer that a letter keeps.
const TEXT_MAX: usize = 2_048;

/// About how many bytes headers take beside the end point and the id.
const HEADERS_ROOM: usize = 256;

/// The headers of a request. `None`: its end point fits into none.
pub(super) fn headers(request: &LogEvent, id: &str) -> Option<HeaderMap> {
    let end_point = request.end_point();
    if end_point.contains(['\r', '\n']) || id.contains(['\r', '\n']) {
        return None;
    }
    let mut headers = HeaderMap::new();
    headers.insert(ID, id);
    headers.insert(VERSION, VERSION_NOW);
    headers.insert(TO, end_point);
    headers.insert(EVENTS, request.events().to_string());
    if let Some(taken_ms) = request.taken_ms() {
        headers.insert(TAKEN, taken_ms.to_string());
    }
    if let Some(put_back_ms) = request.put_back_ms() {
        headers.insert(PUT_BACK, put_back_ms.to_string());
    }
    if request.is_opaque() {
        headers.insert(OPAQUE, "1");
    }
    Some(headers)
}

/// About how many bytes the message of a request takes.
pub(super) fn bytes(request: &LogEvent, id: &str) -> usize {
    request.body().len() + request.end_point().len() + id.len() + HEADERS_ROOM
}

/// Reads a request back, or says why it is none.
pub(super) fn read(headers: Option<&HeaderMap>, body: &Bytes) -> Result<LogEvent, String> {
    let headers = headers.ok_or("the message has no headers: posthaste has not written it")?;
    let get = |name: &'static str| headers.get(name).map(async_nats::HeaderValue::as_str);
    let number = |name: &'static str| match get(name) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| format!("its header {name} is no number: {text}")),
    };
    match get(VERSION) {
        Some(VERSION_NOW) => {}
        Some(other) => {
            return Err(format!("it has the form {other}, and this version reads form {VERSION_NOW}"));
        }
        None => return Err(format!("it has no header {VERSION}: posthaste has not written it")),
    }
    let end_point = get(TO).ok_or_else(|| format!("it has no header {TO}"))?;
    let request = if get(OPAQUE).is_some() {
        LogEvent::opaque(end_point, body.clone())
    } else {
        let request = LogEvent::from_body(end_point, body.clone()).map_err(|error| error.to_string())?;
        if request.events() == 0 {
            return Err("its body carries no events".to_owned());
        }
        request
    };
    let request = match number(TAKEN)? {
        Some(taken_ms) => request.with_taken_ms(taken_ms),
        None => request,
    };
    Ok(match number(PUT_BACK)? {
        Some(put_back_ms) => request.with_put_back_ms(put_back_ms),
        None => request,
    })
}

/// How many events a message says that it carries; one where it does not.
pub(super) fn events(headers: Option<&HeaderMap>) -> usize {
    let said = headers.and_then(|headers| headers.get(EVENTS)).and_then(|value| value.as_str().parse().ok());
    said.filter(|events| *events > 0).unwrap_or(1)
}

/// The headers of a letter. `None`: its end point fits into none.
pub(super) fn letter_headers(letter: &DeadLetter<LogEvent>, id: &str) -> Option<HeaderMap> {
    let mut all = headers(&letter.item, id)?;
    write_end(&mut all, letter.reason, letter.status, &letter.text, letter.time_ms);
    Some(all)
}

/// The headers of the letter of a message that cannot be read: its own, and why.
pub(super) fn unreadable_headers(of: Option<&HeaderMap>, id: &str, why: &str, time_ms: i64) -> HeaderMap {
    let mut all = HeaderMap::new();
    for (name, values) in of.iter().flat_map(|headers| headers.iter()) {
        let text: &str = name.as_ref();
        if !text.to_ascii_lowercase().starts_with("nats-") {
            for value in values {
                all.append(name.clone(), value.clone());
            }
        }
    }
    all.insert(ID, id);
    write_end(&mut all, DeadReason::Unreadable, None, why, time_ms);
    all
}

fn write_end(all: &mut HeaderMap, reason: DeadReason, status: Option<u16>, text: &str, time_ms: i64) {
    let text: String = text.chars().take(TEXT_MAX).collect();
    all.insert(REASON, reason.name());
    if let Some(status) = status {
        all.insert(STATUS, status.to_string());
    }
    // A JSON string has no line breaks, which a header may not have.
    all.insert(TEXT, serde_json::Value::from(text).to_string());
    all.insert(DIED, time_ms.to_string());
}

/// Reads a letter. Whatever cannot be read is in it as it is.
pub(super) fn read_letter(headers: &HeaderMap, body: &Bytes) -> DeadLetter<LogEvent> {
    let get = |name| headers.get(name).map(async_nats::HeaderValue::as_str);
    let item = read(Some(headers), body)
        .unwrap_or_else(|_| LogEvent::opaque(get(TO).unwrap_or_default(), body.clone()));
    let reason = get(REASON).and_then(DeadReason::from_name).unwrap_or(DeadReason::Unreadable);
    let time_ms = get(DIED).and_then(|text| text.parse().ok()).unwrap_or_default();
    let text = get(TEXT).and_then(|text| serde_json::from_str::<String>(text).ok()).unwrap_or_default();
    DeadLetter::new(item, reason, time_ms).answered(get(STATUS).and_then(|text| text.parse().ok()), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"visitors":[{"visitor_id":"a","snapshots":[{"events":[{},{}]}]}]}"#;

    fn request() -> LogEvent {
        LogEvent::from_body("http://127.0.0.1/v1/events", BODY).unwrap()
    }

    #[test]
    fn every_request_is_read_back_as_it_was() {
        for request in [
            request(),
            request().with_taken_ms(5),
            request().with_taken_ms(-5).with_put_back_ms(7),
            LogEvent::opaque("http://127.0.0.1/", &b"\xff{"[..]).with_taken_ms(9),
        ] {
            let headers = headers(&request, "id-1").unwrap();
            assert_eq!(read(Some(&headers), request.body()), Ok(request.clone()));
            assert_eq!(events(Some(&headers)), request.events());
            assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), "id-1");
        }
        assert!(headers(&request().with_end_point("http://x/\r\nNats-Rollup: all"), "id").is_none());
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let body = Bytes::from(BODY);
        let with = |name: &str, value: &str| {
            let mut headers = headers(&request(), "id").unwrap();
            headers.insert(name, value);
            read(Some(&headers), &body).unwrap_err()
        };
        assert!(read(None, &body).unwrap_err().contains("no headers"));
        assert!(read(Some(&HeaderMap::new()), &body).unwrap_err().contains("no header Posthaste-Version"));
        assert!(with("Posthaste-Version", "2").contains("form 2"));
        assert!(with("Posthaste-Taken", "soon").contains("Posthaste-Taken is no number"));
        let headers = headers(&request(), "id").unwrap();
        assert!(!read(Some(&headers), &Bytes::from("{")).unwrap_err().is_empty());
        assert!(read(Some(&headers), &Bytes::from(r#"{"visitors":[]}"#)).unwrap_err().contains("no events"));
    }

    #[test]
    fn every_letter_is_read_back_as_it_was_and_what_was_unreadable_as_it_came() {
        let letter = DeadLetter::new(request().with_taken_ms(3), DeadReason::Rejected, 1_795_500_003_394);
        for letter in [letter.clone(), letter.answered(Some(400), "bad\r\n\"ä\"")] {
            let headers = letter_headers(&letter, "id").unwrap();
            assert_eq!(read_letter(&headers, letter.item.body()), letter);
        }
        let mut odd = HeaderMap::new();
        odd.insert("Posthaste-To", "http://127.0.0.1/");
        odd.insert("Nats-Msg-Id", "old");
        let headers = unreadable_headers(Some(&odd), "new", "it has no version", 7);
        assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), "new");
        let letter = read_letter(&headers, &Bytes::from("odd"));
        assert_eq!((letter.reason, letter.text.as_str()), (DeadReason::Unreadable, "it has no version"));
        assert_eq!((letter.item.end_point(), letter.item.is_opaque()), ("http://127.0.0.1/", true));
    }
}
