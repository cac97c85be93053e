//! Compressed inputs that are damaged: what was read of them has been sent by the time that the damage shows.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};

use crate::support::{Collector, Files, Server, datafile, impression, run};

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
    let told = "good.gz does not begin with what was read. If that was a damaged copy of it, lines may have been taken that \
                are wrong: once the spool is drained, send all of its lines if each has a uuid and a timestamp, of which no \
                event counts twice; else those that were not delivered: about from line 3 on, and before it what was \
                rejected or is wrong.";
    assert!(ran.ended(1).stderr.contains(told), "{}", ran.stderr);
    // What it says works.
    run(&["spool", "drain", "--endpoint", &server.url, &spool]).ended(0);
    let rest = files.write("rest.jsonl", line("cid"));
    assert_eq!(send(&server, &["--spool", &spool, &rest]).ended(0).json()["lines"], 1);
    assert_eq!(server.bodies().len(), 2);
}

/// Not compressed, so that a byte of it can be changed.
fn stored(text: &str) -> Vec<u8> {
    packed(text, Compression::none())
}

fn packed(text: &str, how: Compression) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), how);
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Wherever the damage is: far from both ends of what was read it shows in nothing but the checksum.
#[test]
fn a_good_copy_is_never_taken_up_behind_lines_that_were_rejected_for_the_damage() {
    const EVENTS: usize = 400;
    let text: String = (0..EVENTS).map(|number| impression(&format!("user-{number}"))).collect();
    let good = stored(&text);
    for user in [0, 50, 200, 399] {
        let files = Files::new();
        let at = good
            .windows(20)
            .position(|bytes| bytes.starts_with(format!("user-{user}\"").as_bytes()))
            .unwrap();
        let mut bad = good.clone();
        // The quote behind its name.
        bad[at + format!("user-{user}").len()] ^= 1;
        let input = files.write("in.gz", bad);
        let collector = Collector::start(&["--datafile", datafile()]);
        let spool = files.path("spool");
        let args = [
            "send",
            "--json",
            "--datafile",
            datafile(),
            "--endpoint",
            &collector.url,
            "--spool",
            &spool,
            &input,
        ];
        let report = run(&args).ended(1).json();
        assert_eq!((&report["rejected"], &report["stopped"]["unsure_lines"]), (&1.into(), &EVENTS.into()));
        files.write("in.gz", &good);
        let ran = run(&args);
        assert!(
            ran.ended(1).stderr.contains("send all of its lines if each has a uuid and a timestamp"),
            "{ran:?}"
        );
        // What it says works.
        run(&["spool", "drain", "--endpoint", &collector.url, &spool]).ended(0);
        run(&args).ended(0);
        assert_eq!(collector.get("/ledger")["unique"], EVENTS, "{user}");
    }
}

/// A file of another kind than lines of JSON: told once, and what was made of nothing in it holds up nothing.
#[test]
fn a_spool_of_which_nothing_was_stored_is_free_for_the_right_file() {
    let text: String = (0..400).map(|number| impression(&format!("user-{number}"))).collect();
    let mut no_gzip = packed(&text, Compression::fast());
    no_gzip[0] ^= 1;
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let event: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let spread = serde_json::to_vec_pretty(&[event]).unwrap();
    for (foreign, told) in [
        (no_gzip, "no text in UTF-8, but binary or UTF-16"),
        (utf16, "no text in UTF-8, but binary or UTF-16"),
        (spread, "JSON over several lines: put each event or batch on one line"),
    ] {
        let files = Files::new();
        let (input, spool, server) =
            (files.write("input", foreign), files.path("spool"), Server::start(false, |_| 204));
        let validated = run(&["validate", "--datafile", datafile(), &input]);
        assert_eq!(validated.ended(1).stdout.matches("input:").count(), 1, "{validated:?}");
        let ran = send(&server, &["--spool", &spool, &input]);
        let said = ran.ended(1).stderr.lines().filter(|line| line.contains("input:"));
        // The last piece has no line end.
        assert_eq!(said.filter(|line| !line.contains("no end yet")).count(), 1, "{ran:?}");
        for ran in [&ran.stderr, &validated.stdout] {
            assert!(ran.contains(told) && !ran.contains("Java"), "{ran}");
        }
        assert_eq!(
            (&ran.json()["lines"], &ran.json()["total"]["accepted"]),
            (&ran.json()["rejected"], &0.into())
        );
        files.write("input", &text);
        let report = send(&server, &["--spool", &spool, &input]).ended(0).json();
        assert_eq!((&report["lines"], &report["total"]["delivered"]), (&400.into(), &400.into()));
    }
}
