//! A durable queue on disk for one process: bytes in, bytes out.
//!
//! ```
//! use posthaste_spool::{Spool, SpoolOptions};
//!
//! # let folder = tempfile::tempdir()?;
//! let spool = Spool::open(folder.path().join("spool"), SpoolOptions::default())?;
//! let receipt = spool.add("a record")?; // hands it to the writing thread
//! let sequence = receipt.wait()?; // or `receipt.await`: on disk from here on
//!
//! let records = spool.read(0, 100, 1 << 20)?; // oldest first, and they stay
//! assert_eq!(records[0].bytes, "a record");
//! spool.ack(&[sequence]); // now it may go
//! spool.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - A receipt resolves once its record is as durable as [`Durability`] says, and from then on the record is
//!   read, in order and as it was, until it is acknowledged: after a killed process, and by default after a
//!   power cut.
//! - [`Spool::add_batch`] stores its records and the caller's metadata all or nothing. [`Spool::meta`] is
//!   that of the last committed batch that had some; it outlives the records it came with.
//! - A record may be read again after its acknowledgement, when a crash came before the cursor was written.
//!   It may be read although its receipt failed: then nobody knew what had reached the disk. It is never read
//!   changed.
//! - Damage costs the record it hit. That one is skipped, counted ([`Counters`]) and, as far as
//!   `damaged_bytes_max` allows, kept in the folder `damaged`. A spool opens whatever its files hold; only
//!   what a newer version wrote is refused.
//! - A failed write or sync is never tried again in the same place. The segment is sealed as suspect, what it
//!   was to hold goes to a fresh one under the same numbers, and where that fails too, the receipts say so.
//! - Where nothing can be written (disk full, size limit, lost rights), adds are refused with the record in
//!   hand, reads and acknowledgements go on, and adds work again once space has come back or the cause is
//!   gone.
//! - One process owns a spool at a time. Others can look: [`inspect`] takes no lock and changes nothing.
//!
//! # Parts
//!
//! [`Spool`] is what callers hold, from many threads: it hands records to one thread that writes. [`Log`] is
//! the same without a thread. Below them, `writer` appends, `reader` reads, `acks` knows what is settled,
//! `tail`, `survey` and `recovery` find out what is there at the start, `scan` walks frames past damage, and
//! everything reaches the disk through [`Filesystem`]. [`DeadLetters`] is a second log in the folder `dead`.
//! [`Inspection::verify`] checks every checksum, [`repair`] covers what is damaged.
//!
//! # Files
//!
//! | name | what |
//! |---|---|
//! | `seg-<number>.log` | a segment; numbers have 20 digits, and later segments have greater ones |
//! | `spare-<number>.log` | an empty segment to be used again; its content means nothing |
//! | `new.tmp` | a segment being made; removed at the next start |
//! | `cursor` | how far the spool is settled |
//! | `lock` | locked by the owner (flock), holds its process id in decimal |
//! | `damaged/` | what is left of damaged records, named by segment and offset |
//! | `dead/` | the dead letters: a spool of the same format |
//!
//! Files have mode 0600, folders 0700.
//!
//! # Format, version 1
//!
//! All numbers are little-endian, all checksums CRC-32 (IEEE). A segment is two equal copies of its header,
//! 4,096 bytes each, then frames.
//!
//! | offset | bytes | segment header |
//! |---|---|---|
//! | 0 | 8 | `PHSPOOL\n` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 6 | zero |
//! | 16 | 8 | segment number, as in the name |
//! | 24 | 8 | sequence number of the first record it can hold |
//! | 32 | 8 | salt, random |
//! | 40 | 4 | length of the metadata as of the segment's creation, 0xFFFFFFFF if there was none |
//! | 44 | 4 | zero |
//! | 48 | 4,044 | that metadata (at most 4,000 bytes), then zeros |
//! | 4,092 | 4 | checksum of the 4,092 bytes before |
//!
//! Frames start at offset 8,192, each at a multiple of eight, with up to seven zeros between them. Their
//! checksums are taken as if the segment's number and salt (8 bytes each) stood before what they cover.
//!
//! | offset | bytes | frame |
//! |---|---|---|
//! | 0 | 4 | `F5 70 68 72` |
//! | 4 | 1 | kind |
//! | 5 | 3 | zero |
//! | 8 | 8 | sequence number |
//! | 16 | 8 | synced: every record below this was committed when the frame was written |
//! | 24 | 4 | payload length |
//! | 28 | 4 | count |
//! | 32 | 4 | checksum of the payload |
//! | 36 | 4 | checksum of the 36 bytes before |
//! | 40 | | payload |
//!
//! | kind | what | sequence number | count | payload |
//! |---|---|---|---|---|
//! | 1 | a record | its own | 0 | the record |
//! | 2 | a record of a batch | its own | its place in the batch | the record |
//! | 3 | opens and closes a batch | of the batch's first record | records in the batch | none |
//! | 4 | the same, with metadata | of the batch's first record | records in the batch | the metadata |
//! | 5 | mark behind a commit | of the next record | 0 | none |
//! | 6 | cover over damage, made by repair | of the first record lost here | records lost here | what is left, unchecked |
//!
//! The cursor file is two slots of 4,096 bytes, written in turn; the sound one of the higher generation
//! counts.
//!
//! | offset | bytes | cursor slot |
//! |---|---|---|
//! | 0 | 8 | `PHCURSR\x01` |
//! | 8 | 8 | generation; odd ones in the second slot |
//! | 16 | 8 | low: every record below this is settled |
//! | 24 | 8 | the next sequence number |
//! | 32 | 8 | number of settled ranges that follow, at most 253 |
//! | 40 | 16 each | first record of a settled range, and the one after its last |
//! | 4,092 | 4 | checksum of the 4,092 bytes before |
//!
//! # Recovery
//!
//! Opening reads the headers of all segments, the cursor, and the last segment; nothing else, whatever the
//! backlog. The bounds of all other segments are known from their successors' headers: a record counts only
//! up to the first sequence number of the next segment, so what a suspect segment may hold beyond that is
//! passed over.
//!
//! In the last segment, a commit is one write, one sync, and then a mark (kind 5) that needs no sync: the
//! sync of the next commit covers it. What is missing below the highest `synced` found was there once, so it
//! is damage, and costs itself. What is incomplete above it is a write that did not finish: single records
//! stay as far as they are whole, a batch counts only as a whole, and the log is cut where the first
//! incomplete batch begins. Then the segment is synced, because what was found will be seen.
//!
//! A segment whose two headers are lost is moved to `damaged` as a whole. Without a cursor, everything there
//! is counts as unacknowledged. Sequence numbers never go back below what the cursor knows.
//!
//! # Limits
//!
//! Every bound is an option ([`SpoolOptions`]), with these exceptions: metadata is at most [`META_BYTES_MAX`]
//! bytes; a batch has to fit into one segment; 253 settled ranges above the low mark survive a restart, the
//! records of further ones come again. Space comes back by the segment and from the front: one record that is
//! never acknowledged keeps every segment behind it. Where no spare segment is left, as in a growing backlog,
//! one is made without its blocks, so that each sync has new space to record beside the data. A power cut is
//! survived on disks that do what a sync asks for and do not tear bytes that were on disk when they write
//! others beside them. Of the last commit, damage together with a power cut can look like a write that did
//! not finish. Unix only, and not for network filesystems without locks.

