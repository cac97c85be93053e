//! A durable queue on disk for one process: bytes in, bytes out.

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
