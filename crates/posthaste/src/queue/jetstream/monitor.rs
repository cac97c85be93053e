//! What servers say of themselves at their monitoring addresses: only there stands whether they sync always.
//!
//! One request of HTTP/1.0 to each: the answer ends with the connection, and comes in one piece.

use std::time::Duration;

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    holders::Answer,
    report::{ServerSync, Syncs},
};

const WITHIN: Duration = Duration::from_secs(3);
const ANSWER_MAX: u64 = 4 << 20;

#[derive(Deserialize)]
struct Varz {
    server_name: String,
    #[serde(default)]
    server_id: String,
    #[serde(default)]
    jetstream: JetStreamVarz,
}

#[derive(Default, Deserialize)]
struct JetStreamVarz {
    config: Option<JetStreamConfig>,
}

#[derive(Deserialize)]
struct JetStreamConfig {
    #[serde(default)]
    sync_always: bool,
    /// Nanoseconds.
    #[serde(default)]
    sync_interval: u64,
}

/// Asks them all at once.
pub(super) async fn ask(monitors: &[String]) -> Vec<Answer> {
    futures_util::future::join_all(monitors.iter().map(|monitor| ask_one(monitor))).await
}

async fn ask_one(monitor: &str) -> Answer {
    let answer = timeout(WITHIN, get(monitor)).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    match answer.and_then(|body| read(&body)) {
        Ok(Said { server, id, sync }) => Answer { sync: ServerSync::new(monitor, server, sync), id },
        Err(why) => Answer { sync: ServerSync::new(monitor, "", Syncs::Unknown(why)), id: String::new() },
    }
}

async fn get(monitor: &str) -> Result<Vec<u8>, String> {
    let rest = monitor.strip_prefix("http://").ok_or("a monitoring address is http://HOST:8222")?;
    let host = rest.split('/').next().unwrap_or(rest);
    let port = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) { "" } else { ":8222" };
    let mut stream = TcpStream::connect(format!("{host}{port}")).await.map_err(|error| error.to_string())?;
    let request = format!("GET /varz HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    Ok(answer)
}

/// What a server says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    server: String,
    id: String,
    sync: Syncs,
}

fn read(answer: &[u8]) -> Result<Said, String> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("the answer is no HTTP")?;
    let (head, body) = answer.split_at(end + 4);
    let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if status != b"200" {
        return Err(format!("the answer is {}", String::from_utf8_lossy(status)));
    }
    let varz: Varz =
        serde_json::from_slice(body).map_err(|error| format!("the answer is no /varz: {error}"))?;
    let sync = match varz.jetstream.config {
        None => Syncs::Unknown("the server has no JetStream".to_owned()),
        Some(JetStreamConfig { sync_always: true, .. }) => Syncs::Always,
        Some(JetStreamConfig { sync_interval, .. }) => Syncs::EveryMs(sync_interval / 1_000_000),
    };
    Ok(Said { server: varz.server_name, id: varz.server_id, sync })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_others_say_why_not() {
        let answer = |body: &str| format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
        let of = |text: &str| read(text.as_bytes());
        let said = |server: &str, id: &str, sync| Said { server: server.to_owned(), id: id.to_owned(), sync };
        let always = r#"{"server_id":"ID","server_name":"a","jetstream":{"config":{"sync_always":true}}}"#;
        assert_eq!(of(&answer(always)), Ok(said("a", "ID", Syncs::Always)));
        let sometimes = r#"{"server_name":"b","jetstream":{"config":{"sync_interval":120000000000}}}"#;
        assert_eq!(of(&answer(sometimes)), Ok(said("b", "", Syncs::EveryMs(120_000))));
        assert!(matches!(
            of(&answer(r#"{"server_name":"c","jetstream":{}}"#)),
            Ok(Said { sync: Syncs::Unknown(_), .. })
        ));
        assert!(of("HTTP/1.0 404 Not Found\r\n\r\n").unwrap_err().contains("404"));
        assert!(of(&answer("{}")).is_err() && of("nonsense").is_err());
    }
}
