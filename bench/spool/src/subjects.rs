//! Who is measured: the bare disk, the spool, a database. Each commits the same bytes and returns once they are on disk.

use std::{
    error::Error,
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use bytes::Bytes;
use posthaste_spool::{Spool, SpoolOptions};
use rusqlite::Connection;

/// The bare loop goes round in a file of this size, as a spool goes round in its segments.
const BARE_BYTES: u64 = 64 << 20;

/// Somebody who can make records durable.
pub(crate) trait Subject {
    /// Makes these records durable.
    fn commit(&mut self, records: &[Bytes]) -> Result<(), Box<dyn Error>>;
}

/// Writes and syncs, nothing else.
#[derive(Debug)]
pub(crate) struct Bare {
    file: File,
    offset: u64,
    wrap: bool,
    buffer: Vec<u8>,
}

impl Bare {
    pub(crate) fn preallocated(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let bare = Self::create(&dir.join("preallocated"), true)?;
        bare.file.write_all_at(&vec![0; usize::try_from(BARE_BYTES)?], 0)?;
        bare.file.sync_all()?;
        Ok(bare)
    }

    pub(crate) fn growing(dir: &Path) -> Result<Self, Box<dyn Error>> {
        Self::create(&dir.join("growing-file"), false)
    }

    fn create(path: &Path, wrap: bool) -> Result<Self, Box<dyn Error>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Self { file, offset: 0, wrap, buffer: Vec::new() })
    }
}

impl Subject for Bare {
    fn commit(&mut self, records: &[Bytes]) -> Result<(), Box<dyn Error>> {
        self.buffer.clear();
        for record in records {
            self.buffer.extend_from_slice(record);
        }
        if self.wrap && self.offset + self.buffer.len() as u64 > BARE_BYTES {
            self.offset = 0;
        }
        self.file.write_all_at(&self.buffer, self.offset)?;
        self.file.sync_data()?;
        self.offset += self.buffer.len() as u64;
        Ok(())
    }
}

/// A spool that is acknowledged as it is written, or not at all.
#[derive(Debug)]
pub(crate) struct SpoolSubject {
    spool: Spool,
    acknowledge: bool,
}

impl SpoolSubject {
    pub(crate) fn drained(dir: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self { spool: Spool::open(dir, SpoolOptions::default())?, acknowledge: true })
    }

    pub(crate) fn growing(dir: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self { spool: Spool::open(dir, SpoolOptions::default())?, acknowledge: false })
    }
}

impl Subject for SpoolSubject {
    fn commit(&mut self, records: &[Bytes]) -> Result<(), Box<dyn Error>> {
        let first = self.spool.add_batch(records.to_vec(), None)?.wait()?;
        if self.acknowledge {
            self.spool.ack_up_to(first + records.len() as u64 - 1);
        }
        Ok(())
    }
}

/// One row a record, one transaction a commit.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(crate) fn open(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let connection = Connection::open(dir.join("sqlite.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection
            .execute("CREATE TABLE IF NOT EXISTS records (sequence INTEGER PRIMARY KEY, bytes BLOB)", ())?;
        Ok(Self { connection })
    }
}

impl Subject for Sqlite {
    fn commit(&mut self, records: &[Bytes]) -> Result<(), Box<dyn Error>> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO records (bytes) VALUES (?1)")?;
            for record in records {
                insert.execute([&record[..]])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}
