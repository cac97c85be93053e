//! Bodies that SDKs sent, broken in every way that comes to mind: each has its answer, and what is taken is accounted for.
//!
//! The oracle is serde's reading of the bytes that were posted, and what the upstream has taken.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use posthaste_relay::{Config, Forward, Limits};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    intake::{bytes_of, vector},
    support::{PATIENCE, Running, Sink, post, seed},
};

const VECTORS: [&str; 4] = [
    "java-sdk-4.3.1.requests.jsonl",
    "javascript-sdk-6.6.1-node.requests.jsonl",
    "python-sdk-5.7.0.requests.jsonl",
    "python-sdk-awkward.requests.jsonl",
];

/// Pieces that have broken a reader somewhere.
const PIECES: [&[u8]; 24] = [
    b"NaN",
    b"-Infinity",
    b"null",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud83d",
    b"\\udc00\\ud800",
    b"\xff",
    b"\xe9",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"1e999",
    b"-0",
    b"99999999999999999999",
    b"\"visitors\":[],",
    b"\"account_id\":7,",
    b" \r\n\t",
];

#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index, usize),
    Insert(Index, usize),
    Replace(Index, usize),
    /// Some bytes once more, behind themselves.
    Again(Index, usize),
    /// A field of some object, in front of itself.
    Double(Index),
    /// A value in the place of another.
    Value(Index, usize),
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    Plain,
    Latin1,
    Utf16,
    Marked,
    Gzip,
    GzipMembers,
    GzipCut,
    NotGzip,
}

#[derive(Debug, Clone)]
struct Case {
    of: Index,
    changes: Vec<Change>,
    coding: Coding,
    is_strict: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let piece = 0..PIECES.len();
    let change = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        (any::<Index>(), 1..200_usize).prop_map(|(at, count)| Change::Cut(at, count)),
        (any::<Index>(), piece.clone()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<Index>(), piece.clone()).prop_map(|(at, piece)| Change::Replace(at, piece)),
        (any::<Index>(), 1..500_usize).prop_map(|(at, count)| Change::Again(at, count)),
        any::<Index>().prop_map(Change::Double),
        (any::<Index>(), piece).prop_map(|(at, piece)| Change::Value(at, piece)),
    ];
    let coding = prop_oneof![
        8 => Just(Coding::Plain),
        1 => Just(Coding::Latin1),
        1 => Just(Coding::Utf16),
        1 => Just(Coding::Marked),
        1 => Just(Coding::Gzip),
        1 => Just(Coding::GzipMembers),
        1 => Just(Coding::GzipCut),
        1 => Just(Coding::NotGzip),
    ];
    let of = any::<Index>();
    (of, vec(change, 0..4), coding, any::<bool>()).prop_map(|(of, changes, coding, is_strict)| Case {
        of,
        changes,
        coding,
        is_strict,
    })
}

