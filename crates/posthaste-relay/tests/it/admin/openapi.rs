//! docs/relay.openapi.yaml, held against a running relay: every operation that it names is there and answers as it says,
//! every route that is there is in it, and no answer that these tests provoke is missing from it.

use std::collections::BTreeSet;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::{Answer, Client, fate_by_name, relay, take};
use crate::support::{Running, until};

struct Document(Value);

impl Document {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/relay.openapi.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        assert_eq!(documents.len(), 1);
        Self(json_of(&documents[0]))
    }

    /// What stands there, with references followed.
    fn at<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let path = reference.strip_prefix('#').unwrap();
                self.at(self.0.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
            None => value,
        }
    }

    /// Path, method and description of each operation.
    fn operations(&self) -> Vec<(&str, &str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap();
        let mut found = Vec::new();
        for (path, methods) in paths {
            found.extend(
                methods
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(method, what)| (path.as_str(), method.as_str(), what)),
            );
        }
        found
    }

    /// Holds an answer against what the document says of this operation.
    fn check(&self, path: &str, method: &str, answer: &Answer) {
        let place = format!("{method} {path} answered {}", answer.status);
        let responses = &self.0["paths"][path][method]["responses"];
        let response = self.at(&responses[answer.status.to_string()]);
        assert!(response["description"].is_string(), "{place}, which the document does not name");
        let Some(content) = response["content"].as_object() else {
            return assert!(answer.body.is_empty(), "{place} with a body");
        };
        let kind = answer.content_type().split(';').next().unwrap();
        let media = content.get(kind).unwrap_or_else(|| panic!("{place} as {kind:?}"));
        let value = if kind == "application/json" { answer.json() } else { answer.text().into() };
        self.fits(&value, &media["schema"], &place);
    }

    /// Whether the value has the schema's shape; of JSON Schema, what the document uses.
    fn fits(&self, value: &Value, schema: &Value, place: &str) {
        let schema = self.at(schema);
        let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        let kind = kind_of(value);
        let is_it = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
        assert!(types.iter().any(is_it), "{place}: {value} is no {types:?}");
        if let Some(values) = schema["enum"].as_array() {
            assert!(values.contains(value), "{place}: {value} is none of {values:?}");
        }
        if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64()) {
            assert!(number >= least, "{place}: {value} is below {least}");
        }
        if let Some(items) = value.as_array() {
            assert!(items.len() as u64 >= schema["minItems"].as_u64().unwrap_or(0), "{place}: {value}");
            for (at, item) in items.iter().enumerate() {
                self.fits(item, &schema["items"], &format!("{place}[{at}]"));
            }
        }
        if let Some(fields) = value.as_object() {
            self.fits_object(fields, schema, place);
        }
    }

    fn fits_object(&self, fields: &Map<String, Value>, schema: &Value, place: &str) {
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(fields.contains_key(name.as_str().unwrap()), "{place}: no {name}");
        }
        for (name, value) in fields {
            let place = format!("{place}.{name}");
            match schema["properties"].get(name) {
                Some(schema) => self.fits(value, schema, &place),
                None => assert_ne!(schema["additionalProperties"], false, "{place} is not in the document"),
            }
        }
    }

    /// The path with the query of its parameters' examples; the body of the example.
    fn example(&self, path: &str, operation: &Value) -> (String, Vec<u8>) {
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|one| self.at(one));
        let in_query = parameters.filter(|one| one["in"] == "query");
        let pair = |one: &Value| {
            let value = one["example"].as_str().map_or_else(|| one["example"].to_string(), str::to_owned);
            assert_ne!(value, "null", "{path}: {} has no example", one["name"]);
            format!("{}={value}", one["name"].as_str().unwrap())
        };
        let query = in_query.map(pair).collect::<Vec<_>>().join("&");
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        let body = if example.is_null() { Vec::new() } else { serde_json::to_vec(example).unwrap() };
        (format!("{path}?{query}"), body)
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn json_of(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(fields) => {
            let field =
                |(name, value): (&Yaml<'_>, &Yaml<'_>)| (name.as_str().unwrap().to_owned(), json_of(value));
            Value::Object(fields.iter().map(field).collect())
        }
        other => panic!("the document is plain: {other:?}"),
    }
}

/// A relay with events of every fate: delivered, dead, unusable, waiting.
async fn lived() -> (crate::support::Sink, Running, Client) {
    let (sink, relay, admin) = relay(fate_by_name).await;
    for uuid in ["good", "bad", "later"] {
        take(&relay, uuid).await;
    }
    assert_eq!(crate::support::post(relay.address, "", b"\xFFnonsense").await.0, 204);
    until(|| sink.asked() >= 3).await;
    (sink, relay, admin)
}

