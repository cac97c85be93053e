//! Running this program once more, to look at the spool from outside: bounded in time, its lines read as they come.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use posthaste::{Clock, SystemClock};

/// How a process ended.
#[derive(Debug)]
pub(super) struct Observed {
    /// `None`: it was killed, by whomever.
    pub(super) code: Option<i32>,
    /// The last line that it wrote to stderr, or what happened to it.
    pub(super) said: String,
}

/// How often to look whether it has ended.
const EVERY: Duration = Duration::from_millis(5);
/// Lines may be as long as requests; longer ones come in pieces.
const LINE_BYTES_MAX: u64 = 16 << 20;

impl Observed {
    pub(super) fn is_fine(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs it to its end, or kills it after this time.
pub(super) fn observe(
    args: &[&OsStr],
    within: Duration,
    on_line: impl FnMut(&[u8]) + Send,
) -> io::Result<Observed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let watched = watch(&mut child, within, on_line);
    if watched.is_err() {
        // Nobody listens to it.
        child.kill().and_then(|()| child.wait())?;
    }
    let (code, said) = watched?;
    let said = match (code, said) {
        (None, _) => format!("it took longer than {} s", within.as_secs()),
        (Some(_), said) => said.unwrap_or_default(),
    };
    Ok(Observed { code, said })
}

/// Its exit code, and the last line that it wrote to stderr.
fn watch(
    child: &mut Child,
    within: Duration,
    on_line: impl FnMut(&[u8]) + Send,
) -> io::Result<(Option<i32>, Option<String>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let new = thread::Builder::new;
        new().spawn_scoped(scope, move || stdout.map(|stdout| each_line(stdout, on_line)))?;
        let said = new().spawn_scoped(scope, move || stderr.map(last_line))?;
        let code = wait_or_kill(child, within)?;
        Ok((code, said.join().ok().flatten()))
    })
}

fn wait_or_kill(child: &mut Child, within: Duration) -> io::Result<Option<i32>> {
    let give_up = SystemClock.elapsed() + within;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if SystemClock.elapsed() >= give_up {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(EVERY);
    }
}

/// What cannot be read any more ends it.
fn each_line(from: impl Read, mut on_line: impl FnMut(&[u8])) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while matches!((&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line), Ok(1..)) {
        on_line(&line);
        line.clear();
    }
}

/// The last line that says something.
pub(super) fn last_line(from: impl Read) -> String {
    let mut last = String::new();
    each_line(from, |line| {
        let line = String::from_utf8_lossy(line);
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut last);
        }
    });
    last
}
