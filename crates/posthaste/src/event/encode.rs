//! Writes request bodies straight from events, without building [`Batch`](crate::Batch) in between: this is the hot
//! path of delivery. A test holds it to the same bytes as `Batch`.

use std::ops::Range;

use super::user_event::{EventKind, UserEvent};
use crate::batch::{DecisionMetadata, body_memory, write_value};

/// The body for these events, under the first one's context, and where in it the visitors stand.
pub(crate) fn encode_events<'a>(
    events: impl Iterator<Item = &'a UserEvent> + Clone,
) -> (Vec<u8>, Range<usize>) {
    let Some(first) = events.clone().next() else { return (Vec::new(), 0..0) };
    let context = &**first.context();
    let mut out = body_memory(events.clone().map(UserEvent::wire_bytes_typical).sum::<usize>() + 256);
    out.extend_from_slice(br#"{"revision":"#);
    text(&mut out, context.revision());
    field(&mut out, r#","account_id":"#, context.account_id());
    field(&mut out, r#","client_version":"#, context.client_version());
    out.extend_from_slice(br#","visitors":["#);
    let start = out.len();
    for (at, event) in events.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        visitor(&mut out, event);
    }
    let visitors = start..out.len();
    out.push(b']');
    field(&mut out, r#","project_id":"#, context.project_id());
    field(&mut out, r#","client_name":"#, context.client_name());
    out.extend_from_slice(br#","anonymize_ip":"#);
    boolean(&mut out, context.anonymize_ip());
    out.extend_from_slice(br#","enrich_decisions":true"#);
    if context.region_sent() {
        field(&mut out, r#","region":"#, context.region().as_str());
    }
    out.push(b'}');
    (out, visitors)
}

fn visitor(out: &mut Vec<u8>, event: &UserEvent) {
    out.extend_from_slice(br#"{"attributes":["#);
    event.packed_attributes().write_json(event.context(), out);
    out.extend_from_slice(br#"{"value":"#);
    boolean(out, event.context().bot_filtering());
    out.extend_from_slice(
        br#","key":"$opt_bot_filtering","type":"custom","entity_id":"$opt_bot_filtering"}],"snapshots":[{"decisions":["#,
    );
    decision(out, event);
    out.extend_from_slice(br#"],"events":[{"entity_id":"#);
    text(out, event.entity_id());
    field(out, r#","key":"#, event.key());
    out.extend_from_slice(br#","timestamp":"#);
    write_value(out, &event.timestamp_ms());
    field(out, r#","uuid":"#, event.uuid().as_str(&mut [0; 36]));
    details(out, event);
    out.extend_from_slice(br#"}]}],"visitor_id":"#);
    text(out, event.visitor_id());
    out.push(b'}');
}

fn decision(out: &mut Vec<u8>, event: &UserEvent) {
    let EventKind::Impression(impression) = event.kind() else { return };
    out.extend_from_slice(br#"{"variation_id":"#);
    match impression.variation_id() {
        Some(id) => text(out, id),
        None => out.extend_from_slice(b"null"),
    }
    field(out, r#","campaign_id":"#, impression.campaign_id());
    field(out, r#","experiment_id":"#, impression.experiment_id());
    if let Some(of_decision) = impression.metadata() {
        metadata(out, of_decision);
    }
    out.push(b'}');
}

fn metadata(out: &mut Vec<u8>, metadata: &DecisionMetadata) {
    field(out, r#","metadata":{"flag_key":"#, &metadata.flag_key);
    field(out, r#","rule_key":"#, &metadata.rule_key);
    field(out, r#","rule_type":"#, &metadata.rule_type);
    field(out, r#","variation_key":"#, &metadata.variation_key);
    out.extend_from_slice(br#","enabled":"#);
    boolean(out, metadata.enabled);
    if let Some(uuid) = &metadata.cmab_uuid {
        field(out, r#","cmab_uuid":"#, uuid);
    }
    out.push(b'}');
}

fn details(out: &mut Vec<u8>, event: &UserEvent) {
    let Some(details) = event.conversion().and_then(|conversion| conversion.details()) else { return };
    out.extend_from_slice(br#","tags":"#);
    out.extend_from_slice(details.tags.as_bytes());
    if let Some(revenue) = details.revenue {
        out.extend_from_slice(br#","revenue":"#);
        write_value(out, &revenue);
    }
    if let Some(value) = details.value {
        out.extend_from_slice(br#","value":"#);
        write_value(out, &value);
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    text(out, value);
}

/// Most ids need no escape: those are copied whole.
fn text(out: &mut Vec<u8>, value: &str) {
    if value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        write_value(out, value);
    }
}

fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}
