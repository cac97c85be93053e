//! Compressed inputs that are damaged: what was read of them has been sent by the time that the damage shows.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};

use crate::support::{Files, Server, datafile, run};

/// 3,000 events, packed by `gzip` and `zstd` themselves; where the last checksum is, from the end: before the length, and
/// before a frame of 13 bytes that is to be skipped; and how many lines are handed out before it is looked at.
const PACKED: [(&str, usize, u64); 2] = [("events.jsonl.gz", 8, 3_000), ("events.jsonl.zst", 13 + 4, 1_500)];

fn send(server: &Server, rest: &[&str]) -> crate::support::Ran {
    run(&[&["send", "--json", "--datafile", datafile(), "--endpoint", &server.url], rest].concat())
}

/// Only the checksum is: what was read is as it was, so that the good file is taken up.
#[test]
fn a_wrong_checksum_tells_how_many_lines_may_be_wrong() {
    for (name, checksum, read) in PACKED {
        let files = Files::new();
        let good = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut bytes = fs::read(&good).unwrap();
        let at = bytes.len() - checksum;
        bytes[at] ^= 0xFF;
        let bad = files.write("bad", bytes);
        let spool = files.path("spool");
        for more in [&[][..], &["--spool", &spool]] {
            let server = Server::start(false, |_| 204);
            let ran = send(&server, &[more, &[&bad]].concat());
            let report = ran.ended(1).json();
            assert_eq!((&report["lines"], &report["stopped"]["unsure_lines"]), (&read.into(), &read.into()));
            let told = format!(
                "were not sent; {},{:03} lines before it were taken, and may be wrong",
                read / 1_000,
                read % 1_000
            );
            assert!(ran.stderr.contains(&told), "{name}: {}", ran.stderr);
        }
        let server = Server::start(false, |_| 204);
        let report = send(&server, &["--spool", &spool, &good]).ended(0).json();
        assert_eq!(report["lines"], 3_000 - read, "{name}: taken up behind what was read");
    }
}

#[test]
fn a_good_copy_of_what_was_read_wrongly_is_refused_with_what_to_do() {
    let line = |user| format!("{{\"type\":\"conversion\",\"user_id\":\"{user}\",\"event\":\"purchase\"}}\n");
    let files = Files::new();
    let text = line("ann") + &line("bob");
    // Not compressed, so that a byte of it can be changed.
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(text.as_bytes()).unwrap();
    let good = packed.finish().unwrap();
    let at = good.windows(3).position(|bytes| bytes == b"ann").unwrap();
    let mut bad = good.clone();
    bad[at..at + 3].copy_from_slice(b"eve");
    let (good, bad) = (files.write("good.gz", good), files.write("bad.gz", bad));
    let (server, spool) = (Server::start(true, |_| 204), files.path("spool"));
    let ran = send(&server, &["--spool", &spool, &bad]);
    assert!(ran.ended(1).stderr.contains("2 lines before it were taken, and may be wrong"), "{}", ran.stderr);
    let ran = send(&server, &["--spool", &spool, &good]);
    let told = "good.gz does not begin with what was read. If that was a damaged copy of it: once the spool is drained, \
                send its lines from line 3 on, or all of them if each has a uuid and a timestamp.";
    assert!(ran.ended(1).stderr.contains(told), "{}", ran.stderr);
    // What it says works.
    run(&["spool", "drain", "--endpoint", &server.url, &spool]).ended(0);
    let rest = files.write("rest.jsonl", line("cid"));
    assert_eq!(send(&server, &["--spool", &spool, &rest]).ended(0).json()["lines"], 1);
    assert_eq!(server.bodies().len(), 2);
}
