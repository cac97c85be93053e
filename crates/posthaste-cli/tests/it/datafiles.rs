//! The datafile that a command is given: how it may be packed, and where it comes from.

use std::{
    fs,
    io::{self, Read},
};

use flate2::{Compression, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::support::{Collector, Files, command, datafile, impression, run, run_with};

fn gzip(mut input: impl Read) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    io::copy(&mut input, &mut packed).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_datafile_may_be_packed() {
    let files = Files::new();
    let text = fs::read(datafile()).unwrap();
    for (format, bytes) in
        [("gzip", gzip(&text[..])), ("Zstandard", compress_to_vec(&text[..], CompressionLevel::Fastest))]
    {
        let packed = files.write("larkspur.json", bytes);
        let event = impression("ann");
        let ran = run_with(&["validate", "--datafile", &packed, "-"], event.as_bytes());
        assert_eq!(ran.ended(0).stdout, "events (1 line): sound\n", "{format}");
        let collector = Collector::start(&["--datafile", &packed]);
        let args = ["send", "--datafile", &packed, "--endpoint", &collector.url, "-"];
        run_with(&args, event.as_bytes()).ended(0);
        assert_eq!(collector.get("/ledger")["good"], 1, "{format}");
    }
}

#[test]
fn a_packed_datafile_is_bounded_and_its_damage_is_told() {
    let files = Files::new();
    let mut cut = gzip(&fs::read(datafile()).unwrap()[..]);
    cut.truncate(cut.len() / 2);
    let zeros = gzip(io::repeat(0).take((64 << 20) + 1));
    for (bytes, told) in [
        (zeros, "it has more than 67108864 bytes, and is no datafile; give the project's datafile\n"),
        (cut, "it was cut off; get it again, or pack it again\n"),
    ] {
        let packed = files.write("datafile", bytes);
        let ran = run(&["validate", "--datafile", &packed, datafile()]);
        assert!(ran.ended(1).stderr.ends_with(told), "{}", ran.stderr);
    }
}

/// As `POSTHASTE_DATAFILE= posthaste …` leaves them.
#[test]
fn what_is_empty_is_told_by_its_name() {
    let text = impression("ann");
    let input = Files::new();
    let input = input.write("events.jsonl", text);
    for (args, variable, told) in [
        (&["send", "--datafile", "", &input][..], None, "--datafile <FILE>"),
        (&["validate", "--datafile", "", &input], None, "--datafile <FILE>"),
        (&["send", &input], Some("POSTHASTE_DATAFILE"), "unset POSTHASTE_DATAFILE"),
        (&["validate", &input], Some("POSTHASTE_DATAFILE"), "unset POSTHASTE_DATAFILE"),
        (&["collect"], Some("POSTHASTE_DATAFILE"), "unset POSTHASTE_DATAFILE"),
        (&["send", "--endpoint", "", &input], None, "--endpoint: "),
        (&["send", "--endpoint=", &input], Some("POSTHASTE_ENDPOINT"), "--endpoint: "),
        (&["send", &input], Some("POSTHASTE_ENDPOINT"), "POSTHASTE_ENDPOINT: "),
        (&["spool", "drain", "no-such-folder"], Some("POSTHASTE_ENDPOINT"), "POSTHASTE_ENDPOINT: "),
    ] {
        let mut command = command(args);
        command.envs(variable.map(|variable| (variable, "")));
        let ran = crate::support::Ran::from(command.output().unwrap());
        assert!(ran.ended(2).stderr.contains(told), "{args:?}: {}", ran.stderr);
    }
}
