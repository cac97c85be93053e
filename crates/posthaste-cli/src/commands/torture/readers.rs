//! Readers beside the owner: `spool verify`, `status` and `cat`, over and over while processes are killed.
//!
//! Nothing here damages a file, so every report of damage is wrong.

use std::{
    ffi::OsStr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

use super::{
    books::Books,
    observe::{Observed, observe},
};

/// No reader takes longer over a spool of a megabyte.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two readers.
const PAUSE: Duration = Duration::from_millis(10);
/// Reports that are shown; the others are counted.
const SHOWN_MAX: usize = 3;

/// What the readers said.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) reads: u64,
    pub(super) reports: u64,
    pub(super) shown: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Readers {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Read>,
}

impl Readers {
    pub(super) fn start(dir: PathBuf, books: Arc<Books>) -> std::io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::Builder::new().name("readers".to_owned()).spawn(move || {
            let mut read = Read::default();
            while !over.load(SeqCst) {
                // Before the first event there may be no spool.
                if books.claimed_to() > 0 {
                    read.round(&dir, &over);
                }
                thread::sleep(PAUSE);
            }
            read
        })?;
        Ok(Self { is_over, thread })
    }

    pub(super) fn stop(self) -> Read {
        self.is_over.store(true, SeqCst);
        self.thread.join().unwrap_or_default()
    }
}

impl Read {
    fn round(&mut self, dir: &std::path::Path, over: &AtomicBool) {
        for (command, option) in [("verify", Some("--json")), ("status", Some("--json")), ("cat", None)] {
            if over.load(SeqCst) {
                return;
            }
            let mut args = ["spool", command].map(OsStr::new).to_vec();
            args.extend(option.map(OsStr::new));
            args.push(dir.as_os_str());
            let mut first = Value::Null;
            let observed = observe(&args, PATIENCE, |line| {
                if option.is_some() && first.is_null() {
                    first = serde_json::from_slice(line).unwrap_or_default();
                }
            });
            self.reads += 1;
            let report = match observed {
                Err(error) => Some(error.to_string()),
                Ok(observed) => report(&observed, &first),
            };
            if let Some(report) = report {
                self.reports += 1;
                if self.shown.len() < SHOWN_MAX {
                    self.shown.push(format!("spool {command}: {report}"));
                }
            }
        }
    }
}

/// What a reader complains of.
fn report(observed: &Observed, said: &Value) -> Option<String> {
    if !observed.is_fine() {
        let problem = said.pointer("/problems/0").map(Value::to_string);
        return Some(problem.unwrap_or_else(|| observed.said.clone()));
    }
    let number = |name: &str| said.get(name).and_then(Value::as_u64).unwrap_or_default();
    ["lost", "unreadable", "damaged_files"]
        .into_iter()
        .find(|name| number(name) > 0)
        .map(|name| format!("{name} {}", number(name)))
}
