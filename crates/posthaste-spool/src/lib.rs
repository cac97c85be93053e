//! A durable queue on disk for one process: bytes in, bytes out.
//!
//! ```
//! use std::time::Duration;
//!
//! use posthaste_spool::{Spool, SpoolOptions};
//!
//! # let folder = tempfile::tempdir()?;
//! let spool = Spool::open(folder.path().join("spool"), SpoolOptions::default())?;
//! let receipt = spool.add("a record")?; // taken for good, whatever the disk does
//! let sequence = receipt.wait()?; // or `receipt.await`: on disk from here on
//!
//! let read = spool.read(0, 100, 1 << 20)?; // oldest first, and they stay
//! assert_eq!(read.records[0].bytes, "a record");
//! spool.ack(&[sequence]); // now it may go
//! spool.close(Duration::from_secs(5))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - What `add` has taken is never refused later. Its room on disk is there before it is taken, within
//!   `size_bytes_max` and `pending_bytes_max`; where there is none, `add` gives the record back at once.
//! - A receipt resolves once its record is as durable as [`Durability`] says, and from then on the record is
//!   read, in order and as it was, until it is acknowledged: after a killed process, and by default after a
//!   power cut. A record may be acknowledged before that; then its receipt resolves too.
//! - Where the disk fails after `add`, the record stays in memory, and is written as soon as the disk works again. Only
//!   [`Spool::give_up`] ends that, and says which records were not known to be stored.
//! - [`Spool::add_batch`] stores its records and the caller's metadata all or nothing. [`Spool::meta`] is
//!   that of the last stored batch that had some; it outlives the records it came with.
//! - A record may be read again after its acknowledgement, when a crash came before the cursor was written.
//!   It is never read changed.
//! - Every record that was stored and is missing is counted once ([`Counters::lost_records`]), wherever it was, and in
//!   every tool the same. Damage costs the records it hit, and no others. What cannot be read just now is not lost: it is
//!   told apart, and tried again. A spool opens whatever its files hold.
//! - A failed write or sync is never tried again in the same place, and what a crash left is never just synced: a sync may
//!   have forgotten what there was to write.
//! - Space comes back by itself, from the only segment too.
//! - No call waits for the disk, but [`SpoolReceipt::wait`], [`Spool::close`] for as long as it was given, and reads.
//! - One process owns a spool at a time, by a lock on the folder itself, and reaches no other folder than the one that it
//!   has open, whatever becomes of its name. Others can look: [`inspect`] changes nothing.
//!
//! # Parts, in the order in which a record meets them
//!
//! `format` says what lies on disk, and has the one walk over it. [`Spool`] takes records from many threads into
//! `write`: `pending` holds what is not on disk yet, `plan` knows that there will be room, `stock` has empty segments,
//! `writer` commits, `house` keeps the cursor and gives space back. `read` reads. `recover` finds out what is there at the
//! start. `tools` look and mend from outside. Everything reaches the disk through [`Filesystem`]. [`DeadLetters`] is a
//! second spool in the folder `dead`.
//!
//! # Files
//!
//! | name | what |
//! |---|---|
//! | `seg-<number>-<first>.log` | a segment: its number (10 digits), and the first record that it may hold (20 digits) |
//! | `spare-<number>.log` | an empty segment to be used again; its content means nothing |
//! | `new.tmp` | a segment being made; removed at the next start |
//! | `cursor` | how far the spool is settled and stored, and the caller's metadata |
//! | `damaged/` | segments and pieces of segments that records were lost from |
//! | `dead/` | the dead letters: a spool of the same format, each record with the number of its record in front (8 bytes) |
//!
//! Files have mode 0600, folders 0700. The owner holds a lock (flock) on the folder; there is no lock file.
//!
//! # Format, version 2
//!
//! (Version 1 was never released; a folder of it is refused by name.) All numbers are little-endian, all checksums CRC-32
//! (IEEE). A segment is a header of 4,096 bytes, then frames.
//!
//! | offset | bytes | segment header |
//! |---|---|---|
//! | 0 | 8 | `PHSPOOL\n` |
//! | 8 | 2 | format version, 2 |
//! | 10 | 2 | features that a reader has to know, 0 |
//! | 12 | 4 | checksum of these 64 bytes, itself as zero |
//! | 16 | 8 | the spool's id, random |
//! | 24 | 8 | segment number, as in the name |
//! | 32 | 8 | number of the first record it may hold, as in the name |
//! | 40 | 4,056 | zeros |
//!
//! Losing a header loses nothing: the name says the same, and the id is in the cursor. Frames start at offset 4,096, each
//! at a multiple of eight. A frame's checksum is taken as if the spool's id, the segment's number and the frame's offset (8
//! bytes each) stood before what it covers: so bytes that are stale, foreign or in the wrong place are no frames.
//!
//! | offset | bytes | frame |
//! |---|---|---|
//! | 0 | 4 | checksum of the bytes 4 to 31 |
//! | 4 | 4 | payload length; the top bit says that the payload is the caller's metadata |
//! | 8 | 8 | the record's number; of metadata, that of the next record |
//! | 16 | 4 | its place in its batch |
//! | 20 | 4 | frames in its batch |
//! | 24 | 4 | records before it that were not known to be stored when it was written |
//! | 28 | 4 | checksum of the payload |
//! | 32 | | payload, then zeros to a multiple of eight |
//!
//! A record without a payload was acknowledged before it could be stored. A segment begins with the metadata of that time,
//! if there is some.
//!
//! The cursor file is three slots of 8,192 bytes. The first two are written in turn (by the generation's parity) and synced;
//! the third is written over after each commit and after each of the others, and synced only once by each owner, before
//! anything else: for those who look, for a killed process's successor, and should one of the others be damaged.
//! The sound slot of the highest generation counts.
//!
//! | offset | bytes | cursor slot |
//! |---|---|---|
//! | 0 | 8 | `PHCURSR\x02` |
//! | 8 | 8 | the spool's id |
//! | 16 | 8 | generation |
//! | 24 | 8 | low: every record below this is settled |
//! | 32 | 8 | end: every record below this was stored, or is settled |
//! | 40 | 8 | the next record's number |
//! | 48 | 8 | the segment that was written last; 0: none yet |
//! | 56 | 8 | where in it: every frame before that was stored |
//! | 64 | 8 | records that were lost, ever |
//! | 72 | 8 | the records of dead letters below this number are settled |
//! | 80 | 4 | the owner's process id; 0 once it has closed the spool |
//! | 84 | 4 | settled ranges that follow, at most 248 |
//! | 88 | 4 | length of the metadata, 0xFFFFFFFF if there is none |
//! | 92 | 4 | checksum of the metadata |
//! | 112 | 16 each | first record of a settled range, and the one after its last |
//! | 4,092 | 4 | checksum of the 4,092 bytes before |
//! | 4,096 | | the metadata |
//!
//! # Recovery
//!
//! Opening reads the names and headers of all segments, the cursor, and the last segment; nothing else, whatever the
//! backlog, but the one before it where its beginning is torn, for the metadata. A segment's records end where its
//! successor's begin, so what a segment that failed may hold beyond that is passed over.
//!
//! How far the log was stored is known from the cursor, from the last segment's first record, and from the frames of the last
//! segment. What is missing below that is lost. From there on, whole batches are taken: before anything is built on them they
//! are written over with the very same bytes, and synced, which needs no room and leaves nothing in between. The rest
//! is a write that did not finish; of one that did not, neither metadata nor records that came with metadata count, and
//! the cursor says so on disk before anything else is written. Nor is anything built on a name that may not be on disk yet. A
//! new segment is begun where a frame, or anything that was damaged, lies behind the last one that counts. Bytes without a
//! sound head are what a segment held before it was used again, or the beginning of a write: they are written over.
//!
//! A cursor of another spool, or one that knows of records behind the log's end, is not used: everything that is there comes
//! again, and records that have their dead letters, too. Numbers never go back below what the cursor knows. A segment whose
//! header says that it is another is still this one if it holds frames that belong here.
//!
//! # Limits
//!
//! Every bound is an option ([`SpoolOptions`]), with these exceptions: metadata is at most [`META_BYTES_MAX`]
//! bytes; a batch has to fit into one segment; 248 settled ranges above the low mark survive a restart, the
//! records of further ones come again. Of the commits of the last second before a power cut, damage at the same time looks like
//! a write that did not finish. A power cut is survived on disks that do what a sync asks for. Where files are copied on write,
//! even writing the cursor over takes room, and a disk filled by others may refuse it; then what was settled comes again. A
//! damaged segment is kept aside by the owner that met the damage. Unix only, and not for network filesystems
//! without locks.

