//! A relay in a process of its own, which can be killed: the same program, with a folder that is gone afterwards.

use std::{
    fs::DirBuilder,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::common::exit::Failure;

/// A folder for events, until this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// A relay that takes events.
#[derive(Debug)]
pub(super) struct Relay {
    child: Child,
    stdout: BufReader<ChildStdout>,
    began: Began,
}

/// What a relay says first.
#[derive(Debug, Deserialize)]
struct Began {
    url: String,
    found: u64,
}

/// What a relay says last.
#[derive(Debug, Deserialize)]
struct Ended {
    tenants: Vec<Ledger>,
}

/// What has become of a relay's events, with what it found.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Ledger {
    pub(super) accepted: u64,
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) queued: u64,
}

impl Folder {
    pub(super) fn make() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("posthaste-demo-{:016x}", fastrand::u64(..)));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(Failure::Write { path, source }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is left to whoever tidies folders of this kind.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Relay {
    /// Starts one that listens there, and waits until it takes events.
    pub(super) fn start(folder: &Folder, upstream: &str, listen: &str) -> Result<Self, Failure> {
        let mut child = command(&folder.0, upstream, listen)?.spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        let first = stdout.ok_or_else(|| Failure::Refused("the relay has no stdout".to_owned())).and_then(
            |mut stdout| {
                let mut line = String::new();
                stdout.read_line(&mut line)?;
                Ok((read(&line)?, stdout))
            },
        );
        match first {
            Ok((began, stdout)) => Ok(Self { child, stdout, began }),
            Err(failure) => {
                child.kill().and_then(|()| child.wait())?;
                Err(failure)
            }
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.began.url
    }

    /// HOST:PORT.
    pub(super) fn address(&self) -> &str {
        let rest = self.began.url.trim_start_matches("http://");
        rest.split_once('/').map_or(rest, |(address, _)| address)
    }

    /// Events that were there when it started.
    pub(super) fn found(&self) -> u64 {
        self.began.found
    }

    /// As a crash does.
    pub(super) fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// As an operator does: it delivers what it has first.
    pub(super) fn stop(mut self) -> Result<Ledger, Failure> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(std::io::Error::from)?;
        let mut said = String::new();
        self.stdout.read_to_string(&mut said)?;
        self.child.wait()?;
        let Ended { tenants } = read(said.lines().last().unwrap_or_default())?;
        tenants.first().copied().ok_or_else(|| Failure::Refused(format!("the relay's report is {said:?}")))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It has ended already, unless something went wrong.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(data: &Path, upstream: &str, listen: &str) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["relay", "--json", "--quiet", "--admin", "none", "--drain-delay", "0s"]);
    command.args(["--listen", listen, "--upstream", upstream, "--data"]).arg(data);
    // This one is nobody else's, and what it does stays on this machine.
    for (name, _) in std::env::vars_os() {
        let is_of_relays = name.as_encoded_bytes().starts_with(b"POSTHASTE_RELAY_");
        if is_of_relays || ["LISTEN_FDS", "LISTEN_PID"].iter().any(|of_systemd| name == *of_systemd) {
            command.env_remove(name);
        }
    }
    command.env("NO_PROXY", "*").stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Failure> {
    serde_json::from_str(line).map_err(|_| {
        // It has said on stderr what is wrong.
        Failure::Refused(format!("the relay did not start, or did not end well: it said {line:?}"))
    })
}
