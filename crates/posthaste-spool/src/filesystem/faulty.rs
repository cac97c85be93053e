//! A filesystem that fails on purpose, around any other.
//!
//! Every call has a number, counted from zero. A test runs once to learn how many there are, then again for each of
//! them with [`FaultyFilesystem::fail_at`] or [`FaultyFilesystem::crash_at`]. Other faults strike a sort of
//! [`Operation`], a file by its name, or a range of its bytes. Names are those within the folder that was opened first,
//! as in `dead/1.log`; a file that is renamed while open is known by its new name from then on.
//!
//! A call that fails has done nothing, with two exceptions: a write that crashes may have written its beginning, and a
//! sync of a file of a [`MemoryFilesystem`] that fails has forgotten what there was to write, as kernels do: it can
//! be read, it will never be on disk, and the next sync says that all is well. A folder's sync that fails forgets
//! nothing, since a journal keeps its changes or stops.

mod fault;
mod handles;
mod plan;
#[cfg(test)]
mod tests;

use std::{any::Any, io, ops::Range, path::Path, sync::Arc};

pub use self::fault::{Fault, Operation};
use self::{
    handles::FaultyFolder,
    plan::{BadRange, Elsewhere, Rule, Script, Times, Trick, When},
};
use super::{Filesystem, Folder, FolderMode, MemoryFilesystem};

/// A filesystem that passes everything on to another, except what it was told to fail. Clones share the plan.
#[derive(Debug, Clone)]
pub struct FaultyFilesystem {
    inner: Arc<dyn Filesystem>,
    script: Arc<Script>,
}

impl FaultyFilesystem {
    /// Wraps `inner`, with no faults planned.
    pub fn new(inner: impl Filesystem) -> Self {
        let memory = as_any(&inner).downcast_ref::<MemoryFilesystem>().cloned();
        Self { inner: Arc::new(inner), script: Arc::new(Script::new(memory)) }
    }

    /// Calls seen so far, which is the number of the next one.
    pub fn operations(&self) -> u64 {
        self.script.plan().count
    }

    /// Fails the call of this number, once.
    pub fn fail_at(&self, number: u64, fault: impl Into<Fault>) {
        self.script.plan().at.push((number, fault.into()));
    }

    /// Fails the call of this number, once, with an error of the operating system.
    pub fn fail_at_os(&self, number: u64, errno: i32) {
        self.fail_at(number, Fault::Os(errno));
    }

    /// Fails the next call of this sort, once. Said twice, it fails the next two.
    pub fn fail_next(&self, operation: Operation, fault: impl Into<Fault>) {
        self.add_rule(operation, "", fault.into(), Times::Once);
    }

    /// Fails every call of this sort until [`heal`](Self::heal).
    pub fn fail_always(&self, operation: Operation, fault: impl Into<Fault>) {
        self.add_rule(operation, "", fault.into(), Times::Always);
    }

    /// Fails every call of this sort on files (or folders within) that have `part` in their name, until
    /// [`heal`](Self::heal). A rename has two names.
    pub fn fail_names(&self, operation: Operation, part: &str, fault: impl Into<Fault>) {
        self.add_rule(operation, part, fault.into(), Times::Always);
    }

    /// At the call of this number the process dies: a write gets `torn_bytes` of its bytes out, nothing else
    /// happens, and everything after it fails until [`heal`](Self::heal).
    pub fn crash_at(&self, number: u64, torn_bytes: usize) {
        self.script.plan().crash = Some((number, torn_bytes));
    }

    /// Whether the planned crash has happened.
    pub fn crashed(&self) -> bool {
        self.script.plan().crashed
    }

    /// The call of this number, if it is a write, says that all is well and writes nothing.
    pub fn lose_write_at(&self, number: u64) {
        self.play(When::Number(number), Trick::Lose);
    }

    /// The next write to a file that has `part` in its name says that all is well and writes nothing.
    pub fn lose_next_write(&self, part: &str) {
        self.play(When::Name(part.to_owned()), Trick::Lose);
    }

    /// The call of this number, if it is a write, brings the first page it touches to a place `delta` bytes further
    /// on in the same file: the whole page of 4,096 bytes as it should be, or what there is of it. The page itself
    /// stays as it was, and what is written behind it is written.
    pub fn misdirect_write_at(&self, number: u64, delta: i64) {
        self.play(When::Number(number), Trick::Stray(Elsewhere::Shift(delta)));
    }

    /// Like [`misdirect_write_at`](Self::misdirect_write_at), but the page goes to the same place of another file of
    /// the folder, and to disk at once.
    pub fn misdirect_write_into(&self, number: u64, name: &str) {
        self.play(When::Number(number), Trick::Stray(Elsewhere::File(name.to_owned())));
    }

    /// Like [`misdirect_write_at`](Self::misdirect_write_at), for the next write to a file that has `part` in its
    /// name.
    pub fn misdirect_next_write(&self, part: &str, delta: i64) {
        self.play(When::Name(part.to_owned()), Trick::Stray(Elsewhere::Shift(delta)));
    }

    /// Like [`misdirect_write_into`](Self::misdirect_write_into), for the next write to a file that has `part` in its
    /// name.
    pub fn misdirect_next_write_into(&self, part: &str, name: &str) {
        self.play(When::Name(part.to_owned()), Trick::Stray(Elsewhere::File(name.to_owned())));
    }

    /// Reading any of these bytes of files that have `part` in their name fails once, with `EIO`.
    pub fn fail_read_once(&self, part: &str, bytes: Range<u64>) {
        self.script.plan().bad.push(BadRange { part: part.to_owned(), bytes, times: Times::Once });
    }

    /// Reading any of these bytes of files that have `part` in their name fails until [`heal`](Self::heal), with
    /// `EIO`.
    pub fn fail_reads(&self, part: &str, bytes: Range<u64>) {
        self.script.plan().bad.push(BadRange { part: part.to_owned(), bytes, times: Times::Always });
    }

    /// Every call of this sort waits from now on until [`unstall`](Self::unstall) or [`heal`](Self::heal). It has got
    /// its number by then, but does and fails nothing before.
    pub fn stall(&self, operation: Operation) {
        self.script.plan().stalls.push(operation);
    }

    /// Lets everything go that waits.
    pub fn unstall(&self) {
        self.script.unstall();
    }

    /// How many calls are waiting.
    pub fn stalled(&self) -> usize {
        self.script.plan().stalled
    }

    /// Waits until at least `count` calls are waiting.
    pub fn wait_stalled(&self, count: usize) {
        self.script.wait_stalled(count);
    }

    /// From now on files may grow by so many bytes in all, holes included; see [`MemoryFilesystem::set_space`].
    pub fn set_space(&self, bytes: Option<u64>) {
        self.script.set_space(bytes);
    }

    /// Forgets every plan, takes the limit on space away and lets everything go that waits; the count goes on.
    pub fn heal(&self) {
        self.script.heal();
    }

    fn add_rule(&self, operation: Operation, part: &str, fault: Fault, times: Times) {
        self.script.plan().rules.push(Rule { operation, part: part.to_owned(), fault, times });
    }

    fn play(&self, when: When, trick: Trick) {
        self.script.plan().tricks.push((when, trick));
    }
}

fn as_any(inner: &impl Filesystem) -> &dyn Any {
    inner
}

impl Filesystem for FaultyFilesystem {
    fn open_folder(&self, path: &Path, mode: FolderMode) -> io::Result<Arc<dyn Folder>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.script.check(Operation::OpenFolder, &[&name])?;
        let folder = self.inner.open_folder(path, mode)?;
        Ok(FaultyFolder::top(folder, path, &self.script))
    }
}
