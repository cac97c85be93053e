//! How large a spool may be, what follows from it, and opening one.

use std::path::Path;

use bytesize::{ByteSize, KIB, MIB, TIB};
use posthaste::{LogEvent, SpoolQueue};
use posthaste_spool::SpoolOptions;

use super::exit::Failure;

/// What `--spool-size` is, unless told otherwise.
pub(crate) const DEFAULT_SIZE: &str = "10GiB";

/// For commands that add little or nothing, whatever the size was before.
pub(crate) const ANY_SIZE: u64 = TIB;
/// Smaller ones would hold hardly more than one request.
const SIZE_MIN: ByteSize = ByteSize::mib(1);
const SEGMENT_BYTES_MAX: u64 = 16 * MIB;
const RECORD_BYTES_MAX: u64 = 4 * MIB;
/// What a record has besides the request's body: mostly the address.
const RECORD_HEAD_BYTES: u64 = 4 * KIB;
/// Beyond it, the disk gains no more from larger commits.
const COMMIT_BYTES_MAX: u64 = 512 * KIB;

/// A number of bytes, such as `512MiB` or `10GB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    match text.parse() {
        // What is larger than any number is cut to the largest.
        Err(_) | Ok(ByteSize(u64::MAX)) => Err("give a size such as 512MiB or 10GiB".to_owned()),
        Ok(size) if size < SIZE_MIN => Err("a spool has 1MiB at least".to_owned()),
        Ok(ByteSize(bytes)) => Ok(bytes),
    }
}

/// The options of a spool of this size.
pub(crate) fn options(size: u64) -> SpoolOptions {
    SpoolOptions::default().size_bytes_max(size)
}

/// Options for commands that add little or nothing.
pub(crate) fn any_options() -> SpoolOptions {
    options(ANY_SIZE)
}

/// Opens a spool as a queue of requests.
pub(crate) fn open_queue(dir: &Path, size: u64) -> Result<SpoolQueue<LogEvent>, Failure> {
    Ok(SpoolQueue::open(dir, options(size))?)
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

/// As the spool has it.
fn segment_bytes(size: u64) -> u64 {
    SEGMENT_BYTES_MAX.min(size / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("1048576", MIB),
            ("512MiB", 512 * MIB),
            ("10GiB", 10 << 30),
            ("10 GiB", 10 << 30),
            ("10GB", 10_000_000_000),
            ("2gb", 2_000_000_000),
            ("1.5GiB", 3 << 29),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "-1GiB", "1.5.5GiB", "10 bushels", "99999999999TiB", "1KiB", "é", "nan"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    /// The largest commit of `send`, with an address as long as one may be.
    #[test]
    fn every_size_makes_a_spool_that_takes_the_largest_commit() {
        for bytes in [1 << 20, (1 << 20) + 1, 5 << 20, 64 << 20, 10 << 30] {
            let folder = tempfile::tempdir().unwrap();
            let spool = posthaste_spool::Spool::open(folder.path(), options(bytes)).unwrap();
            assert_eq!(spool.segment_bytes(), segment_bytes(bytes));
            let address = usize::try_from(RECORD_HEAD_BYTES).unwrap() - 3;
            let small = vec![b'x'; 700];
            let mut records = vec![small.into(); commit_bytes_max(bytes) / (700 + 64)];
            records.push(vec![b'x'; request_bytes_max(bytes) + address].into());
            spool.add_batch(records, Some(vec![b'm'; 4_000].into())).unwrap().wait().unwrap();
        }
    }
}
