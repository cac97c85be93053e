//! How deep JSON is nested. Readers give up at some depth, and with it on the whole request, its other events included.
//!
//! `serde_json`, which posthaste and its collector read with, takes [`LEVELS_MAX`]; nobody who reads events is known to
//! take fewer. Strings are passed over; text that is no JSON has some depth, too.

/// Levels of objects and lists that readers take.
pub(crate) const LEVELS_MAX: usize = 127;
/// Levels around an event's tags: body, visitors, visitor, snapshots, snapshot, events, event.
const LEVELS_AROUND_TAGS: usize = 7;
/// Levels that an event's tags may have, the object of them included.
pub(crate) const TAGS_LEVELS_MAX: usize = LEVELS_MAX - LEVELS_AROUND_TAGS;

/// Whether this JSON has more levels than so many. Cheap for what is too short to have them.
pub(crate) fn is_deeper_than(levels_max: usize, json: &[u8]) -> bool {
    // Each level is opened and closed.
    if json.len() / 2 <= levels_max || opens(json) <= levels_max {
        return false;
    }
    let (mut levels, mut in_string, mut bytes) = (0_usize, false, json.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            b'{' | b'[' if !in_string => {
                levels += 1;
                if levels > levels_max {
                    return true;
                }
            }
            b'}' | b']' if !in_string => levels = levels.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// How many levels are opened anywhere, in strings too: at least as many as there are one within the other.
fn opens(json: &[u8]) -> usize {
    memchr::memchr2_iter(b'{', b'[', json).count()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Deeper than any reader takes is what `serde_json` does not read, whatever it is made of.
    #[test]
    fn a_text_is_too_deep_where_it_is_not_read() {
        for levels in LEVELS_MAX - 3..LEVELS_MAX + 3 {
            for (open, within, close) in [
                ("[", "", "]"),
                (r#"{"a":"#, "1", "}"),
                (r#"["]",{"\\":"[\"{","b":"#, "[]", "}]"),
                ("[[],", r#""[[[[""#, "]"),
            ] {
                let levels_of_one = open.matches(':').count().max(1);
                let times = levels / levels_of_one;
                let text = open.repeat(times) + within + &close.repeat(times);
                let is_read = serde_json::from_str::<Value>(&text).is_ok();
                assert_eq!(is_deeper_than(LEVELS_MAX, text.as_bytes()), !is_read, "{text}");
            }
        }
    }
}
