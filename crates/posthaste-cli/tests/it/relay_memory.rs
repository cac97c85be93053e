//! However much comes, and however slowly: a relay stays below the bound that docs/RELAY.md works out from its limits, and
//! whoever posts as one should is served meanwhile.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    relay_process::{KIB, MIB, RelayProcess, body, connect, say},
    support::{Files, Server},
};

/// What a relay takes that has nothing to do: the program, its threads, what the allocator keeps.
const AT_REST: u64 = 48 * MIB;
/// What a connection takes beside the bytes of its head.
const PER_CONNECTION: u64 = 24 * KIB;
const HEAD: u64 = 16 * KIB;
/// `limits.intake_bytes_max`.
const INTAKE: u64 = 64 * MIB;
/// What one body takes while it is looked at, on each of the runtime's threads: it is unpacked, repaired, read.
const PER_THREAD: u64 = 32 * MIB;
/// What the values of one body take while it is judged, one at a time.
const JUDGED: u64 = 80 * MIB;
/// What waits for the disk (each as a record and as a request), what was stored lately, what is under way (each as it
/// waits and as it is sent), and dead letters that wait for the disk.
const PER_TENANT: u64 = (2 * 32 + 16 + 2 * 16 + 32) * MIB;

fn threads() -> u64 {
    thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

/// With a body in the hands of each thread.
fn bound(connections: u64) -> u64 {
    AT_REST + connections * (PER_CONNECTION + HEAD) + INTAKE + JUDGED + threads() * PER_THREAD + PER_TENANT
}

/// As many connections as are wanted, or as this user may have: a process is at each end.
#[expect(clippy::print_stdout, reason = "what was not tried is said")]
fn connections(wanted: u64) -> usize {
    let had = getrlimit(Resource::Nofile);
    let most = had.maximum.unwrap_or(u64::MAX).min(wanted + 1_000);
    let raised = Rlimit { current: Some(most.max(had.current.unwrap_or(most))), maximum: had.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
    let may = most.saturating_sub(500).min(wanted);
    if may < wanted {
        say(&format!("{may} connections instead of {wanted}: this user may have {most} descriptors"));
    }
    usize::try_from(may).unwrap()
}

fn relay(files: &Files, sink: &Server, variables: &[(&str, &str)]) -> RelayProcess {
    RelayProcess::start(&["--upstream", &sink.url, "--data", &files.path("data")], variables)
}

#[test]
fn connections_that_do_nothing_or_never_end_their_heads_are_cheap() {
    let (files, sink) = (Files::new(), Server::start(false, |_| 204));
    let count = connections(9_900);
    let relay = relay(&files, &sink, &[("LIMITS_HEAD_TIMEOUT", "2m"), ("LIMITS_IDLE_TIMEOUT", "5m")]);
    let mut honest = relay.client();
    honest.post_until_taken(&body("first", 300));
    let at_rest = relay.resident();
    let mut held: Vec<TcpStream> = (0..count).map(|_| connect(relay.address)).collect();
    // One after the other was accepted: whoever comes now finds all of them there.
    honest.post_until_taken(&body("second", 300));
    relay.client().post_until_taken(&body("third", 300));
    let idle = relay.resident();
    let head = format!("POST /v1/events HTTP/1.1\r\nx: {}", "y".repeat(15 << 10));
    for stream in &mut held {
        stream.write_all(head.as_bytes()).unwrap();
    }
    for number in 0..200 {
        honest.post_until_taken(&body(&number.to_string(), 300));
    }
    let (in_heads, each) = (relay.resident(), |now: u64| now.saturating_sub(at_rest) / count as u64);
    say(&format!(
        "{count} connections: {} MiB at rest, {} MiB idle ({} bytes each), {} MiB amid a head ({} bytes each), bound {} MiB",
        at_rest / MIB,
        idle / MIB,
        each(idle),
        in_heads / MIB,
        each(in_heads),
        (AT_REST + count as u64 * (PER_CONNECTION + HEAD)) / MIB,
    ));
    assert!(at_rest < AT_REST, "{at_rest}");
    assert!(each(idle) < PER_CONNECTION, "{}", each(idle));
    assert!(each(in_heads) < PER_CONNECTION + HEAD, "{}", each(in_heads));
    drop(held);
    honest.post_until_taken(&body("last", 300));
    relay.stop();
}

/// A kilobyte that is a megabyte of zeros, a thousand times.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 1 << 20]).unwrap();
    let member = encoder.finish().unwrap();
    member.repeat(1_024)
}

/// Somebody who harms, over and over, until told that it is over.
fn harm(
    relay: &RelayProcess,
    is_over: &AtomicBool,
    asked: &AtomicUsize,
    mut once: impl FnMut(&mut TcpStream),
) {
    while !is_over.load(SeqCst) {
        let mut stream = connect(relay.address);
        stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        once(&mut stream);
        asked.fetch_add(1, SeqCst);
    }
}

#[test]
fn bombs_and_endless_and_slow_bodies_are_bounded_and_the_honest_are_served() {
    let (files, sink) = (Files::new(), Server::start(true, |_| 204));
    connections(1_000);
    let relay = relay(&files, &sink, &[("LIMITS_BODY_TIMEOUT", "10s")]);
    let bomb = bomb();
    assert!((1_000_000..3_000_000).contains(&bomb.len()), "{}", bomb.len());
    let mut honest = relay.client();
    let (status, head) = relay.client().post("content-encoding: gzip\r\n", &bomb);
    assert_eq!(status, 413, "{head}");
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (chunk, zeros) = (format!("4000\r\n{}\r\n", "x".repeat(0x4000)), vec![b' '; 3_600_000]);
    let (mut taken, mut refused) = (Vec::new(), 0);
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                harm(&relay, &is_over, &asked, |stream| {
                    let head = "POST /v1/events HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n";
                    let mut sent = stream.write_all(head.as_bytes());
                    while sent.is_ok() && !is_over.load(SeqCst) {
                        sent = stream.write_all(chunk.as_bytes());
                    }
                });
            });
        }
        for _ in 0..30 {
            scope.spawn(|| {
                harm(&relay, &is_over, &asked, |stream| {
                    // All but the last byte, and then nothing.
                    let head = format!(
                        "POST /v1/events HTTP/1.1\r\nhost: r\r\ncontent-length: {}\r\n\r\n",
                        zeros.len() + 1
                    );
                    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&zeros)));
                    drop(std::io::Read::read(stream, &mut [0; 100]));
                });
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                harm(&relay, &is_over, &asked, |_| {
                    relay.client().post("content-encoding: gzip\r\n", &bomb);
                });
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                // Small on the wire, and large for whoever reads them value by value.
                let crumbs = r#"{"":1},"#.repeat(3_500_000 / 7);
                let crumbs = format!(r#"{{"account_id":"1","crumbs":[{crumbs}0]}}"#);
                harm(&relay, &is_over, &asked, |_| {
                    relay.client().post("", crumbs.as_bytes());
                    // It is about memory, not about who has the processor.
                    thread::sleep(Duration::from_secs(1));
                });
            });
        }
        while taken.len() < 50 || asked.load(SeqCst) < 1_000 {
            let uuid = taken.len().to_string();
            refused += honest.post_until_taken(&body(&uuid, 2_000));
            taken.push(uuid);
        }
        is_over.store(true, SeqCst);
    });
    let most = relay.resident_most();
    say(&format!(
        "{} harmful requests, {} honest ones taken, {refused} refused meanwhile; {} MiB at most, bound {} MiB",
        asked.load(SeqCst),
        taken.len(),
        most / MIB,
        bound(235) / MIB
    ));
    assert!(most < bound(235), "{most}");
    relay.stop();
    let arrived: std::collections::BTreeSet<String> =
        sink.bodies().iter().flat_map(|body| crate::relay_process::uuids(body)).collect();
    assert!(taken.iter().all(|uuid| arrived.contains(uuid)));
}
