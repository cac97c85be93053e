//! The faults that are planned, and what they make of one call.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{Fault, Operation};
use crate::filesystem::MemoryFilesystem;

/// The plan as everyone shares it. No call of the filesystem within is ever made while the plan is locked.
#[derive(Debug)]
pub(super) struct Script {
    plan: Mutex<Plan>,
    stall_changed: Condvar,
    memory: Option<MemoryFilesystem>,
    names: Mutex<Vec<Weak<Mutex<FileName>>>>,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) count: u64,
    pub(super) at: Vec<(u64, Fault)>,
    pub(super) crash: Option<(u64, usize)>,
    pub(super) crashed: bool,
    pub(super) rules: Vec<Rule>,
    pub(super) tricks: Vec<(When, Trick)>,
    pub(super) bad: Vec<BadRange>,
    pub(super) stalls: Vec<Operation>,
    pub(super) stalled: usize,
    /// Counted here only where the filesystem within does not count itself.
    bytes_left: Option<u64>,
    is_space_set: bool,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) operation: Operation,
    /// Of the name; empty for all.
    pub(super) part: String,
    pub(super) fault: Fault,
    pub(super) times: Times,
}

#[derive(Debug)]
pub(super) struct BadRange {
    pub(super) part: String,
    pub(super) bytes: Range<u64>,
    pub(super) times: Times,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    Always,
}

/// Which write a trick is played on.
#[derive(Debug)]
pub(super) enum When {
    Number(u64),
    /// The next one to a file with this in its name.
    Name(String),
}

/// What happens to a write that says that all is well.
#[derive(Debug)]
pub(super) enum Trick {
    Lose,
    Stray(Elsewhere),
}

/// Where a page goes instead.
#[derive(Debug)]
pub(super) enum Elsewhere {
    /// So many bytes further on.
    Shift(i64),
    /// To the same place of the file of this name.
    File(String),
}

/// What to do with one call.
#[derive(Debug)]
pub(super) enum Fate {
    Pass,
    Fail(io::Error),
    /// Write only so many bytes, then fail.
    Tear(usize, io::Error),
    Trick(Trick),
}

/// A file's name within the folder at `top`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) top: PathBuf,
    pub(super) name: String,
}

impl Script {
    pub(super) fn new(memory: Option<MemoryFilesystem>) -> Self {
        Self { plan: Mutex::default(), stall_changed: Condvar::new(), memory, names: Mutex::default() }
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock()
    }

    /// Counts a call, lets it wait if it must, and decides about it. `bytes` are those that a read is after.
    pub(super) fn fate(&self, operation: Operation, names: &[&str], bytes: Option<&Range<u64>>) -> Fate {
        let mut plan = self.plan.lock();
        let number = plan.count;
        plan.count += 1;
        if plan.stalls.contains(&operation) {
            plan.stalled += 1;
            self.stall_changed.notify_all();
            self.stall_changed.wait_while(&mut plan, |plan| plan.stalls.contains(&operation));
            plan.stalled -= 1;
        }
        plan.fate(number, operation, names, bytes)
    }

    /// For calls that pass or fail, and nothing else.
    pub(super) fn check(&self, operation: Operation, names: &[&str]) -> io::Result<()> {
        match self.fate(operation, names, None) {
            Fate::Pass | Fate::Trick(_) => Ok(()),
            Fate::Fail(error) | Fate::Tear(_, error) => Err(error),
        }
    }

    pub(super) fn unstall(&self) {
        self.plan.lock().stalls.clear();
        self.stall_changed.notify_all();
    }

    pub(super) fn wait_stalled(&self, count: usize) {
        self.stall_changed.wait_while(&mut self.plan.lock(), |plan| plan.stalled < count);
    }

    pub(super) fn heal(&self) {
        let mut plan = self.plan.lock();
        let healed = Plan { count: plan.count, stalled: plan.stalled, ..Plan::default() };
        let was_limited = std::mem::replace(&mut *plan, healed).is_space_set;
        drop(plan);
        self.stall_changed.notify_all();
        if was_limited && let Some(memory) = &self.memory {
            memory.set_space(None);
        }
    }

