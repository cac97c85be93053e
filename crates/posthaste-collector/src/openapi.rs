//! The table of requests as `OpenAPI` 3.1: what programs read of it.

use serde_json::{Map, Value, json};

use crate::api::{API, Content, Operation, Parameter, Place, Reply};

/// The whole document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for row in API {
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(row.method.to_ascii_lowercase(), operation(row));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "posthaste collect",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A strict local stand-in for the Optimizely Event API.",
        },
        // Relative to this document: right behind a proxy, too.
        "servers": [{"url": "."}],
        "paths": paths,
    })
}

fn operation(row: &Operation) -> Value {
    let mut operation = json!({"summary": row.what, "responses": responses(row.answers)});
    let parameters: Vec<Value> = row.all_parameters().map(parameter).collect();
    if !parameters.is_empty() {
        put(&mut operation, "parameters", Value::from(parameters));
    }
    if let Some(Content { media, what }) = row.body {
        let body = json!({"description": what, "content": {media: {}}});
        put(&mut operation, "requestBody", body);
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.what,
        "required": parameter.place == Place::Path,
        "schema": {"type": "string"},
    })
}

fn responses(answers: &[Reply]) -> Value {
    let response = |Reply { status, media, what }: &Reply| {
        let mut response = json!({"description": what});
        if let Some(media) = media {
            put(&mut response, "content", json!({*media: {}}));
        }
        (status.to_string(), response)
    };
    answers.iter().map(response).collect::<Map<_, _>>().into()
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
