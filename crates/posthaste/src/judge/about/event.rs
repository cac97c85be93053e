//! Of events and decisions, as far as they show it by themselves.

use super::{About, Example};

const DEDUPE: &str = "Event API, troubleshooting; PROTOCOL 1.3";
const MILLISECONDS: &str = "Event API guide: 13 digits; PROTOCOL 1.3";

pub(in crate::judge) const UUID_MISSING: About = About {
    example: Example::Event(r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": ""}"#),
    api: "It tells repeats by `entity_id`, `uuid` and `timestamp`, and asks for all three.",
    fix: "Make a random uuid once for each event, and keep it when sending again.",
    source: "OpenAPI 1.3.0: `uuid` is required; PROTOCOL 1.3",
};

pub(in crate::judge) const TIMESTAMP_NOT_AN_INTEGER: About = About {
    example: Example::Event(r#"{"entity_id": "3", "timestamp": "1795559589561", "uuid": "u1"}"#),
    api: "It drops an event without a time that it can read.",
    fix: "Send milliseconds since 1970 as a number, without quotes or fraction.",
    source: MILLISECONDS,
};

pub(in crate::judge) const TIMESTAMP_IN_SECONDS: About = About {
    example: Example::Event(r#"{"entity_id": "3", "timestamp": 1795559589, "uuid": "u1"}"#),
    api: "It reads January 1970, when no experiment ran, and counts the event nowhere.",
    fix: "Multiply by 1000.",
    source: MILLISECONDS,
};

pub(in crate::judge) const TIMESTAMP_NOT_MILLISECONDS: About = About {
    example: Example::Event(r#"{"entity_id": "3", "timestamp": 1795559589561000, "uuid": "u1"}"#),
    api: "It reads a time at which no experiment runs, and counts the event nowhere.",
    fix: "Send the time of the event in milliseconds since 1970, UTC: 13 digits.",
    source: MILLISECONDS,
};

pub(in crate::judge) const TIMESTAMP_IN_THE_FUTURE: About = About {
    example: Example::Event(r#"{"entity_id": "3", "timestamp": 1995559589561, "uuid": "u1"}"#),
    api: "Results show a range of time; an event after its end is not in it. A decision in the future explains no \
          conversion of today.",
    fix: "Send the time of the event in UTC, and mind the clocks. Five minutes are let pass.",
    source: "Event API, troubleshooting: within the time that the experiment runs",
};

pub(in crate::judge) const TAGS_NOT_AN_OBJECT: About = About {
    example: Example::Event(
        r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1", "tags": ["sale"]}"#,
    ),
    api: "Its schema has an object there, so that no tag is read. The Java SDK with json-simple always sends a list.",
    fix: "Send tags by name, or leave them out. Give the Java SDK another JSON library.",
    source: "OpenAPI 1.3.0: `tags`; PROTOCOL 8, T46",
};

pub(in crate::judge) const REVENUE_FIELD: About = About {
    example: Example::Event(
        r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1", "revenue": 12.5}"#,
    ),
    api: "Its schema has an integer of 64 bits there.",
    fix: "Send the currency's smallest unit (cents), without quotes.",
    source: "OpenAPI 1.3.0: `revenue`; PROTOCOL 1.4",
};

pub(in crate::judge) const VALUE_FIELD: About = About {
    example: Example::Event(
        r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1", "value": "9.5"}"#,
    ),
    api: "Its schema has a number there.",
    fix: "Send a number without quotes, or leave it out.",
    source: "OpenAPI 1.3.0: `value`; PROTOCOL 1.4",
};

pub(in crate::judge) const REVENUE_TAG: About = About {
    example: Example::Event(
        r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1", "tags": {"revenue": "12.50"}}"#,
    ),
    api: "It counts the conversion, without revenue or with another one. SDKs differ in what they make of it.",
    fix: "Send the currency's smallest unit (cents) as an integer of 64 bits, without quotes.",
    source: "PROTOCOL 2.6",
};

pub(in crate::judge) const VALUE_TAG: About = About {
    example: Example::Event(
        r#"{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1", "tags": {"value": "much"}}"#,
    ),
    api: "It counts the conversion, without the value.",
    fix: "Send a number without quotes, or leave it out.",
    source: "PROTOCOL 2.6",
};

pub(in crate::judge) const WITHOUT_DECISION: About = About {
    example: Example::Snapshot(
        r#"{"decisions": [{"campaign_id": "21", "experiment_id": "11", "variation_id": "1101"}], "events": [{"entity_id": "22", "type": "campaign_activated", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: "It attributes a decision to the campaign that `entity_id` names, and this one is of another.",
    fix: "Send the `campaign_id` of the decision as the impression's `entity_id`.",
    source: DEDUPE,
};

pub(in crate::judge) const VARIATION_ID_NOT_DIGITS: About = About {
    example: Example::Snapshot(
        r#"{"decisions": [{"campaign_id": "21", "experiment_id": "11", "variation_id": "green"}], "events": [{"entity_id": "21", "type": "campaign_activated", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: "Ids of variations are digits. Today's SDKs send `null` in the place of any other; what the \
          API makes of another is not documented.",
    fix: "Send the variation's id, not its key; `null` where it has none. Update the SDK.",
    source: "PROTOCOL 1.4; javascript-sdk#1158, java-sdk#634, python-sdk#519, ruby-sdk#401",
};
