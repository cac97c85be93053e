//! A filesystem that fails on purpose, around any other.
//!
//! Every operation has a number, counted from zero. A test runs once to learn how many there are, then again for
//! each of them with [`FaultyFilesystem::fail_at`] or [`FaultyFilesystem::crash_at`].

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{DirEntry, Filesystem, OpenMode, SpoolFile};

/// What is being done when a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Creating a folder.
    CreateDir,
    /// Listing a folder.
    List,
    /// Opening or creating a file.
    Open,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing a folder.
    SyncDir,
    /// Taking the lock.
    Lock,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Setting a file's length.
    SetLen,
    /// Syncing a file.
    Sync,
}

/// A filesystem that passes everything on to another, except what it was told to fail. Clones share the plan.
#[derive(Debug, Clone)]
pub struct FaultyFilesystem {
    inner: Arc<dyn Filesystem>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    count: u64,
    fail: Option<(u64, io::ErrorKind)>,
    crash: Option<(u64, usize)>,
    crashed: bool,
    next: Option<(Operation, io::ErrorKind)>,
    always: Vec<(Operation, io::ErrorKind)>,
    bytes_left: Option<u64>,
}

/// What to do with one operation.
enum Fate {
    Pass,
    /// Write only so many bytes, then fail.
    Tear(usize, io::Error),
    Fail(io::Error),
}

impl FaultyFilesystem {
    /// Wraps `inner`, with no faults planned.
    pub fn new(inner: impl Filesystem) -> Self {
        Self { inner: Arc::new(inner), plan: Arc::default() }
    }

    /// Operations seen so far.
    pub fn operations(&self) -> u64 {
        self.plan.lock().count
    }

    /// Fails the operation of this number, once.
    pub fn fail_at(&self, number: u64, kind: io::ErrorKind) {
        self.plan.lock().fail = Some((number, kind));
    }

    /// At the operation of this number the process dies: a write gets `torn_bytes` of its bytes out, nothing else
    /// happens, and everything after it fails until [`heal`](Self::heal).
    pub fn crash_at(&self, number: u64, torn_bytes: usize) {
        self.plan.lock().crash = Some((number, torn_bytes));
    }

    /// Fails the next operation of this sort, once.
    pub fn fail_next(&self, operation: Operation, kind: io::ErrorKind) {
        self.plan.lock().next = Some((operation, kind));
    }

    /// Fails every operation of this sort until [`heal`](Self::heal).
    pub fn fail_always(&self, operation: Operation, kind: io::ErrorKind) {
        self.plan.lock().always.push((operation, kind));
    }

    /// From now on, no more than `bytes` fit on the disk: whatever makes a file longer uses them up, holes included.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.plan.lock().bytes_left = bytes;
    }

    /// Whether the planned crash has happened.
    pub fn crashed(&self) -> bool {
        self.plan.lock().crashed
    }

    /// Forgets every plan; the count goes on.
    pub fn heal(&self) {
        let mut plan = self.plan.lock();
        *plan = Plan { count: plan.count, ..Plan::default() };
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        match self.plan.lock().fate(operation) {
            Fate::Pass => Ok(()),
            Fate::Tear(_, error) | Fate::Fail(error) => Err(error),
        }
    }

    fn wrap(&self, file: io::Result<Box<dyn SpoolFile>>) -> io::Result<Box<dyn SpoolFile>> {
        Ok(Box::new(FaultyFile { inner: file?, plan: Arc::clone(&self.plan) }))
    }
}

impl Plan {
    fn fate(&mut self, operation: Operation) -> Fate {
        let number = self.count;
        self.count += 1;
        if self.crashed {
            return Fate::Fail(io::Error::other("the process has crashed"));
        }
        if let Some((at, torn)) = self.crash
            && at == number
        {
            self.crashed = true;
            return Fate::Tear(torn, io::Error::other("the process crashes here"));
        }
        if let Some((at, kind)) = self.fail
            && at == number
        {
            self.fail = None;
            return Fate::Fail(kind.into());
        }
        if let Some((sort, kind)) = self.next
            && sort == operation
        {
            self.next = None;
            return Fate::Fail(kind.into());
        }
        let always = self.always.iter().find(|(sort, _)| *sort == operation);
        always.map_or(Fate::Pass, |(_, kind)| Fate::Fail((*kind).into()))
    }

    fn take_space(&mut self, bytes: u64) -> io::Result<()> {
        if let Some(left) = &mut self.bytes_left {
            *left = left.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?;
        }
        Ok(())
    }
}

impl Filesystem for FaultyFilesystem {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.check(Operation::CreateDir)?;
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.check(Operation::List)?;
        self.inner.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>> {
        self.check(Operation::Open)?;
        self.wrap(self.inner.open(path, mode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Operation::Rename)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(Operation::Remove)?;
        let bytes = self.size_of(path);
        self.inner.remove(path)?;
        if let Some(left) = &mut self.plan.lock().bytes_left {
            *left += bytes;
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::SyncDir)?;
        self.inner.sync_dir(dir)
    }

    fn lock(&self, path: &Path, owner: &str) -> io::Result<Box<dyn SpoolFile>> {
        self.check(Operation::Lock)?;
        self.wrap(self.inner.lock(path, owner))
    }
}

impl FaultyFilesystem {
    fn size_of(&self, path: &Path) -> u64 {
        let path = PathBuf::from(path);
        self.inner.open(&path, OpenMode::Read).and_then(|file| file.size()).unwrap_or(0)
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Box<dyn SpoolFile>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultyFile {
    fn check(&self, operation: Operation) -> io::Result<()> {
        match self.plan.lock().fate(operation) {
            Fate::Pass => Ok(()),
            Fate::Tear(_, error) | Fate::Fail(error) => Err(error),
        }
    }
}

impl SpoolFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check(Operation::Read)?;
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fate = self.plan.lock().fate(Operation::Write);
        match fate {
            Fate::Pass => {
                let growth = (offset + bytes.len() as u64).saturating_sub(self.inner.size()?);
                self.plan.lock().take_space(growth)?;
                self.inner.write_at(bytes, offset)
            }
            Fate::Tear(torn, error) => {
                let written = bytes.get(..torn).unwrap_or(bytes);
                self.inner.write_at(written, offset)?;
                Err(error)
            }
            Fate::Fail(error) => Err(error),
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.check(Operation::SetLen)?;
        let growth = bytes.saturating_sub(self.inner.size()?);
        self.plan.lock().take_space(growth)?;
        self.inner.set_len(bytes)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn sync(&self) -> io::Result<()> {
        self.check(Operation::Sync)?;
        self.inner.sync()
    }

    fn is_linked(&self) -> io::Result<bool> {
        self.inner.is_linked()
    }
}
