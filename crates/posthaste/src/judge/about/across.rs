//! Of what shows across events only, of one body or of many.

use super::{About, Example};

const CREDIT: &str = "support.optimizely.com, \"How Optimizely Experimentation counts conversions\"";

pub(in crate::judge) const CONVERSION_BEFORE_DECISION: About = About {
    example: Example::Visitor(
        r#"{"visitor_id": "ann", "snapshots": [{"events": [{"entity_id": "3", "timestamp": 1795559589000, "uuid": "u1"}]}, {"decisions": [{"campaign_id": "21", "experiment_id": "11", "variation_id": "1101"}], "events": [{"entity_id": "21", "type": "campaign_activated", "timestamp": 1795559590000, "uuid": "u2"}]}]}"#,
    ),
    api: "It credits a conversion to earlier decisions only: this one counts for no variation.",
    fix: "Send the decision's own time, not that of sending, and mind the clocks. In the Go SDK before 1.8.3, both have \
          the time of sending.",
    source: "Event API, troubleshooting; PROTOCOL 1.3 and 8, T5",
};

pub(in crate::judge) const VISITOR_IN_TWO_VARIATIONS: About = About {
    example: Example::Visitor(
        r#"{"visitor_id": "ann", "snapshots": [{"decisions": [{"campaign_id": "21", "experiment_id": "11", "variation_id": "1101"}], "events": [{"entity_id": "21", "type": "campaign_activated", "timestamp": 1795559589000, "uuid": "u1"}]}, {"decisions": [{"campaign_id": "21", "experiment_id": "11", "variation_id": "1102"}], "events": [{"entity_id": "21", "type": "campaign_activated", "timestamp": 1795559590000, "uuid": "u2"}]}]}"#,
    ),
    api: "It credits what the visitor does to the variation that came first, whatever is shown now.",
    fix: "Keep a visitor's variation, with a user profile service where traffic or variations change; do not give one \
          id to several people.",
    source: CREDIT,
};