    /// What a failed sync of a file leads to.
    pub(super) fn forget_pending(&self, identity: io::Result<u64>) {
        if let (Some(memory), Ok(identity)) = (&self.memory, identity) {
            memory.forget_pending(identity);
        }
    }
}

/// Room on the disk.
impl Script {
    pub(super) fn set_space(&self, bytes: Option<u64>) {
        let mut plan = self.plan.lock();
        plan.is_space_set = bytes.is_some();
        plan.bytes_left = bytes.filter(|_| self.memory.is_none());
        drop(plan);
        if let Some(memory) = &self.memory {
            memory.set_space(bytes);
        }
    }

    /// How many bytes are left, where they are counted here.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        self.plan.lock().bytes_left
    }

    /// Takes as many of these bytes as there are left.
    pub(super) fn take_space(&self, bytes: u64) -> u64 {
        let mut plan = self.plan.lock();
        let Some(left) = &mut plan.bytes_left else { return bytes };
        let taken = bytes.min(*left);
        *left -= taken;
        taken
    }

    pub(super) fn give_space(&self, bytes: u64) {
        if let Some(left) = &mut self.plan.lock().bytes_left {
            *left += bytes;
        }
    }
}

/// Names of open files.
impl Script {
    pub(super) fn register(&self, top: &Path, name: &str) -> Arc<Mutex<FileName>> {
        let name = Arc::new(Mutex::new(FileName { top: top.to_path_buf(), name: name.to_owned() }));
        let mut names = self.names.lock();
        names.retain(|name| name.strong_count() > 0);
        names.push(Arc::downgrade(&name));
        name
    }

    pub(super) fn rename(&self, top: &Path, from: &str, to: &str) {
        for name in self.names.lock().iter().filter_map(Weak::upgrade) {
            let mut name = name.lock();
            if name.top == top && name.name == from {
                to.clone_into(&mut name.name);
            }
        }
    }
}

impl Plan {
    fn fate(
        &mut self,
        number: u64,
        operation: Operation,
        names: &[&str],
        bytes: Option<&Range<u64>>,
    ) -> Fate {
        if self.crashed {
            return Fate::Fail(io::Error::other("the process has crashed"));
        }
        if let Some((_, torn)) = self.crash.take_if(|(at, _)| *at == number) {
            self.crashed = true;
            return Fate::Tear(torn, io::Error::other("the process crashes here"));
        }
        let fault = self
            .fault_at(number)
            .or_else(|| self.fault_by_rule(operation, names))
            .or_else(|| self.fault_in_range(names, bytes?));
        match fault {
            Some(fault) => Fate::Fail(fault.error()),
            None if operation == Operation::Write => self.trick(number, names),
            None => Fate::Pass,
        }
    }

    fn fault_at(&mut self, number: u64) -> Option<Fault> {
        let found = self.at.iter().position(|(at, _)| *at == number)?;
        Some(self.at.remove(found).1)
    }

    fn fault_by_rule(&mut self, operation: Operation, names: &[&str]) -> Option<Fault> {
        let matches = |rule: &Rule| rule.operation == operation && has_part(names, &rule.part);
        let found = self.rules.iter().position(matches)?;
        let Rule { fault, times, .. } = *self.rules.get(found)?;
        if times == Times::Once {
            self.rules.remove(found);
        }
        Some(fault)
    }

    fn fault_in_range(&mut self, names: &[&str], wanted: &Range<u64>) -> Option<Fault> {
        let found = self.bad.iter().position(|bad| {
            has_part(names, &bad.part) && bad.bytes.start < wanted.end && wanted.start < bad.bytes.end
        })?;
        if self.bad.get(found)?.times == Times::Once {
            self.bad.remove(found);
        }
        Some(Fault::EIO)
    }

    fn trick(&mut self, number: u64, names: &[&str]) -> Fate {
        let found = self.tricks.iter().position(|(when, _)| match when {
            When::Number(at) => *at == number,
            When::Name(part) => has_part(names, part),
        });
        found.map_or(Fate::Pass, |found| Fate::Trick(self.tricks.remove(found).1))
    }
}

/// An empty part is in every name, and in none at all.
fn has_part(names: &[&str], part: &str) -> bool {
    part.is_empty() || names.iter().any(|name| name.contains(part))
}