fn changed(body: &mut Vec<u8>, change: &Change) {
    let places = |byte: u8, body: &[u8]| -> Vec<usize> {
        body.iter().enumerate().filter(|(_, at)| **at == byte).map(|(at, _)| at).collect()
    };
    if body.is_empty() {
        return;
    }
    match change {
        Change::Flip(at, byte) => {
            let at = at.index(body.len());
            body[at] ^= byte;
        }
        Change::Cut(at, count) => {
            let at = at.index(body.len());
            body.drain(at..(at + count).min(body.len()));
        }
        Change::Insert(at, piece) => {
            let at = at.index(body.len());
            body.splice(at..at, PIECES[*piece].iter().copied());
        }
        Change::Replace(at, piece) => {
            let at = at.index(body.len());
            let end = (at + PIECES[*piece].len()).min(body.len());
            body.splice(at..end, PIECES[*piece].iter().copied());
        }
        Change::Again(at, count) => {
            let at = at.index(body.len());
            let end = (at + count).min(body.len());
            let again = body[at..end].to_vec();
            body.splice(end..end, again);
        }
        Change::Double(at) => {
            // From a quote to the comma behind it: with luck a field, and otherwise something else that is odd.
            let quotes = places(b'"', body);
            if quotes.is_empty() {
                return;
            }
            let from = quotes[at.index(quotes.len())];
            let end =
                body[from..].iter().position(|byte| *byte == b',').map_or(body.len(), |end| from + end + 1);
            let field = body[from..end].to_vec();
            body.splice(from..from, field);
        }
        Change::Value(at, piece) => {
            let colons = places(b':', body);
            if colons.is_empty() {
                return;
            }
            let from = colons[at.index(colons.len())] + 1;
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']');
            let end = body[from..].iter().position(ends).map_or(body.len(), |end| from + end);
            body.splice(from..end, PIECES[*piece].iter().copied());
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes that go out, the header lines for them, and the body that they stand for; `None`: it cannot be read.
fn coded(body: Vec<u8>, coding: Coding) -> (Vec<u8>, &'static str, Option<Vec<u8>>) {
    const GZIP: &str = "content-encoding: gzip\r\n";
    let text = || String::from_utf8_lossy(&body).into_owned();
    match coding {
        Coding::Plain => (body.clone(), "", Some(body)),
        Coding::Latin1 => {
            let bytes: Vec<u8> =
                text().chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')).collect();
            (bytes.clone(), "content-type: text/plain\r\n", Some(bytes))
        }
        Coding::Utf16 => {
            let bytes: Vec<u8> = text().encode_utf16().flat_map(u16::to_le_bytes).collect();
            (bytes.clone(), "content-type: application/json; charset=utf-16\r\n", Some(bytes))
        }
        Coding::Marked => {
            let bytes = [&b"\xef\xbb\xbf"[..], &body].concat();
            (bytes.clone(), "", Some(bytes))
        }
        Coding::Gzip => (gzip(&body), GZIP, Some(body)),
        Coding::GzipMembers => {
            let (left, right) = body.split_at(body.len() / 3);
            ([gzip(left), gzip(&[]), gzip(right)].concat(), GZIP, Some(body))
        }
        Coding::GzipCut => {
            let mut packed = gzip(&body);
            packed.truncate(packed.len() / 2);
            (packed, GZIP, None)
        }
        Coding::NotGzip => (body, GZIP, None),
    }
}

#[derive(Deserialize)]
struct Visitors {
    visitors: Vec<Box<RawValue>>,
}

fn visitors(body: &[u8]) -> Option<Vec<String>> {
    let Visitors { visitors } = serde_json::from_slice(body).ok()?;
    Some(visitors.into_iter().map(|visitor| visitor.get().to_owned()).collect())
}

/// Whether the relay has nothing to mend: it is JSON as it is.
fn is_sound(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok()
}

struct Fuzz {
    sink: Sink,
    relay: Running,
    bodies: Vec<Vec<u8>>,
}

impl Fuzz {
    async fn try_case(&self, case: &Case) -> Result<(), TestCaseError> {
        let mut body = self.bodies[case.of.index(self.bodies.len())].clone();
        case.changes.iter().for_each(|change| changed(&mut body, change));
        let (bytes, headers, body) = coded(body, case.coding);
        let strict = if case.is_strict { "x-optimizely-strict: 1\r\n" } else { "" };
        let before = self.relay.relay.ledgers()[0].1;
        let came = self.sink.bodies().len();
        let (status, text) = post(self.relay.address, &format!("{headers}{strict}"), &bytes).await;
        match (status, case.is_strict) {
            (204, _) | (413, false) => {}
            (400, true) => {
                let list: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
                prop_assert!(list.as_array().is_some_and(|list| !list.is_empty()), "{text}");
            }
            _ => prop_assert!(false, "{text}"),
        }
        self.relay.delivered().await;
        let after = self.relay.relay.ledgers()[0].1;
        let (accepted, dead) = (after.accepted - before.accepted, after.dead_lettered - before.dead_lettered);
        let delivered = after.delivered - before.delivered;
        prop_assert_eq!(accepted, delivered + dead);
        if status != 204 {
            prop_assert_eq!(accepted, 0, "what is refused is the client's");
            return Ok(());
        }
        prop_assert!(dead <= 1 && accepted > 0);
        let arrived: Vec<String> = self.sink.bodies()[came..]
            .iter()
            .flat_map(|body| visitors(body).unwrap_or_else(|| panic!("the upstream cannot read {body:?}")))
            .collect();
        prop_assert_eq!(dead == 1, arrived.is_empty(), "delivered or kept, and never both");
        if let Some(body) = body.filter(|body| dead == 0 && is_sound(body)) {
            prop_assert_eq!(Some(arrived), visitors(&body), "byte for byte");
        }
        Ok(())
    }
}

#[test]
fn whatever_is_made_of_a_body_it_has_its_answer_and_is_accounted_for() {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let count = std::env::var("POSTHASTE_CASES").map_or(400, |count| count.parse().unwrap());
    let cases = Cases { cases: count, failure_persistence: None, max_shrink_iters: 500, ..Cases::default() };
    let mut runner = TestRunner::new_with_rng(cases, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fuzz = runtime.block_on(async {
        let sink = Sink::taking().await;
        let forward = Forward { wait: Duration::from_millis(1), ..Forward::default() };
        let limits = Limits { store_timeout: PATIENCE, ..Limits::default() };
        let relay = Running::start(Config { forward, limits, ..Config::to(&sink.url) }).await;
        let bodies = VECTORS.iter().flat_map(|name| vector(name)).map(|request| bytes_of(&request)).collect();
        Fuzz { sink, relay, bodies }
    });
    runner
        .run(&case(), |case| runtime.block_on(fuzz.try_case(&case)))
        .unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(fuzz.relay.end());
}
