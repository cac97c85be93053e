//! Folders and files that ask the plan before they do anything.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    Operation,
    plan::{Elsewhere, Fate, FileName, Script, Trick},
};
use crate::filesystem::{DirEntry, Folder, FolderMode, OpenMode, Space, SpoolFile};

const PAGE: u64 = 4096;

#[derive(Debug)]
pub(super) struct FaultyFolder {
    inner: Arc<dyn Folder>,
    top: Arc<dyn Folder>,
    top_path: PathBuf,
    /// The way from the top to here: nothing, or names each with a slash behind it.
    prefix: String,
    script: Arc<Script>,
}

impl FaultyFolder {
    pub(super) fn top(inner: Arc<dyn Folder>, path: &Path, script: &Arc<Script>) -> Arc<dyn Folder> {
        let (top, prefix) = (Arc::clone(&inner), String::new());
        Arc::new(Self { inner, top, top_path: path.to_path_buf(), prefix, script: Arc::clone(script) })
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn check(&self, operation: Operation, names: &[&str]) -> io::Result<()> {
        let full: Vec<_> = names.iter().map(|name| self.full(name)).collect();
        let full: Vec<_> = full.iter().map(String::as_str).collect();
        self.script.check(operation, &full)
    }

    /// How many bytes go back to the disk when `name` is replaced or removed.
    fn bytes_of(&self, name: &str) -> u64 {
        if self.script.bytes_left().is_none() {
            return 0;
        }
        self.inner.open(name, OpenMode::Read).and_then(|file| file.size()).unwrap_or(0)
    }
}

impl Folder for FaultyFolder {
    fn open_folder(&self, name: &str, mode: FolderMode) -> io::Result<Arc<dyn Folder>> {
        self.check(Operation::OpenFolder, &[name])?;
        Ok(Arc::new(Self {
            inner: self.inner.open_folder(name, mode)?,
            top: Arc::clone(&self.top),
            top_path: self.top_path.clone(),
            prefix: format!("{}{name}/", self.prefix),
            script: Arc::clone(&self.script),
        }))
    }

