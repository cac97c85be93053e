//! Of the fields of a body and of its visitors.

use super::{About, Example};

pub(in crate::judge) const ACCOUNT_ID_MISSING: About = About {
    example: Example::Body(
        r#"{"account_id": "", "visitors": [{"visitor_id": "ann", "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}]}"#,
    ),
    api: "What belongs to nobody is dropped.",
    fix: "Send the datafile's `accountId`, in quotes.",
    source: "OpenAPI 1.3.0: `account_id` is required; rudder-transformer#2299",
};

pub(in crate::judge) const PROJECT_ID_EMPTY: About = About {
    example: Example::Body(
        r#"{"account_id": "1", "project_id": "", "visitors": [{"visitor_id": "ann", "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}]}"#,
    ),
    api: "What belongs to no project is dropped.",
    fix: "Send the datafile's `projectId`, in quotes, or leave it out.",
    source: "rudder-transformer#2299",
};

pub(in crate::judge) const VISITOR_ID_MISSING: About = About {
    example: Example::Visitor(
        r#"{"snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}"#,
    ),
    api: "It counts visitors, and there is none. An empty id is a visitor's, and counts.",
    fix: "Send the user's id, in quotes.",
    source: "OpenAPI 1.3.0: `visitor_id` is required; PROTOCOL 1.4",
};

pub(in crate::judge) const ATTRIBUTE_TYPE_MISSING: About = About {
    example: Example::Visitor(
        r#"{"visitor_id": "ann", "attributes": [{"entity_id": "31", "key": "plan", "value": "pro"}], "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}"#,
    ),
    api: "It cannot tell what the attribute is.",
    fix: "Send `\"type\": \"custom\"`, which attributes of a project are.",
    source: "OpenAPI 1.3.0: `Attribute.type` is required",
};

pub(in crate::judge) const ATTRIBUTE_NAME_MISSING: About = About {
    example: Example::Visitor(
        r#"{"visitor_id": "ann", "attributes": [{"key": "plan", "type": "custom", "value": "pro"}], "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}"#,
    ),
    api: "It cannot tell which attribute of the project is meant.",
    fix: "Send `entity_id` and `key` as the datafile has them. Attributes of other types need neither.",
    source: "OpenAPI 1.3.0, `Attribute.type`",
};

pub(in crate::judge) const ATTRIBUTE_VALUE_UNUSABLE: About = About {
    example: Example::Visitor(
        r#"{"visitor_id": "ann", "attributes": [{"entity_id": "31", "key": "plan", "type": "custom", "value": ["pro"]}], "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}"#,
    ),
    api: "Its schema has a text, a number or a boolean there.",
    fix: "Leave the attribute out where it has no such value.",
    source: "OpenAPI 1.3.0: `Attribute.value`; PROTOCOL 1.4",
};

pub(in crate::judge) const USER_AGENT_OF_A_BOT: About = About {
    example: Example::Visitor(
        r#"{"visitor_id": "ann", "attributes": [{"entity_id": "$opt_user_agent", "key": "$opt_user_agent", "type": "custom", "value": "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/119.0"}, {"entity_id": "$opt_bot_filtering", "key": "$opt_bot_filtering", "type": "custom", "value": true}], "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}"#,
    ),
    api: "It compares the user agent with a list of spiders and bots, and leaves what is on it out of the results. The \
          list is not public: posthaste knows browsers without a window and a few names.",
    fix: "Give tests the user agent of a browser with a window, or none. Turn bot filtering off in a project for tests.",
    source: "Feature Experimentation, \"Filter out bots\"; PROTOCOL 2.5",
};
