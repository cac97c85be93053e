//! What SDKs are known to break, mended: their events still count.
//!
//! A body that is sound is not copied, and not a byte of it changes. Where something is mended, everything else stays.

use bytes::Bytes;
use posthaste::judge::Text;
use serde::de::IgnoredAny;

use super::{latin1, not_a_number};
use crate::counters::Repair;

/// A body, and what was mended in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repaired {
    pub(super) body: Bytes,
    /// Each once.
    pub(super) repairs: Vec<Repair>,
}

/// Mends what can be.
pub(super) fn repair(body: &Bytes) -> Repaired {
    let mut repairs = Vec::new();
    let (utf8, was_latin1) = latin1::to_utf8(body);
    note(&mut repairs, Repair::Latin1, was_latin1);
    let Ok(text) = Text::read(&utf8) else {
        return Repaired { body: body.clone(), repairs: Vec::new() };
    };
    note(&mut repairs, Repair::Surrogate, text.repaired() > 0);
    let is_marked = utf8.starts_with(latin1::MARK);
    note(&mut repairs, Repair::ByteOrderMark, is_marked);
    let mended = mended_numbers(text.as_str());
    note(&mut repairs, Repair::NotANumber, mended.is_some());
    let body = match mended {
        Some(mended) => mended.into(),
        None if repairs.is_empty() => body.clone(),
        None => Bytes::copy_from_slice(text.as_str().as_bytes()),
    };
    Repaired { body, repairs }
}

/// Only of what is no JSON as it is, and is some then: a text that holds such a word and is broken elsewhere is kept as
/// it came.
fn mended_numbers(text: &str) -> Option<Vec<u8>> {
    let holds = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    let may_hold_some = holds("NaN") || holds("Infinity");
    if !may_hold_some || serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return None;
    }
    let (mended, _) = not_a_number::to_null(text.as_bytes())?;
    serde_json::from_slice::<IgnoredAny>(&mended).is_ok().then_some(mended)
}

fn note(repairs: &mut Vec<Repair>, repair: Repair, is_there: bool) {
    if is_there {
        repairs.push(repair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_mended_and_named() {
        use Repair::{ByteOrderMark, Latin1, NotANumber, Surrogate};
        for (body, mended, repairs) in [
            (&b"{\"a\": 1}"[..], "{\"a\": 1}", vec![]),
            (b"\xEF\xBB\xBF{}", "{}", vec![ByteOrderMark]),
            (b"{\"a\":\"\xE9\"}", "{\"a\":\"é\"}", vec![Latin1]),
            (b"\xEF\xBB\xBF{\"a\":\"\xE9\"}", "{\"a\":\"é\"}", vec![Latin1, ByteOrderMark]),
            (b"{\"a\":NaN,\"b\":\"NaN\"}", "{\"a\":null,\"b\":\"NaN\"}", vec![NotANumber]),
            (b"{\"a\":\"\\ud83d\"}", "{\"a\":\"\\ufffd\"}", vec![Surrogate]),
            (
                b"{\"a\":\"\xE9\\ud83d\",\"b\":-Infinity}",
                "{\"a\":\"é\\ufffd\",\"b\":null}",
                vec![Latin1, Surrogate, NotANumber],
            ),
            (b"{\"a\":NaN", "{\"a\":NaN", vec![]),
        ] {
            let expected = Repaired { body: Bytes::copy_from_slice(mended.as_bytes()), repairs };
            assert_eq!(repair(&Bytes::copy_from_slice(body)), expected, "{mended}");
        }
    }

    #[test]
    fn a_sound_body_is_not_copied() {
        let body = Bytes::from_static(b"{\"visitors\":[]}");
        assert_eq!(repair(&body).body.as_ptr(), body.as_ptr());
    }
}
