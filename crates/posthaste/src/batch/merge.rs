//! Several requests as one: which may be, and how.
//!
//! Visitors stay byte for byte as they came; what is outside them is taken from the first. So requests are one only
//! where all of that is the same: every field is there in both with the same text, those that posthaste does not know
//! among them. A field that is missing is another thing than one that is false.

use std::sync::Arc;

use super::{log_event::LogEvent, raw::RawBatch, spare, taken::Taken};

impl LogEvent {
    /// Whether the two may be one request: both go to the same address, and have the same fields outside the visitors. A
    /// body that readers may give up on, nested as deep as it is, goes alone: it would take the others with it.
    pub(crate) fn can_merge(&self, other: &Self) -> bool {
        self.end_point == other.end_point
            && !self.visitors.is_empty()
            && !other.visitors.is_empty()
            && !self.is_too_deep
            && !other.is_too_deep
            && (self.around_visitors() == other.around_visitors() || self.has_same_head(other))
    }

    /// The same fields in another order, or with other white space between them.
    fn has_same_head(&self, other: &Self) -> bool {
        if self.head.is_none() || self.head != other.head {
            return false;
        }
        let (mine, theirs) = (self.without_visitors(), other.without_visitors());
        let parsed = RawBatch::parse(&mine).ok().zip(RawBatch::parse(&theirs).ok());
        parsed.is_some_and(|(mine, theirs)| mine.same_head(&theirs))
    }

    /// The body with an empty list of visitors.
    fn without_visitors(&self) -> Vec<u8> {
        let (before, after) = self.around_visitors();
        [before, after].concat()
    }

