//! Faults over HTTP/2, frame by frame: the client is bytes, so that nothing is hidden by somebody's library.

use posthaste_collector::{Faults, Rule};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    faults::{Seen, event, read_all},
    support::{Server, collector},
};

// RFC 9113, sections 3.4 and 6.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `POST /v1/events` (RFC 7541: indexed method and scheme, literal path and authority).
fn request(stream: u32, body: &[u8]) -> Vec<u8> {
    let path = b"/v1/events";
    let head = [&[0x83, 0x86, 0x04, 10][..], path, &[0x01, 1], b"a"].concat();
    let mut frames = frame(HEADERS, END_HEADERS, stream, &head);
    frames.extend(frame(DATA, END_STREAM, stream, body));
    frames
}

/// What came on the streams of requests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    /// How each answer's header block begins: its status, where that is in the static table.
    statuses: Vec<u8>,
    data: Vec<u8>,
    /// Answers that have come to their end.
    whole: usize,
}

fn came(mut bytes: &[u8]) -> Came {
    let mut came = Came::default();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap();
        let (payload, rest) = rest.split_at_checked(length).expect("a whole frame");
        match head[3] {
            HEADERS => came.statuses.push(payload[0]),
            DATA => came.data.extend_from_slice(payload),
            _ => {}
        }
        came.whole += usize::from(matches!(head[3], HEADERS | DATA) && head[4] & END_STREAM != 0);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a piece of a frame: {bytes:?}");
    came
}

async fn converse(server: &Server, requests: &[u8]) -> (Came, Seen) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let all = [PREFACE, &frame(SETTINGS, 0, 0, &[]), requests].concat();
    stream.write_all(&all).await.unwrap();
    let (bytes, seen) = read_all(&mut stream).await;
    (came(&bytes), seen)
}

/// Several threads, as `posthaste collect` has them: an answer and what ends its connection race each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http2_it_is_the_same() {
    const S200: u8 = 0x88;
    const S204: u8 = 0x89;
    let server = Server::start(collector()).await;
    for (rule, statuses, data, whole, end) in [
        (Rule::reset(), &[][..], &b""[..], 0, Seen::Reset),
        (Rule::answer_then_reset(204), &[S204], b"", 1, Seen::Reset),
        (Rule::answer_then_reset(200).body("whole"), &[S200], b"whole", 1, Seen::Reset),
        (Rule::half("0123456789"), &[S200], b"01234", 0, Seen::Closed),
        (Rule::status(103), &[], b"", 0, Seen::Closed),
    ] {
        server.collector.reset();
        server.collector.set_faults(Faults::new([rule.clone()]).unwrap());
        for round in 0..50 {
            let (came, seen) = converse(&server, &request(1, &event(&format!("u-{round}")))).await;
            let expected = Came { statuses: statuses.to_vec(), data: data.to_vec(), whole };
            assert_eq!((came, seen), (expected, end), "{rule:?}, round {round}");
        }
        assert_eq!(server.collector.ledger().faulted, 50);
    }
}

/// The first is answered by a rule and the connection goes on; the second ends it.
#[tokio::test]
async fn an_answer_by_a_rule_leaves_the_connection_as_it_is() {
    const S404: u8 = 0x8d;
    let server = Server::start(collector()).await;
    let rules = [Rule::status(404).body("no").nth(1), Rule::answer_then_reset(204)];
    server.collector.set_faults(Faults::new(rules).unwrap());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let first = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &request(1, &event("u-1"))].concat();
    stream.write_all(&first).await.unwrap();
    while server.collector.faults().requests == 0 {
        tokio::task::yield_now().await;
    }
    stream.write_all(&request(3, &event("u-2"))).await.unwrap();
    let (bytes, seen) = read_all(&mut stream).await;
    let expected = Came { statuses: vec![S404, 0x89], data: b"no".to_vec(), whole: 2 };
    assert_eq!((came(&bytes), seen), (expected, Seen::Reset));
}