/// Asks, and holds the answer against the document; a tail is left after its first piece.
async fn ask(
    document: &Document,
    at: &Client,
    path: &str,
    method: &str,
    asked: (&str, &[(&str, &str)], &[u8]),
) -> u16 {
    let (target, headers, body) = asked;
    let name = method.to_uppercase();
    let sent = at.send(&name, target, headers, body);
    if path == "/tail" {
        // It never ends by itself; its lines are looked at below.
        return match tokio::time::timeout(std::time::Duration::from_millis(500), sent).await {
            Ok(answer) => {
                document.check(path, method, &answer);
                answer.status
            }
            Err(_) => 200,
        };
    }
    let answer = sent.await;
    document.check(path, method, &answer);
    answer.status
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_there_and_answers_as_the_document_says() {
    let document = Document::read();
    let (_sink, relay, admin) = lived().await;
    let public = Client::of(relay.address);
    for (path, method, operation) in document.operations() {
        let is_public = operation["tags"] == json!(["public"]);
        let at = if is_public { &public } else { &admin };
        let (target, body) = document.example(path, operation);
        for target in [path, &target] {
            let status = ask(&document, at, path, method, (target, &[], &body)).await;
            assert!([200, 204].contains(&status), "{method} {target}: {status}");
        }
        if !is_public {
            let foreign = [("host", "rebound.example")];
            assert_eq!(ask(&document, at, path, method, (path, &foreign, b"")).await, 403, "{path}");
        }
    }
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_in_the_document_too() {
    let document = Document::read();
    let (_sink, relay, admin) = lived().await;
    let public = Client::of(relay.address);
    let strict: &[(&str, &str)] = &[("x-optimizely-strict", "1")];
    assert_eq!(ask(&document, &public, "/v1/events", "post", ("/v1/events", strict, b"nonsense")).await, 400);
    let brotli: &[(&str, &str)] = &[("content-encoding", "br")];
    assert_eq!(ask(&document, &public, "/v1/events", "post", ("/v1/events", brotli, b"x")).await, 415);
    let large = vec![b' '; 4 << 20];
    assert_eq!(ask(&document, &public, "/v1/events", "post", ("/v1/events", &[], &large)).await, 413);
    for (path, method, query, status) in [
        ("/dead", "get", "?tenant=nobody", 404),
        ("/dead", "get", "?reason=none", 400),
        ("/dead", "get", "?after=nowhere", 400),
        ("/dead", "get", "?limit=many", 400),
        ("/dead", "get", "?limit=0", 400),
        ("/dead", "get", "?limit=1001", 400),
        ("/dead", "get", "?limit=1", 200),
        ("/dead", "get", "?limit=1000", 200),
        ("/dead", "get", "?unknown=1", 400),
        ("/dead/replay", "post", "?tenant=nobody", 404),
        ("/dead/replay", "post", "?reason=none", 400),
        ("/dead/purge", "post", "?tenant=nobody", 404),
        ("/dead/purge", "post", "?reason=none", 400),
        ("/dead/purge", "post", "?tenants=default", 400),
        ("/tail", "get", "?tenant=nobody", 404),
        ("/tail", "get", "?tenants=default", 400),
    ] {
        let target = format!("{path}{query}");
        assert_eq!(ask(&document, &admin, path, method, (&target, &[], b"")).await, status, "{target}");
    }
    relay.end().await;
}

/// `GET /` is made from the table that the routes are made from.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_in_the_document() {
    let document = Document::read();
    let (_sink, relay, admin) = relay(|_| 204).await;
    let is_admin = |(_, _, operation): &(&str, &str, &Value)| operation["tags"] == json!(["admin"]);
    let documented: BTreeSet<(String, String)> = document
        .operations()
        .into_iter()
        .filter(is_admin)
        .map(|(path, method, _)| (method.to_uppercase(), path.to_owned()))
        .collect();
    let text = admin.get("/").await.text().to_owned();
    let route = |line: &str| {
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.split('?').next()?.to_owned());
        path.starts_with('/').then_some((method, path))
    };
    let served: BTreeSet<(String, String)> = text.lines().filter_map(route).collect();
    assert_eq!(served, documented);
    relay.end().await;
}

#[test]
fn the_lines_of_the_tail_have_their_shapes() {
    let document = Document::read();
    let line = json!({"time_ms": 1, "request": 2, "tenant": "default", "events": 3, "bytes": 4});
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    document.fits(&line, &schema("WentOut"), "a line");
    let fails = |value: Value, name: &str| {
        let fits = || document.fits(&value, &schema(name), "a line");
        assert!(
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(fits)).is_err(),
            "the checker takes {value}"
        );
    };
    fails(json!({"time_ms": 1, "request": 2, "tenant": "default", "events": 3}), "WentOut");
    fails(json!({"lines": "many"}), "Missed");
    fails(json!({"lines": 1, "more": 1}), "Missed");
    fails(json!({"lines": null}), "Missed");
}
