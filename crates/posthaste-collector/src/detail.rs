//! All that there is to say of one event: where its problems stand, the request that it came in, how to send it again.

use posthaste::{
    ProjectConfig,
    judge::{Problem, ProblemKind, Severity},
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    Collector, Fault, Record,
    store::{View, layout::Kind},
    told::Told,
};

/// One event in detail.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    event: Record,
    /// A request body that carries this event alone.
    raw: Box<RawValue>,
    places: Vec<Place>,
    request: RequestTold,
    /// A command that sends `raw` again.
    curl: String,
    attributes: Vec<Attribute>,
}

/// A problem, and the nearest place to it in the JSON of the event alone.
#[derive(Debug, Serialize)]
struct Place {
    /// A JSON pointer.
    at: String,
    kind: ProblemKind,
    severity: Severity,
    problem: String,
    fix: String,
}

#[derive(Debug, Serialize)]
struct RequestTold {
    id: u64,
    received_ms: i64,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    /// Of the body as it came.
    bytes: u32,
    /// What it was answered with; none where it got no answer.
    status: Option<u16>,
    sdk: Sdk,
    /// That it held.
    events: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

#[derive(Debug, Serialize)]
struct Sdk {
    name: String,
    version: String,
}

/// An attribute as it was sent, with the name that the datafile has for its id.
#[derive(Debug, Serialize)]
struct Attribute {
    #[serde(flatten)]
    sent: serde_json::Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Collector {
    /// An event in detail, if it is kept; `host` is how whoever asks has reached the collector, with a path before its
    /// own where there is one.
    pub(crate) fn detail(&self, id: u64, host: &str) -> Option<Detail> {
        let snapshot = self.store().piece_after(id.saturating_sub(1));
        let view = snapshot.find(id)?;
        let told = Told::new(view, self.config());
        let (raw, parts) = (told.raw(), told.parts());
        let root: Value = serde_json::from_str(&raw).unwrap_or_default();
        let places =
            view.problems().iter().map(|problem| Place::of(problem, &root, told.head.kind)).collect();
        let list = parts.visitor().and_then(|visitor| visitor.get("attributes")?.as_array());
        let attributes =
            list.into_iter().flatten().filter_map(|one| Attribute::of(one, self.config())).collect();
        Some(Detail {
            event: told.record(),
            places,
            request: RequestTold::of(&view),
            curl: curl(host, view.session(), &raw),
            raw: RawValue::from_string(raw).ok()?,
            attributes,
        })
    }
}

impl Place {
    fn of(problem: &Problem, root: &Value, kind: Kind) -> Self {
        let Problem { kind: what, severity, path, problem, fix, .. } = problem;
        Self {
            at: pointer(path, root, kind),
            kind: *what,
            severity: *severity,
            problem: problem.clone(),
            fix: fix.clone(),
        }
    }
}

/// A path through a whole body, as one through the body that carries this event alone, as far as that goes.
fn pointer(path: &str, root: &Value, kind: Kind) -> String {
    // Of these lists one item is left.
    let alone: &[&str] = match kind {
        Kind::Event => &["visitors", "snapshots", "events"],
        Kind::Snapshot => &["visitors", "snapshots"],
        Kind::Visitor => &["visitors"],
        Kind::Body | Kind::Text => &[],
    };
    let (mut at, mut value, mut list) = (String::new(), root, "");
    let (mut depth, steps) = (0, path.split(['.', '[']).filter(|_| path != "body"));
    for step in steps {
        let step = match step.strip_suffix(']') {
            Some(_) if alone.get(depth) == Some(&list) => {
                depth += 1;
                "0"
            }
            Some(index) => index,
            None => step,
        };
        let next = match value {
            Value::Object(map) => map.get(step),
            Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        let Some(next) = next else { break };
        at.push('/');
        at.push_str(&step.replace('~', "~0").replace('/', "~1"));
        (value, list) = (next, step);
    }
    at
}

impl RequestTold {
    fn of(view: &View<'_>) -> Self {
        let (request, shape) = (view.request(), view.shape());
        let mut headers: Vec<(String, String)> =
            shape.origin.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        if shape.origin.says_length {
            headers.push(("content-length".to_owned(), request.bytes.to_string()));
        }
        Self {
            id: request.id,
            received_ms: request.received_ms,
            method: shape.origin.method.to_string(),
            path: shape.origin.path.to_string(),
            headers,
            bytes: request.bytes,
            status: request.status(),
            sdk: Sdk {
                name: shape.envelope.client_name.to_string(),
                version: shape.envelope.client_version.to_string(),
            },
            events: request.events,
            session: view.session().map(str::to_owned),
            fault: request.fault.as_deref().cloned(),
        }
    }
}

impl Attribute {
    fn of(sent: &Value, config: Option<&ProjectConfig>) -> Option<Self> {
        let sent = sent.as_object()?.clone();
        let id = sent.get("entity_id").and_then(Value::as_str);
        let name = config.zip(id).and_then(|(config, id)| config.attribute_by_id(id));
        Some(Self { name: name.map(|attribute| attribute.key().to_owned()), sent })
    }
}

fn curl(host: &str, session: Option<&str>, raw: &str) -> String {
    let session = session.map(|session| format!("/t/{session}")).unwrap_or_default();
    let url = quoted(&format!("http://{host}{session}/v1/events"));
    format!("curl {url} -H 'Content-Type: application/json' --data-binary {}", quoted(raw))
}

/// For a shell, which takes nothing between single quotes for anything else.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_the_nearest_that_is_there() {
        let root = json!({"account_id": "", "visitors": [{"visitor_id": "ann", "snapshots": [
            {"decisions": [{}, {"metadata": {"enabled": 1}}], "events": [{"tags": {"a/b": 1}}]}]}]});
        for (path, expected) in [
            ("body", ""),
            ("account_id", "/account_id"),
            ("visitors[3].snapshots[2].events[7].tags", "/visitors/0/snapshots/0/events/0/tags"),
            ("visitors[3].snapshots[2].events[7].timestamp", "/visitors/0/snapshots/0/events/0"),
            (
                "visitors[3].snapshots[2].decisions[1].metadata.enabled",
                "/visitors/0/snapshots/0/decisions/1/metadata/enabled",
            ),
            ("visitors[3].visitor_id", "/visitors/0/visitor_id"),
            ("visitors[3].attributes[4]", "/visitors/0"),
        ] {
            assert_eq!(pointer(path, &root, Kind::Event), expected, "{path}");
        }
    }

    #[test]
    fn a_shell_takes_a_body_as_it_is() {
        assert_eq!(quoted(r#"{"a": "it's $HOME"}"#), r#"'{"a": "it'\''s $HOME"}'"#);
    }
}
