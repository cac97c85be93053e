//! The table of requests: the router, the list, the `OpenAPI` document and docs/COLLECTOR.md say the same.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use http::{Method, StatusCode};
use posthaste_collector::{API, markdown};

use crate::support::{Server, collector};

const METHODS: [Method; 6] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS];

/// Stands in docs/COLLECTOR.md before and after what is made from the table.
const MARKS: [&str; 2] = ["<!-- requests: made from the code -->\n", "<!-- requests: end -->\n"];

/// A path that one can ask for.
fn real(path: &str) -> String {
    path.replace("{session}", "one").replace("{id}", "1").replace("{file}", "dom.js")
}

#[tokio::test]
async fn the_router_answers_the_table_and_nothing_else() {
    let server = Server::start(collector()).await;
    for path in API.iter().map(|row| row.path).collect::<BTreeSet<_>>() {
        for method in METHODS {
            let is_listed = API.iter().any(|row| (row.path, row.method) == (path, method.as_str()));
            // It has no end: that it does not refuse has to do.
            if (path, &method) == ("/stream", &Method::GET) {
                let asked = tokio::time::timeout(Duration::from_millis(200), server.get(path)).await;
                assert!(asked.is_err(), "{path} has ended");
                continue;
            }
            let status = server.send(method.clone(), &real(path), &[], b"").await.status;
            let is_there = status != StatusCode::METHOD_NOT_ALLOWED && status != StatusCode::NOT_FOUND;
            // No event has come yet: that one is not there is what a path with an id says.
            let is_there =
                is_there || (path.contains("{id}") && is_listed && status == StatusCode::NOT_FOUND);
            assert_eq!(is_there, is_listed, "{method} {path}: {status}");
        }
    }
}

/// What is routed stands in the table: no path is a secret.
#[test]
fn every_route_in_the_code_is_in_the_table() {
    let mut found = 0;
    for file in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let text = fs::read_to_string(file).unwrap();
        for route in text.split(".route(\"").skip(1) {
            let path = route.split('"').next().unwrap();
            // A slash at the end is taken as well.
            let path = if path == "/" { path } else { path.strip_suffix('/').unwrap_or(path) };
            assert!(API.iter().any(|row| row.path == path), "{path} is not in the table of src/api.rs");
            found += 1;
        }
    }
    assert!(found >= 9, "{found}");
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[tokio::test]
async fn the_list_is_there_as_text_and_as_json() {
    let server = Server::start(collector()).await;
    let text = server.get("/").await;
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    let json = server.send(Method::GET, "/", &[("Accept", "application/json")], b"").await.json();
    let json = json.as_array().unwrap();
    assert_eq!(json.len(), API.len());
    for (row, listed) in API.iter().zip(json) {
        assert!(text.lines().any(|line| line.contains(row.path) && line.ends_with(row.what)), "{}", row.path);
        assert_eq!((&listed["method"], &listed["path"]), (&row.method.into(), &row.path.into()));
        assert_eq!(listed["parameters"].as_array().unwrap().len(), row.all_parameters().count());
    }
}

#[tokio::test]
async fn openapi_has_every_request_with_its_parameters_and_answers() {
    let server = Server::start(collector()).await;
    let document = server.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for row in API {
        let operation = &document["paths"][row.path][row.method.to_ascii_lowercase()];
        assert_eq!(operation["summary"], row.what, "{} {}", row.method, row.path);
        for answer in row.answers {
            assert!(operation["responses"][answer.status.to_string()].is_object(), "{}", row.path);
        }
        let parameters = operation["parameters"].as_array().map(Vec::len).unwrap_or_default();
        assert_eq!(parameters, row.all_parameters().count(), "{}", row.path);
    }
}

#[test]
fn the_document_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COLLECTOR.md");
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (table, after) = rest.split_once(MARKS[1]).unwrap();
    let expected = format!("\n{}\n", markdown());
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        let text = [before, MARKS[0], &expected, MARKS[1], after].concat();
        fs::write(path, text).unwrap();
        return;
    }
    assert_eq!(table, expected, "INSTA_UPDATE=always writes docs/COLLECTOR.md anew");
}
