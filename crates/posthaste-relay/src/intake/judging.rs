//! What is wrong with a body, value by value, within bounds.
//!
//! Judging reads all values of a body into memory, and a small value takes much more there than its text: of `{"":1},` a
//! hundred times as much. So what it would take is estimated first, and large ones are judged one at a time.

use parking_lot::Mutex;
use posthaste::judge::{self, Judgement};

/// Bytes that the values of a body may take. Of events they are some fifteen times their text: this is enough for the
/// largest body of those.
const BYTES_MAX: usize = 80 << 20;
/// What is judged by as many as there are.
const SMALL_BYTES: usize = 2 << 20;

/// One at a time.
static LARGE: Mutex<()> = Mutex::new(());

/// `None`: it holds too many values.
pub(super) fn judge(body: &[u8]) -> Option<Judgement> {
    let bytes = bytes_of_values(body);
    if bytes > BYTES_MAX {
        return None;
    }
    let _alone = (bytes > SMALL_BYTES).then(|| LARGE.lock());
    Some(judge::judge_batch(body, None))
}

/// At least what the values take, with what the allocator adds. What stands in strings is counted too.
fn bytes_of_values(body: &[u8]) -> usize {
    let bytes_of = |byte: &u8| match byte {
        // The room for eleven fields, and one of their names.
        b'{' => 704,
        // Room for four values.
        b'[' => 160,
        // One more value in a list that grows, or a field with its name in nodes that are half full.
        b',' => 176,
        _ => 0,
    };
    body.iter().map(bytes_of).sum::<usize>() + body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_events_are_judged_whatever_their_size_and_those_of_crumbs_are_not() {
        let visitor = r#"{"visitor_id":"ann","attributes":[{"entity_id":"1","key":"plan","type":"custom","value":"gold"}],"snapshots":[{"decisions":[{"campaign_id":"2","experiment_id":"3","variation_id":"4"}],"events":[{"entity_id":"2","type":"campaign_activated","key":"campaign_activated","timestamp":1795559589561,"uuid":"00000000-0000-4000-8000-000000000000"}]}]}"#;
        let body = |visitors: &[&str]| format!(r#"{{"account_id":"1","visitors":[{}]}}"#, visitors.join(","));
        let large = body(&vec![visitor; 3_600_000 / visitor.len()]);
        assert!(large.len() > 3_500_000);
        assert!(bytes_of_values(large.as_bytes()) <= BYTES_MAX);
        assert_eq!(judge(body(&[visitor]).as_bytes()).unwrap().good, 1);
        for crumb in [r#"{"":1}"#, "[[]]", "1", "{}"] {
            let crumbs = body(&vec![crumb; 3_600_000 / (crumb.len() + 1)]);
            assert!(judge(crumbs.as_bytes()).is_none(), "{crumb}");
        }
    }
}