mod acks;
mod aside;
mod batch;
mod cursor;
mod dead;
mod error;
mod filesystem;
mod frame;
mod inspect;
mod log;
mod options;
mod reader;
mod receipt;
mod recovery;
mod repair;
mod scan;
mod segment;
mod shared;
mod spool;
mod stock;
mod survey;
mod tail;
mod verify;
mod worker;
mod writer;

/// The format that this version writes.
pub const FORMAT_VERSION: u16 = 1;

pub use batch::{Batch, META_BYTES_MAX};
pub use dead::{DEAD_DIR, DeadError, DeadLetters};
pub use error::{AddError, DiskError, OpenError, ReadError, Refusal, WriteError};
pub use filesystem::{DirEntry, Filesystem, OpenMode, RealFilesystem, SpoolFile};
#[cfg(feature = "test-util")]
pub use filesystem::{FaultyFilesystem, MemoryFilesystem, Operation};
pub use inspect::{Inspection, Records, Status, inspect, inspect_with};
pub use log::{Log, Stats};
pub use options::{Durability, SpoolOptions};
pub use reader::Record;
pub use receipt::SpoolReceipt;
pub use repair::{Repair, repair, repair_with};
pub use shared::Counters;
pub use spool::Spool;
pub use verify::{Problem, ProblemKind};