    /// One request with the visitors of all, each byte for byte as it was. They [can be merged](Self::can_merge).
    pub(crate) fn merged<'a>(requests: impl ExactSizeIterator<Item = &'a Self> + Clone) -> Self {
        let first = requests.clone().next().expect("a request has at least one item");
        if requests.len() == 1 {
            return first.clone();
        }
        let (before, after) = first.around_visitors();
        let bytes: usize = requests.clone().map(|request| request.visitors.len() + 1).sum();
        let events = requests.clone().map(|request| request.events).sum();
        let taken_ms = requests.clone().filter_map(Self::taken_ms).min();
        let mut body = spare::take(before.len() + bytes + after.len());
        body.extend_from_slice(before);
        for (at, request) in requests.enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(request.body.get(request.visitors.clone()).unwrap_or_default());
        }
        let visitors = before.len()..body.len();
        body.extend_from_slice(after);
        let (head, taken) = (first.head, taken_ms.and_then(Taken::at));
        Self { head, taken, ..Self::plain(Arc::clone(&first.end_point), body, events, visitors) }
    }

    fn around_visitors(&self) -> (&[u8], &[u8]) {
        let before = self.body.get(..self.visitors.start).unwrap_or_default();
        (before, self.body.get(self.visitors.end..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISITOR: &str = r#"{"visitor_id":"a","snapshots":[{"events":[{},{}]}]}"#;

    fn request(body: &str) -> LogEvent {
        LogEvent::from_body("http://127.0.0.1/", body.replace('V', VISITOR)).unwrap()
    }

    #[test]
    fn a_body_that_readers_may_give_up_on_goes_alone() {
        let request = |lists: usize| {
            let visitor = format!(r#"{{"a":{}{}}}"#, "[".repeat(lists), "]".repeat(lists));
            LogEvent::from_body("http://127.0.0.1/", format!(r#"{{"visitors":[{visitor}]}}"#)).unwrap()
        };
        // Body, visitors and visitor are levels, too.
        for (lists, may_be_merged) in [(1, true), (124, true), (125, false)] {
            assert_eq!(request(lists).can_merge(&request(1)), may_be_merged, "{lists}");
            assert_eq!(request(1).can_merge(&request(lists)), may_be_merged, "{lists}");
        }
    }

    #[test]
    fn only_requests_of_the_same_fields_outside_the_visitors_are_merged() {
        let plain = r#"{"account_id":"1","revision":"7","visitors":[V]}"#;
        for (one, other, may_be_merged) in [
            (plain, plain, true),
            (plain, r#"{"revision":"7","account_id":"1","visitors":[V]}"#, true),
            (plain, r#"{"visitors":[V,V],"revision":"7","account_id":"1"}"#, true),
            (plain, r#" { "account_id" : "1",  "revision": "7", "visitors" :[ V ] } "#, true),
            (plain, r#"{"account_\u0069d":"1","revision":"7","visitors":[V]}"#, true),
            (plain, r#"{"account_id":"1","revision":"8","visitors":[V]}"#, false),
            (plain, r#"{"account_id":"1","visitors":[V]}"#, false),
            (plain, r#"{"account_id":"1","revision":7,"visitors":[V]}"#, false),
            (plain, r#"{"account_id":"1","revision":"7","visitors":[V],"new":null}"#, false),
            (plain, r#"{"account_id":"1","revision":"7","visitors":[]}"#, false),
            // Absent and false are different things.
            (plain, r#"{"account_id":"1","revision":"7","anonymize_ip":false,"visitors":[V]}"#, false),
            (r#"{"new":[1, 2],"visitors":[V]}"#, r#"{"visitors":[V],"new":[1, 2]}"#, true),
            (r#"{"new":[1, 2],"visitors":[V]}"#, r#"{"visitors":[V],"new":[1,2]}"#, false),
            // Which of two counts is anybody's guess.
            (r#"{"a":1,"a":2,"visitors":[V]}"#, r#"{"a":1,"a":2,"visitors":[V,V]}"#, true),
            (r#"{"a":1,"a":2,"visitors":[V]}"#, r#"{"visitors":[V],"a":1,"a":2}"#, false),
            (r#"{"a":1,"a":2,"visitors":[V]}"#, r#"{"a":2,"a":1,"visitors":[V]}"#, false),
        ] {
            let (left, right) = (request(one), request(other));
            let found = (left.can_merge(&right), right.can_merge(&left));
            assert_eq!(found, (may_be_merged, may_be_merged), "{one} and {other}");
        }
        let opaque = LogEvent::opaque("http://127.0.0.1/", request(plain).body().clone());
        assert!(!opaque.can_merge(&opaque) && opaque.split().is_none());
        let elsewhere = request(plain).with_end_point("http://127.0.0.2/");
        assert!(!request(plain).can_merge(&elsewhere));
    }

    /// Where two heads happen to have one key, they are compared themselves.
    #[test]
    fn a_key_alone_merges_nothing() {
        let one = request(r#"{"a":1,"visitors":[V]}"#);
        let mut other = request(r#"{"a":2,"visitors":[V]}"#);
        other.head = one.head;
        assert!(!one.can_merge(&other));
    }

    #[test]
    fn what_posthaste_wrote_itself_equals_what_is_read_back() {
        let batch = crate::batch::Batch::default();
        let request = LogEvent::new("http://127.0.0.1/", &batch);
        let written = LogEvent { head: None, ..request.clone() };
        assert_eq!(written, request);
    }

    #[test]
    fn merged_requests_carry_the_visitors_of_all_as_they_came() {
        let one = request(r#"{"visitors":[ V , V ],"a":1}"#);
        let other = request(r#"{"a":1,"visitors":[{"visitor_id": "b"}]}"#);
        let merged = LogEvent::merged([&one, &other, &one].into_iter());
        let late = [&one, &other].map(|request| request.clone().with_taken_ms(8));
        let taken = [&late[0].clone().with_taken_ms(9), &late[1], &one];
        assert_eq!((LogEvent::merged(taken.into_iter()).taken_ms(), merged.taken_ms()), (Some(8), None));
        let body = r#"{"visitors":[ V , V,{"visitor_id": "b"},V , V ],"a":1}"#.replace('V', VISITOR);
        assert_eq!((merged.events(), merged.body()), (9, &body.into()));
        assert!(merged.can_merge(&other));
        assert_eq!(LogEvent::from_body("http://127.0.0.1/", merged.body().clone()).unwrap(), merged);
    }
}
