//! Of bodies that cannot be read, or taken apart.

use super::{About, Example};

/// What the API says of itself.
const PERMISSIVE: &str = "OpenAPI 1.3.0 of the Event API: without `X-Optimizely-Strict`, it silently rejects requests \
     that it cannot use";
const LOST: &str = "It answers 204 and counts nothing of the body.";

pub(in crate::judge) const EMPTY: About =
    About { example: Example::Body(""), api: LOST, fix: "Send a JSON object.", source: PERMISSIVE };

pub(in crate::judge) const NOT_GZIP: About = About {
    example: Example::Told("a body with `Content-Encoding: gzip` that is not compressed, or not whole"),
    api: LOST,
    fix: "Compress the whole body, or leave out the header.",
    source: "RFC 1952; no SDK compresses (PROTOCOL 1.1)",
};

pub(in crate::judge) const NOT_UTF8: About = About {
    example: Example::Told("the visitor's id `zoé`, its last letter as the one byte E9"),
    api: "JSON is UTF-8: readers refuse the body, or read other letters than were meant.",
    fix: "Encode the body as UTF-8. The Java SDK sends ISO-8859-1 unless it has another event handler.",
    source: "RFC 8259 8.1; PROTOCOL 1.5",
};

pub(in crate::judge) const NOT_JSON: About = About {
    example: Example::Body("account_id=1&visitors=[]"),
    api: LOST,
    fix: "Send one JSON object, without anything around it.",
    source: PERMISSIVE,
};

pub(in crate::judge) const CUT_SHORT: About = About {
    example: Example::Body(r#"{"account_id": "1", "visitors": [{"visitor_id": "zo"#),
    api: LOST,
    fix: "Send the whole body. JavaScript SDKs before 6.5.0 count characters for its length, not bytes: update them.",
    source: "PROTOCOL 8, T26",
};

pub(in crate::judge) const NUMBER_NOT_FINITE: About = About {
    example: Example::Event(
        r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1", "tags": {"value": NaN}}"#,
    ),
    api: "`NaN` and `Infinity` are no JSON: readers refuse the body with all that is in it.",
    fix: "Send a finite number or leave it out. The Python SDK passes on what event tags hold.",
    source: "RFC 8259 6; PROTOCOL 8, T38",
};

pub(in crate::judge) const NESTED_TOO_DEEP: About = About {
    example: Example::Told("a tag of 130 lists, one in the other"),
    api: "Readers give up on the body with all that is in it.",
    fix: "Flatten what is in the tags: 120 levels are the most, as a body has 127.",
    source: "RFC 8259 9: a reader may limit the depth; docs/PARITY.md",
};

pub(in crate::judge) const TOO_LARGE: About = About {
    example: Example::Told("a visitor with a megabyte of attributes and a thousand events"),
    api: "It takes 3.5 MB in one body. What the collector keeps of one would be larger than it can hold.",
    fix: "Send several bodies.",
    source: "Event API guide, \"Bundle events and visitors\": 3.5 MB",
};

pub(in crate::judge) const TOO_MANY_EVENTS: About = About {
    example: Example::Told("a body of 100,001 events"),
    api: "It takes 3.5 MB in one body: so many events that it could use do not fit.",
    fix: "Send several bodies.",
    source: "Event API guide, \"Bundle events and visitors\": 3.5 MB",
};

pub(in crate::judge) const NOT_A_BATCH: About = About {
    example: Example::Body(r#"{"account_id": "1", "events": []}"#),
    api: LOST,
    fix: "Send an object with `account_id` and a list of `visitors`.",
    source: "OpenAPI 1.3.0: `visitors` is required",
};

pub(in crate::judge) const NO_EVENTS: About = About {
    example: Example::Body(r#"{"account_id": "1", "visitors": []}"#),
    api: "There is nothing in it to count.",
    fix: "Send a body only where there are events.",
    source: "OpenAPI 1.3.0",
};

pub(in crate::judge) const LIST_TWICE: About = About {
    example: Example::Snapshot(
        r#"{"events": [], "events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: "Of two lists of one name, one reader takes the first and another the last: one of them is lost.",
    fix: "Send one list of all.",
    source: "RFC 8259 4: what readers make of it is not predictable",
};

pub(in crate::judge) const NOT_AN_OBJECT: About = About {
    example: Example::Event("5"),
    api: "It drops the part with all that is beneath it.",
    fix: "Send an object with the fields that the problem names.",
    source: "OpenAPI 1.3.0",
};

pub(in crate::judge) const NOT_A_LIST: About = About {
    example: Example::Visitor(r#"{"visitor_id": "ann", "snapshots": {}}"#),
    api: "It drops the part with all that is beneath it.",
    fix: "Send a list, of one item where there is one.",
    source: "OpenAPI 1.3.0",
};

pub(in crate::judge) const NOT_A_STRING: About = About {
    example: Example::Event(r#"{"entity_id": "3", "key": 5, "timestamp": 1795559589561, "uuid": "u1"}"#),
    api: "Its schema has texts there. Numbers of many digits are also read as others by some readers.",
    fix: "Put it in quotes: ids and names are strings. Or leave it out.",
    source: "OpenAPI 1.3.0; RFC 8259 6",
};

pub(in crate::judge) const NOT_A_BOOLEAN: About = About {
    example: Example::Body(
        r#"{"account_id": "1", "anonymize_ip": "yes", "visitors": [{"visitor_id": "ann", "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}]}"#,
    ),
    api: "Its schema has `true` or `false` there.",
    fix: "Send `true` or `false`, without quotes, or leave it out.",
    source: "OpenAPI 1.3.0; PROTOCOL 1.4",
};
