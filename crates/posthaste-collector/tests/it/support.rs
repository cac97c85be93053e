//! What several tests need.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use posthaste::ProjectConfig;
use posthaste_collector::{Collector, CollectorOptions};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

/// When the events of these tests happen: 13 digits.
pub(crate) const TIMESTAMP: i64 = 1_795_500_003_394;

/// A file made by running official SDKs (its README is beside it).
pub(crate) fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../posthaste/tests/vectors").join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn project(name: &str) -> ProjectConfig {
    ProjectConfig::from_datafile(read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn collector() -> Collector {
    Collector::new(CollectorOptions::default())
}

/// A collector that knows the project of this datafile.
pub(crate) fn collector_of(datafile: &str) -> Collector {
    Collector::new(CollectorOptions { config: Some(project(datafile)), ..CollectorOptions::default() })
}

/// An impression of larkspur.json as an event with its visitor.
pub(crate) fn impression(visitor: &str, uuid: &str) -> Value {
    json!({
        "visitor_id": visitor,
        "attributes": [{"entity_id": "20010", "key": "plan", "type": "custom", "value": "pro"}],
        "snapshots": [{
            "decisions": [{"campaign_id": "60011", "experiment_id": "40011", "variation_id": "70112"}],
            "events": [{"entity_id": "60011", "key": "campaign_activated", "timestamp": TIMESTAMP, "uuid": uuid}],
        }],
    })
}

/// A conversion of larkspur.json as an event with its visitor.
pub(crate) fn conversion(visitor: &str, uuid: &str) -> Value {
    json!({
        "visitor_id": visitor,
        "attributes": [],
        "snapshots": [{"events": [{
            "entity_id": "30012", "key": "purchase", "timestamp": TIMESTAMP + 5, "uuid": uuid,
            "tags": {"revenue": 4200, "value": 1.5, "sku": "A1"}, "revenue": 4200, "value": 1.5,
        }]}],
    })
}

/// A body of larkspur.json's project.
pub(crate) fn batch(visitors: &[Value]) -> Value {
    json!({
        "account_id": "10000001", "project_id": "10000002", "revision": "42",
        "client_name": "posthaste", "client_version": "0.1.0",
        "anonymize_ip": true, "enrich_decisions": true,
        "visitors": visitors,
    })
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// A collector behind a socket, and a client for it.
pub(crate) struct Server {
    pub(crate) collector: Collector,
    pub(crate) address: std::net::SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: oneshot::Sender<()>,
    task: JoinSet<std::io::Result<()>>,
}

/// One answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Server {
    pub(crate) async fn start(collector: Collector) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        let serving = collector.clone();
        task.spawn(async move { serving.serve(listener, async { drop(stopped.await) }).await });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { collector, address, client, stop, task }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        let (parts, body) = self.client.request(request.body(body).unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(Method::POST, "/v1/events", headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], b"").await
    }

    /// Tells the server to stop, and has it as it stops.
    pub(crate) fn stop(self) -> JoinSet<std::io::Result<()>> {
        self.stop.send(()).unwrap();
        self.task
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The uuids of a list of events.
    pub(crate) fn uuids(&self) -> Vec<String> {
        let uuid = |event: &Value| event["uuid"].as_str().unwrap_or_default().to_owned();
        self.json().as_array().unwrap().iter().map(uuid).collect()
    }
}
