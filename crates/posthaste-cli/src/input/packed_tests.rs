//! Data packed by `gzip` and `zstd` themselves: each file is of two pieces, with frames to be skipped around those of
//! Zstandard.

use super::*;

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = open(io::Cursor::new(bytes.to_vec()));
    let mut all = Vec::new();
    unpacked.stream.read_to_end(&mut all).map(|_| all)
}

#[test]
fn every_piece_is_unpacked() {
    let (gzip, zstd) =
        (unpack(&data("events.jsonl.gz")).unwrap(), unpack(&data("events.jsonl.zst")).unwrap());
    assert!(gzip == zstd, "both hold the same lines");
    let lines: Vec<&str> = std::str::from_utf8(&gzip).unwrap().lines().collect();
    assert_eq!(lines.len(), 3_000);
    for (number, line) in lines.into_iter().enumerate() {
        assert!(line.contains(&format!("\"user-{number}\"")), "{line}");
    }
}

#[test]
fn what_is_not_packed_stays_as_it_is() {
    for text in [&b""[..], b"{}\n", b"P", b"\x1f", b"(B", b"\x28\xb5\x2f", b"PK\x03\x04 something"] {
        assert_eq!(unpack(text).unwrap(), text);
    }
}

#[test]
fn wherever_it_is_cut_off_is_an_error_and_what_came_before_is_there() {
    for name in ["events.jsonl.gz", "events.jsonl.zst"] {
        let bytes = data(name);
        let whole = unpack(&bytes).unwrap();
        let mut errors = 0;
        for cut in (4..bytes.len()).step_by(97).chain(bytes.len() - 20..bytes.len()) {
            let mut unpacked = open(io::Cursor::new(bytes[..cut].to_vec()));
            let mut all = Vec::new();
            match unpacked.stream.read_to_end(&mut all) {
                // Between two pieces nothing shows that more is missing.
                Ok(_) => assert!(cut_is_between_pieces(&all), "{name} cut at {cut}"),
                Err(error) => {
                    errors += 1;
                    assert!(is_broken(&error), "{name} cut at {cut}: {error}");
                    let said = format!("ends too early, behind byte {cut}: it was cut off");
                    assert!(error.to_string().contains(&said), "{name}: {error}");
                }
            }
            assert!(whole.starts_with(&all), "{name} cut at {cut}");
        }
        assert!(errors > 100, "{name}: {errors}");
    }
}

/// Each piece has half of the lines; frames to be skipped have none.
fn cut_is_between_pieces(unpacked: &[u8]) -> bool {
    let lines = unpacked.split(|byte| *byte == b'\n').count() - 1;
    [0, 1_500, 3_000].contains(&lines) && unpacked.last().is_none_or(|byte| *byte == b'\n')
}

#[test]
fn what_is_broken_is_an_error_that_says_where() {
    for name in ["events.jsonl.gz", "events.jsonl.zst"] {
        let bytes = data(name);
        let whole = unpack(&bytes).unwrap();
        for at in (30..bytes.len() / 4).step_by(211) {
            let mut broken = bytes.clone();
            broken[at] ^= 0x55;
            let mut unpacked = open(io::Cursor::new(broken));
            let mut all = Vec::new();
            let error = unpacked.stream.read_to_end(&mut all).expect_err("a checksum finds it");
            assert!(
                is_broken(&error) && error.to_string().contains("get it again"),
                "{name} at {at}: {error}"
            );
            assert!(all.len() <= whole.len() + 1_000_000, "{name} at {at}");
        }
        let behind = [&bytes[..], b"garbage"].concat();
        assert!(is_broken(&unpack(&behind).unwrap_err()), "{name}");
    }
}

/// A frame that asks for a window of 2 GiB: magic number, descriptor, window descriptor.
#[test]
fn a_window_larger_than_memory_is_refused() {
    let error = unpack(&[0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xA8, 0x01, 0x00, 0x00]).unwrap_err();
    assert!(is_broken(&error), "{error}");
}