#[cfg(not(unix))]
compile_error!(
    "posthaste-spool needs Linux, macOS or another Unix: it locks its folder, and reaches its files through it. \
     Elsewhere, use posthaste without the feature `spool`"
);

mod acks;
mod batch;
mod dead;
mod error;
mod filesystem;
mod format;
mod log;
mod options;
mod read;
mod receipt;
mod recover;
mod spool;
mod tools;
mod write;

/// The format that this version writes.
pub const FORMAT_VERSION: u16 = 2;

pub use batch::{Batch, META_BYTES_MAX};
pub use dead::{DEAD_DIR, DeadError, DeadLetters};
pub use error::{AddError, DiskError, OpenError, ReadError, Refusal, WriteError};
pub use filesystem::{DirEntry, Filesystem, Folder, FolderMode, OpenMode, RealFilesystem, Space, SpoolFile};
#[cfg(feature = "test-util")]
pub use filesystem::{Fault, FaultyFilesystem, MemoryFilesystem, Operation};
pub use log::{Counters, Stats};
pub use options::{Durability, SpoolOptions};
pub use read::{Read, Record};
pub use receipt::SpoolReceipt;
pub use spool::Spool;
#[cfg(feature = "test-util")]
pub use spool::Turns;
pub use tools::{
    Check, Inspection, Problem, ProblemKind, Records, Repair, Status, inspect, inspect_with, repair,
    repair_with,
};

/// The README's example, run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