    fn list(&self) -> io::Result<Vec<DirEntry>> {
        self.check(Operation::List, &[""])?;
        self.inner.list()
    }

    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Box<dyn SpoolFile>> {
        self.check(Operation::Open, &[name])?;
        let replaced = if mode == OpenMode::Create { self.bytes_of(name) } else { 0 };
        let inner = self.inner.open(name, mode)?;
        self.script.give_space(replaced);
        let name = self.script.register(&self.top_path, &self.full(name));
        Ok(Box::new(FaultyFile { inner, top: Arc::clone(&self.top), name, script: Arc::clone(&self.script) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check(Operation::Rename, &[from, to])?;
        let replaced = if from == to { 0 } else { self.bytes_of(to) };
        self.inner.rename(from, to)?;
        self.script.give_space(replaced);
        self.script.rename(&self.top_path, &self.full(from), &self.full(to));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check(Operation::Remove, &[name])?;
        let removed = self.bytes_of(name);
        self.inner.remove(name)?;
        self.script.give_space(removed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.check(Operation::SyncFolder, &[""])?;
        self.inner.sync()
    }

    fn lock(&self) -> io::Result<()> {
        self.check(Operation::Lock, &[""])?;
        self.inner.lock()
    }

    fn is_locked(&self) -> io::Result<bool> {
        self.check(Operation::IsLocked, &[""])?;
        self.inner.is_locked()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.check(Operation::IsAt, &[""])?;
        self.inner.is_at(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.check(Operation::Space, &[""])?;
        let space = self.inner.space()?;
        let free = self.script.bytes_left().map_or(space.free, |left| left.min(space.free));
        Ok(Space { free, ..space })
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Box<dyn SpoolFile>,
    top: Arc<dyn Folder>,
    name: Arc<Mutex<FileName>>,
    script: Arc<Script>,
}

impl FaultyFile {
    fn name(&self) -> String {
        self.name.lock().name.clone()
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        self.script.check(operation, &[&self.name()])
    }

    /// Writes what the disk has room for.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.script.bytes_left().is_none() {
            return self.inner.write_at(bytes, offset);
        }
        let growth = (offset + bytes.len() as u64).saturating_sub(self.inner.size()?);
        let missing = growth - self.script.take_space(growth);
        let fitting = (bytes.len() as u64).saturating_sub(missing);
        let fitting = usize::try_from(fitting).ok().and_then(|fitting| bytes.get(..fitting)).unwrap_or(bytes);
        self.inner.write_at(fitting, offset)?;
        if missing > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn misdirect(&self, bytes: &[u8], offset: u64, to: &Elsewhere) -> io::Result<()> {
        let start = offset - offset % PAGE;
        let end = (offset + bytes.len() as u64).min(start + PAGE);
        let (page, rest) = self.page(bytes, offset, start, end)?;
        match to {
            Elsewhere::Shift(delta) => self.inner.write_at(&page, start.saturating_add_signed(*delta))?,
            Elsewhere::File(name) => {
                let other = self.top.open(name, OpenMode::Write)?;
                other.write_at(&page, start)?;
                other.sync()?;
            }
        }
        if rest.is_empty() { Ok(()) } else { self.inner.write_at(rest, end) }
    }

    /// The page at `start` with the bytes up to `end` written into it, and the bytes that go behind it.
    fn page<'a>(
        &self,
        bytes: &'a [u8],
        offset: u64,
        start: u64,
        end: u64,
    ) -> io::Result<(Vec<u8>, &'a [u8])> {
        let in_memory = |bytes: u64| usize::try_from(bytes).expect("a page fits into memory");
        let (own, rest) = bytes.split_at(in_memory(end - offset));
        let mut page = vec![0; in_memory(PAGE)];
        let read = self.inner.read_at(&mut page, start)?;
        page.truncate(read.max(in_memory(end - start)));
        if let Some(target) = page.get_mut(in_memory(offset - start)..in_memory(end - start)) {
            target.copy_from_slice(own);
        }
        Ok((page, rest))
    }
}

impl SpoolFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = offset..offset.saturating_add(buffer.len() as u64);
        match self.script.fate(Operation::Read, &[&self.name()], Some(&bytes)) {
            Fate::Pass | Fate::Trick(_) => self.inner.read_at(buffer, offset),
            Fate::Fail(error) | Fate::Tear(_, error) => Err(error),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.script.fate(Operation::Write, &[&self.name()], None) {
            Fate::Pass => self.write(bytes, offset),
            Fate::Trick(Trick::Lose) => Ok(()),
            Fate::Trick(Trick::Stray(to)) => self.misdirect(bytes, offset, &to),
            Fate::Fail(error) => Err(error),
            Fate::Tear(torn, error) => {
                self.write(bytes.get(..torn).unwrap_or(bytes), offset)?;
                Err(error)
            }
        }
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.check(Operation::Allocate)?;
        if self.script.bytes_left().is_none() {
            return self.inner.allocate(bytes);
        }
        let size = self.inner.size()?;
        let growth = bytes.saturating_sub(size);
        let taken = self.script.take_space(growth);
        if taken < growth {
            self.script.give_space(taken);
            return Err(io::ErrorKind::StorageFull.into());
        }
        let result = self.inner.allocate(bytes);
        self.script.give_space(if result.is_ok() { size.saturating_sub(bytes) } else { taken });
        result
    }

    fn size(&self) -> io::Result<u64> {
        self.check(Operation::Size)?;
        self.inner.size()
    }

    fn sync(&self) -> io::Result<()> {
        match self.script.fate(Operation::Sync, &[&self.name()], None) {
            Fate::Pass | Fate::Trick(_) => self.inner.sync(),
            // Dying is not failing: there is still something to write.
            Fate::Tear(_, error) => Err(error),
            Fate::Fail(error) => {
                if !self.script.plan().crashed {
                    self.script.forget_pending(self.inner.identity());
                }
                Err(error)
            }
        }
    }

    fn identity(&self) -> io::Result<u64> {
        self.check(Operation::Identity)?;
        self.inner.identity()
    }
}
