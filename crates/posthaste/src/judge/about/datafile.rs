//! Of what shows beside a datafile. Without one, none of these is told.

use super::{About, Example};

const IDS: &str = "Event API, troubleshooting: incorrect or missing identifiers";
const UNKNOWN: &str = "It counts the event nowhere: there is nothing of this id.";
const RENEW: &str =
    "Look the id up in the datafile, or judge by the datafile that the sender has: it may be newer.";

pub(in crate::judge) const ACCOUNT: About = About {
    example: Example::Body(
        r#"{"account_id": "2", "visitors": [{"visitor_id": "ann", "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}]}"#,
    ),
    api: "It counts the events for the other account, if at all.",
    fix: "Send events of this project only, or judge by the sender's datafile.",
    source: IDS,
};

pub(in crate::judge) const PROJECT: About = About {
    example: Example::Body(
        r#"{"account_id": "1", "project_id": "9", "visitors": [{"visitor_id": "ann", "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}]}"#,
    ),
    api: "It counts the events for the other project, if at all.",
    fix: "Send events of this project only, or judge by the sender's datafile.",
    source: IDS,
};

pub(in crate::judge) const ATTRIBUTE: About = About {
    example: Example::Visitor(
        r#"{"visitor_id": "ann", "attributes": [{"entity_id": "39", "key": "plam", "type": "custom", "value": "pro"}], "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589561, "uuid": "u1"}]}]}"#,
    ),
    api: "It counts the event; results cannot be split by the attribute.",
    fix: "Look id and key up in the datafile, or create the attribute. SDKs leave unknown ones out.",
    source: "PROTOCOL 2.5; Full Stack, \"Track\": attributes are for segments of results",
};

pub(in crate::judge) const CAMPAIGN: About = About {
    example: Example::Snapshot(
        r#"{"decisions": [{"campaign_id": "29", "experiment_id": "", "variation_id": null}], "events": [{"entity_id": "29", "type": "campaign_activated", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: UNKNOWN,
    fix: RENEW,
    source: IDS,
};

pub(in crate::judge) const CAMPAIGN_OF_ANOTHER: About = About {
    example: Example::Snapshot(
        r#"{"decisions": [{"campaign_id": "22", "experiment_id": "11", "variation_id": "1101"}], "events": [{"entity_id": "22", "type": "campaign_activated", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: "It attributes the decision to a campaign that does not have the experiment.",
    fix: "Send the experiment's `layerId` as `campaign_id` and `entity_id`; the experiment's id where it has none.",
    source: "Event API, troubleshooting: attributed to the correct campaign_id; PROTOCOL 1.4",
};

pub(in crate::judge) const EXPERIMENT: About = About {
    example: Example::Snapshot(
        r#"{"decisions": [{"campaign_id": "21", "experiment_id": "19", "variation_id": "1101"}], "events": [{"entity_id": "21", "type": "campaign_activated", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: UNKNOWN,
    fix: RENEW,
    source: IDS,
};

pub(in crate::judge) const VARIATION: About = About {
    example: Example::Snapshot(
        r#"{"decisions": [{"campaign_id": "21", "experiment_id": "11", "variation_id": "1109"}], "events": [{"entity_id": "21", "type": "campaign_activated", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: UNKNOWN,
    fix: RENEW,
    source: IDS,
};

pub(in crate::judge) const VARIATION_OF_ANOTHER: About = About {
    example: Example::Snapshot(
        r#"{"decisions": [{"campaign_id": "21", "experiment_id": "11", "variation_id": "1201"}], "events": [{"entity_id": "21", "type": "campaign_activated", "timestamp": 1795559589561, "uuid": "u1"}]}"#,
    ),
    api: "The experiment has no such variation: the visitor shows in no variation's results.",
    fix: "Send the experiment and the variation of the same decision.",
    source: IDS,
};

pub(in crate::judge) const EVENT: About = About {
    example: Example::Event(r#"{"entity_id": "8", "timestamp": 1795559589561, "uuid": "u1"}"#),
    api: UNKNOWN,
    fix: RENEW,
    source: IDS,
};

pub(in crate::judge) const EVENT_KEY: About = About {
    example: Example::Event(r#"{"entity_id": "3", "key": "sale", "timestamp": 1795559589561, "uuid": "u1"}"#),
    api: "It goes by `entity_id`, and counts another event than the key says.",
    fix: "Correct one of them: the id and the key of one event of the datafile. The key may be left out.",
    source: "OpenAPI 1.3.0: `entity_id` of a conversion",
};
