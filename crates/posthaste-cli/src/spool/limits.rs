//! How large a spool may be, and what follows from it.

use posthaste_spool::SpoolOptions;

/// What `--spool-size` is, unless told otherwise.
pub(crate) const DEFAULT_SIZE: &str = "10GiB";

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// For commands that add little or nothing, whatever the size was before.
pub(super) const ANY_SIZE: u64 = 1 << 40;
/// Smaller ones would hold hardly more than one request.
const SIZE_MIN: u64 = MIB;
const SEGMENT_BYTES_MAX: u64 = 16 * MIB;
const RECORD_BYTES_MAX: u64 = 4 * MIB;
/// What a record has besides the request's body: mostly the address.
const RECORD_HEAD_BYTES: u64 = 4 * KIB;
/// Beyond it, the disk gains no more from larger commits.
const COMMIT_BYTES_MAX: u64 = 512 * KIB;

/// A number of bytes, such as `512MiB` or `10GB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(KIB),
        "m" | "mib" => Some(MIB),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "tb" => Some(1_000_000_000_000),
        _ => None,
    };
    let number = digits.trim_end().parse::<u64>().ok();
    let bytes = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    match bytes {
        None => Err("give a size such as 512MiB or 10GiB".to_owned()),
        Some(bytes) if bytes < SIZE_MIN => Err("a spool has 1MiB at least".to_owned()),
        Some(bytes) => Ok(bytes),
    }
}

/// The options of a spool of this size: it takes several segments, or no space could come back.
pub(crate) fn options(size: u64) -> SpoolOptions {
    let segment = segment_bytes(size);
    let record = RECORD_BYTES_MAX.min(segment / 2 + RECORD_HEAD_BYTES);
    SpoolOptions::default()
        .size_bytes_max(size)
        .segment_bytes(segment)
        .record_bytes_max(usize::try_from(record).unwrap_or(usize::MAX))
}

/// Options for commands that add little or nothing.
pub(super) fn any_options() -> SpoolOptions {
    options(ANY_SIZE)
}

/// Bytes that a request may have.
pub(crate) fn request_bytes_max(size: u64) -> usize {
    let bytes = (RECORD_BYTES_MAX - RECORD_HEAD_BYTES).min(segment_bytes(size) / 2);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Bytes after which a commit is large enough. It has room for one request more: a commit has to fit into a segment.
pub(crate) fn commit_bytes_max(size: u64) -> usize {
    usize::try_from(COMMIT_BYTES_MAX.min(segment_bytes(size) / 8)).unwrap_or(usize::MAX)
}

fn segment_bytes(size: u64) -> u64 {
    SEGMENT_BYTES_MAX.min(size / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in
            [("1048576", MIB), ("512MiB", 512 * MIB), ("10 GiB", 10 << 30), ("2gb", 2_000_000_000)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "-1GiB", "1.5GiB", "10 bushels", "99999999999TiB", "1KiB", "é"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_size_makes_a_spool_that_opens() {
        for bytes in [SIZE_MIN, 5 * MIB, 64 * MIB, 10 << 30] {
            let folder = tempfile::tempdir().unwrap();
            posthaste_spool::Spool::open(folder.path(), options(bytes)).unwrap();
            let commit = commit_bytes_max(bytes) + request_bytes_max(bytes);
            assert!(commit as u64 <= segment_bytes(bytes) * 3 / 4);
        }
    }
}
