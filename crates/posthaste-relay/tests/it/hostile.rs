//! Requests that are meant to harm, or are made by somebody who does not know how: each has an answer, none is taken for
//! two, and the relay goes on.

use std::{fmt::Write as _, time::Duration};

use posthaste_relay::Config;

use crate::support::{PATIENCE, Running, Sink, body, post, raw};

/// A request as text, with these header lines.
fn request(headers: &str, body: &str) -> String {
    format!("POST /v1/events HTTP/1.1\r\nhost: r\r\n{headers}\r\n{body}")
}

/// After each, an honest client gets its answer.
async fn is_well(relay: &Running) {
    assert_eq!(post(relay.address, "", body("1", "well").as_bytes()).await.0, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_second_request_in() {
    let sink = Sink::taking().await;
    let relay = Running::start(Config::to(&sink.url)).await;
    let inner = request("content-length: 0\r\n", "");
    let chunk = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let ok = body("1", "honest");
    // Both lengths, in either order: one answer, and the end.
    for headers in [
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunk.len()),
        format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", chunk.len()),
        "content-length: 5\r\ntransfer-encoding: chunked\r\n".to_owned(),
    ] {
        let back =
            raw(relay.address, request(&headers, &format!("{chunk}{inner}")).as_bytes(), PATIENCE).await;
        assert_eq!((back.statuses().len(), back.closed), (1, true), "{headers}: {}", back.text);
        is_well(&relay).await;
    }
    // Two lengths, lengths that are none, chunks that are none, other codings: refused, and the end.
    for (headers, sent) in [
        ("content-length: 5\r\ncontent-length: 6\r\n", "aaaaaa"),
        ("content-length: 5, 6\r\n", "aaaaaa"),
        ("content-length: -1\r\n", "a"),
        ("content-length: +5\r\n", "aaaaa"),
        ("content-length: 0x5\r\n", "aaaaa"),
        ("content-length: 99999999999999999999999\r\n", "aaaaa"),
        ("transfer-encoding: gzip\r\n", "aaaaa"),
        ("transfer-encoding: chunked, gzip\r\n", "5\r\naaaaa\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "zz\r\naaaaa\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\naaaaa\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "-5\r\naaaaa\r\n0\r\n\r\n"),
        ("transfer-encoding : chunked\r\n", "5\r\naaaaa\r\n0\r\n\r\n"),
        ("x\0y: 1\r\n", ""),
        ("bad header\r\n", ""),
        (": nameless\r\n", ""),
    ] {
        let bytes = request(headers, &format!("{sent}{inner}"));
        let back = raw(relay.address, bytes.as_bytes(), PATIENCE).await;
        assert_eq!(back.statuses().len(), 1, "{headers:?} {sent:?}: {}", back.text);
        assert!(
            (400..=413).contains(&back.statuses()[0]) && back.closed,
            "{headers:?} {sent:?}: {}",
            back.text
        );
        is_well(&relay).await;
    }
    // Pipelined ones are answered in order, however they are cut.
    let one = request(&format!("content-length: {}\r\n", ok.len()), &ok);
    let last = request("connection: close\r\ncontent-length: 0\r\n", "");
    let back = raw(relay.address, format!("{one}{one}{last}").as_bytes(), PATIENCE).await;
    assert_eq!((back.statuses(), back.closed), (vec![204, 204, 204], true));
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_are_turned_away() {
    let sink = Sink::taking().await;
    let relay = Running::start(Config::to(&sink.url)).await;
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/0.9\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"POST  /v1/events HTTP/1.1\r\n\r\n",
    ] {
        let back = raw(relay.address, bytes, PATIENCE).await;
        assert!(
            back.closed && back.statuses().iter().all(|status| *status >= 400),
            "{bytes:?}: {}",
            back.text
        );
        is_well(&relay).await;
    }
    relay.end().await;
}

/// JSON that is meant to exhaust whoever reads it.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_hard_to_read_are_answered_quickly() {
    let sink = Sink::taking().await;
    let relay = Running::start(Config::to(&sink.url)).await;
    let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let within = body("1", "deep").replacen('{', &format!(r#"{{"x":{deep},"#), 1);
        cases.push((format!("{open} 100,000 deep"), within.into()));
        cases.push((format!("only {open}"), open.repeat(500_000).into()));
    }
    let digits = body("1", "digits").replace("1795559589561", &"9".repeat(10_000));
    cases.push(("a number of 10,000 digits".to_owned(), digits.into()));
    let mut keys = String::from("{");
    for _ in 0..50_000 {
        write!(keys, r#""account_id":"1","#).unwrap();
    }
    cases.push(("50,000 equal keys".to_owned(), keys.replacen('{', "", 0).into()));
    let doubled = body("1", "doubled").replacen('{', r#"{"visitors":[],"#, 1);
    cases.push(("visitors twice".to_owned(), doubled.into()));
    cases.push((
        "invalid UTF-8".to_owned(),
        [b"{\"account_id\":\"1\",\"visitors\":[\"", &[0xff; 1_000][..], b"\"]}"].concat(),
    ));
    cases.push(("zeros".to_owned(), vec![0; 100_000]));
    cases.push(("quotes".to_owned(), vec![b'"'; 1_000_000]));
    cases.push(("backslashes".to_owned(), [b"\"", &vec![b'\\'; 1_000_000][..]].concat()));
    cases.push(("halves of pairs".to_owned(), [b"\"", r"\ud800".repeat(100_000).as_bytes(), b"\""].concat()));
    cases.push(("NaN everywhere".to_owned(), [b"[", "NaN,".repeat(200_000).as_bytes(), b"NaN]"].concat()));
    // Each member costs its reader more than it does its sender.
    let member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap();
    let members = member.repeat(3_600_000 / member.len());
    let (status, _) = post(relay.address, "content-encoding: gzip\r\n", &members).await;
    assert_eq!(status, 413, "nothing, in {} members", members.len() / member.len());
    for (name, bytes) in cases {
        for headers in ["", "x-optimizely-strict: true\r\n"] {
            let (status, text) = post(relay.address, headers, &bytes).await;
            assert!([204, 400].contains(&status), "{name} {headers}: {status}");
            assert!(text.len() < 100_000, "{name}: the answer is bounded");
        }
        is_well(&relay).await;
    }
    relay.delivered().await;
    assert!(relay.relay.ledgers().iter().all(|(_, ledger)| ledger.balances()));
    relay.end().await;
}

/// Some clients say that they have said everything, and then wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_its_side_gets_its_answer() {
    use tokio::io::AsyncWriteExt as _;
    let sink = Sink::taking().await;
    let relay = Running::start(Config::to(&sink.url)).await;
    let honest = body("1", "half");
    let whole = request(&format!("content-length: {}\r\n", honest.len()), &honest);
    for _ in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(whole.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let back = crate::support::read(&mut stream, PATIENCE).await;
        assert_eq!((back.statuses(), back.closed), (vec![204], true));
    }
    relay.delivered().await;
    relay.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_go_away_leave_nothing_behind() {
    let sink = Sink::taking().await;
    let relay = Running::start(Config::to(&sink.url)).await;
    let whole = request("content-length: 300\r\n", &body("1", "gone"));
    for cut in (0..whole.len()).step_by(7) {
        raw(relay.address, &whole.as_bytes()[..cut], Duration::from_millis(1)).await;
    }
    is_well(&relay).await;
    relay.delivered().await;
    assert_eq!(sink.uuids().into_keys().collect::<Vec<_>>(), ["well"]);
    relay.end().await;
}
