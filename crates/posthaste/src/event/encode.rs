//! Writes request bodies straight from events, without building [`Batch`](crate::Batch) in between: this is the hot
//! path of delivery. A test holds it to the same bytes as `Batch`.
//!
//! What is the same for every event of a variation, or of a conversion's event, is put into words once, and copied from
//! then on.

use std::ops::Range;

use super::{
    bytes::as_text,
    kind::{ConversionEvent, EventKind, IMPRESSION_KEY, ImpressionEvent},
    packed::flag,
    user_event::UserEvent,
    uuid::EventUuid,
};
use crate::{
    batch::{DecisionMetadata, body_memory, needs_no_escape, write_text, write_value},
    project::Context,
};

/// From the last attribute's value to the decisions.
const BOT_FILTERING: &str = concat!(
    r#","key":"$opt_bot_filtering","type":"custom","entity_id":"$opt_bot_filtering"}],"#,
    r#""snapshots":[{"decisions":["#
);

/// The body for these events, under the first one's context, and where in it the visitors stand.
pub(crate) fn encode_events<'a>(
    events: impl Iterator<Item = &'a UserEvent> + Clone,
) -> (Vec<u8>, Range<usize>) {
    let Some(first) = events.clone().next() else { return (Vec::new(), 0..0) };
    let [head, tail] = first.context().in_words(head_and_tail);
    let bytes = events.clone().map(UserEvent::wire_bytes_typical).sum::<usize>();
    let mut out = body_memory(head.len() + bytes + tail.len());
    out.extend_from_slice(head);
    let start = out.len();
    for (at, event) in events.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        visitor(&mut out, event);
    }
    let visitors = start..out.len();
    out.extend_from_slice(tail);
    (out, visitors)
}

/// What a request has before its visitors and behind them.
#[cold]
fn head_and_tail(context: &Context) -> [Box<[u8]>; 2] {
    let head = words(|out| {
        field(out, r#"{"revision":"#, context.revision());
        field(out, r#","account_id":"#, context.account_id());
        field(out, r#","client_version":"#, context.client_version());
        put(out, r#","visitors":["#);
    });
    let tail = words(|out| {
        field(out, r#"],"project_id":"#, context.project_id());
        field(out, r#","client_name":"#, context.client_name());
        put(out, r#","anonymize_ip":"#);
        boolean(out, context.anonymize_ip());
        put(out, r#","enrich_decisions":true"#);
        if context.region_sent() {
            field(out, r#","region":"#, context.region().as_str());
        }
        out.push(b'}');
    });
    [head, tail]
}

fn visitor(out: &mut Vec<u8>, event: &UserEvent) {
    let context: &Context = event.context();
    put(out, r#"{"attributes":[{"value":"#);
    event.0.attributes().write_json(context.names(), out);
    boolean(out, context.bot_filtering());
    put(out, BOT_FILTERING);
    what(out, event);
    write_value(out, &event.timestamp_ms());
    uuid(out, event);
    details(out, event);
    put(out, r#"}]}],"visitor_id":"#);
    visitor_id(out, event.0.visitor());
    out.push(b'}');
}

/// From the decision, where there is one, to the timestamp.
fn what(out: &mut Vec<u8>, event: &UserEvent) {
    let in_words = if let Some(decision) = event.0.decision() {
        decision.in_words.get_or_init(|| words(|out| impression(out, ImpressionEvent::shared(decision))))
    } else if let Some(ids) = event.0.event_ids() {
        ids.in_words.get_or_init(|| words(|out| conversion(out, &ids.id, &ids.key)))
    } else {
        return match event.kind() {
            EventKind::Impression(own) => impression(out, own),
            EventKind::Conversion(own) => conversion(out, own.entity_id(), own.key()),
        };
    };
    out.extend_from_slice(in_words);
}

#[cold]
fn words(put: impl FnOnce(&mut Vec<u8>)) -> Box<[u8]> {
    let mut words = Vec::new();
    put(&mut words);
    words.into()
}

fn impression(out: &mut Vec<u8>, impression: ImpressionEvent<'_>) {
    put(out, r#"{"variation_id":"#);
    match impression.variation_id() {
        Some(id) => write_text(out, id),
        None => put(out, "null"),
    }
    field(out, r#","campaign_id":"#, impression.campaign_id());
    field(out, r#","experiment_id":"#, impression.experiment_id());
    if let Some(of_decision) = impression.metadata() {
        metadata(out, &of_decision);
    }
    out.push(b'}');
    conversion(out, impression.entity_id(), IMPRESSION_KEY);
}

fn conversion(out: &mut Vec<u8>, entity_id: &str, key: &str) {
    field(out, r#"],"events":[{"entity_id":"#, entity_id);
    field(out, r#","key":"#, key);
    put(out, r#","timestamp":"#);
}

fn metadata(out: &mut Vec<u8>, metadata: &DecisionMetadata) {
    field(out, r#","metadata":{"flag_key":"#, &metadata.flag_key);
    field(out, r#","rule_key":"#, &metadata.rule_key);
    field(out, r#","rule_type":"#, &metadata.rule_type);
    field(out, r#","variation_key":"#, &metadata.variation_key);
    put(out, r#","enabled":"#);
    boolean(out, metadata.enabled);
    if let Some(uuid) = &metadata.cmab_uuid {
        field(out, r#","cmab_uuid":"#, uuid);
    }
    out.push(b'}');
}

fn uuid(out: &mut Vec<u8>, event: &UserEvent) {
    if let Some(uuid) = event.0.uuid_bytes() {
        put(out, r#","uuid":""#);
        EventUuid::write(uuid, out);
        out.push(b'"');
    } else {
        field(out, r#","uuid":"#, &event.uuid().to_string());
    }
}

fn details(out: &mut Vec<u8>, event: &UserEvent) {
    if !event.0.has(flag::CONVERSION) {
        return;
    }
    let details = event.conversion().map(ConversionEvent::details);
    let Some(details) = details.filter(|details| !details.tags.is_empty()) else { return };
    put(out, r#","tags":"#);
    out.extend_from_slice(details.tags);
    if let Some(revenue) = details.revenue {
        put(out, r#","revenue":"#);
        write_value(out, &revenue);
    }
    if let Some(value) = details.value {
        put(out, r#","value":"#);
        write_value(out, &value);
    }
}

fn visitor_id(out: &mut Vec<u8>, id: &[u8]) {
    if needs_no_escape(id) {
        out.push(b'"');
        out.extend_from_slice(id);
        out.push(b'"');
    } else {
        write_value(out, as_text(id));
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    put(out, name);
    write_text(out, value);
}

fn boolean(out: &mut Vec<u8>, value: bool) {
    put(out, if value { "true" } else { "false" });
}
