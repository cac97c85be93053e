//! Expectations over HTTP: statuses, both forms of the answer, and what is refused.

use http::{Method, StatusCode};
use posthaste_collector::{Collector, CollectorOptions, Faults, LINES_MAX, Rule, WAIT_MAX};
use serde_json::{Value, json};

use crate::support::{Answer, Server, batch, bytes, collector, conversion, impression};

const JSON: (&str, &str) = ("accept", "application/json");

/// Ann saw a variation and bought.
fn visit() -> Vec<u8> {
    bytes(&batch(&[impression("ann", "u-1"), conversion("ann", "u-2")]))
}

async fn server() -> Server {
    let server = Server::start(collector()).await;
    assert_eq!(server.post(&[], &visit()).await.status, StatusCode::NO_CONTENT);
    server
}

async fn ask(server: &Server, query: &str, pattern: &Value) -> Answer {
    server.send(Method::POST, &format!("/expect{query}"), &[], &bytes(pattern)).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn what_holds_gets_200_and_what_does_not_422() {
    let server = server().await;
    for (path, status) in [
        ("/expect?visitor=ann&key=purchase", StatusCode::OK),
        ("/expect?visitor=a*&revenue=4200&count=1&no_bad=true", StatusCode::OK),
        ("/expect?experiment=40011&variation=70112", StatusCode::OK),
        ("/expect?visitor=bob", StatusCode::UNPROCESSABLE_ENTITY),
        ("/expect?visitor=ann&count=0", StatusCode::UNPROCESSABLE_ENTITY),
        ("/expect?visitor=bob&at_most=0", StatusCode::OK),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", text(&answer));
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain"), "{path}");
    }
    let both =
        json!([{"visitor": "ann", "key": "purchase"}, {"visitor": "ann", "attributes": {"plan": "pro"}}]);
    assert_eq!(ask(&server, "", &both).await.status, StatusCode::OK);
    assert_eq!(ask(&server, "?no_bad=1", &both).await.status, StatusCode::OK);
    server.post(&[], b"[]").await;
    assert_eq!(ask(&server, "?no_bad=1", &both).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_answer_says_which_field_was_expected_to_be_what_and_what_came() {
    let server = server().await;
    let wrong = json!({"visitor": "ann", "key": "purchase", "tags": {"sku": "B2"}});
    let answer = ask(&server, "", &wrong).await;
    let said = text(&answer);
    assert!(said.contains(r#"tags.sku: expected "B2", came "A1""#), "{said}");
    assert!(said.lines().count() <= LINES_MAX);

    let answer = server.send(Method::POST, "/expect", &[JSON], &bytes(&wrong)).await;
    let told = answer.json();
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!((&told["holds"], &told["expected"][0]["came"]), (&json!(false), &json!(0)));
    assert_eq!(
        told["expected"][0]["nearest"][0]["differences"],
        json!([{"field": "tags.sku", "expected": "\"B2\"", "came": "\"A1\""}])
    );
}

#[tokio::test]
async fn what_cannot_be_read_gets_400_with_what_to_write_instead() {
    let server = server().await;
    for (path, body, said) in [
        ("/expect", r#"{"vistor": "ann"}"#, "did you mean \"visitor\"?"),
        ("/expect?wait=2m", r#"{"visitor": "ann"}"#, "query.wait: 2m cannot be used; give a time up to 60s"),
        ("/expect?key=x", r#"{"visitor": "ann"}"#, "query: unknown field \"key\""),
        ("/expect?session=a%20b", r#"{"visitor": "ann"}"#, "session: a b cannot be used"),
        ("/expect", "", "not JSON"),
    ] {
        let answer = server.send(Method::POST, path, &[], body.as_bytes()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(text(&answer).contains(said), "{}", text(&answer));
        let answer = server.send(Method::POST, path, &[JSON], body.as_bytes()).await;
        assert!(answer.json()[0]["fix"].is_string(), "{path}");
    }
    let many = [("x-posthaste-session", "one")];
    let answer = server.send(Method::GET, "/expect?key=x&session=two", &many, b"").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "one session is meant");
    assert_eq!(server.get("/expect?key=x&session=one").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        server.get(&format!("/expect?key=purchase&wait={}s", WAIT_MAX.as_secs())).await.status,
        StatusCode::OK
    );
    let large = vec![b' '; 1 << 20];
    let answer = server.send(Method::POST, "/expect", &[], &large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// It counts when it is received: its answer, which is put off, does not matter.
#[tokio::test]
async fn an_event_counts_before_its_answer_is_given() {
    let faults = Faults::new([Rule::hang()]).unwrap();
    let server =
        Server::start(Collector::new(CollectorOptions { faults, ..CollectorOptions::default() })).await;
    let body = visit();
    let asked = server.get("/expect?visitor=ann&key=purchase&wait=30s");
    let none = [];
    let answer = tokio::select! {
        answer = asked => answer,
        _ = async { tokio::join!(server.post(&none, &body), std::future::pending::<()>()) } => unreachable!(),
    };
    assert_eq!(answer.status, StatusCode::OK, "{}", text(&answer));
}

#[tokio::test]
async fn a_session_has_only_its_own_events() {
    let server = Server::start(collector()).await;
    let one = server.send(Method::POST, "/t/one/v1/events", &[], &visit()).await;
    assert_eq!(one.status, StatusCode::NO_CONTENT);
    for (path, headers, status) in [
        ("/t/one/expect?key=purchase", &[][..], StatusCode::OK),
        ("/expect?key=purchase", &[("x-posthaste-session", "one")], StatusCode::OK),
        ("/expect?key=purchase&session=one", &[], StatusCode::OK),
        ("/expect?key=purchase", &[], StatusCode::OK),
        ("/t/two/expect?key=purchase", &[], StatusCode::UNPROCESSABLE_ENTITY),
        ("/t/two/expect?key=purchase&count=0", &[], StatusCode::OK),
    ] {
        let answer = server.send(Method::GET, path, headers, b"").await;
        assert_eq!(answer.status, status, "{path}: {}", text(&answer));
    }
    let said = text(&server.get("/t/two/expect?key=purchase").await);
    assert!(said.contains("note: no event came in session two, and 2 events elsewhere"), "{said}");
}
