//! Who is measured: programs that take the same arguments and print the same line of JSON.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::{Error, Result},
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::{Arguments, Deliver};
use crate::{process::Figures, work::Files};

/// The first of all peers; the others are compared with it.
pub(crate) const OURS: &str = "posthaste";

/// A program that does the work.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Its version, as it says itself.
    pub(crate) version: String,
    command: Vec<OsString>,
}

/// What became of one measurement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Figures(Figures),
    /// This peer does not do such work, for this reason.
    Without(String),
}

/// Those that are there.
pub(crate) fn peers(arguments: &Arguments) -> Result<Vec<Peer>> {
    let mut commands: Vec<(&'static str, Vec<OsString>)> =
        vec![(OURS, vec![std::env::current_exe()?.into_os_string()])];
    if let Some(before) = &arguments.before {
        commands.push(("posthaste before", vec![before.into()]));
    }
    if let Some(sdks) = &arguments.sdks {
        let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        // Events queued by the million need more than Node.js takes by itself.
        let node = ["node", "--max-old-space-size=8192"].map(OsString::from).into_iter();
        let modules = OsString::from(sdks.join("javascript/node_modules"));
        commands
            .push(("JavaScript SDK", node.chain([drivers.join("javascript.cjs").into(), modules]).collect()));
        let python = sdks.join("python/bin/python").into();
        commands.push(("Python SDK", vec![python, drivers.join("python.py").into()]));
    }
    if let Some(go) = &arguments.go {
        commands.push(("Go package", vec![go.into()]));
    }
    commands.into_iter().map(|(name, command)| Peer::new(name, command)).collect()
}

impl Peer {
    fn new(name: &'static str, command: Vec<OsString>) -> Result<Self> {
        let mut peer = Self { name, version: String::new(), command };
        peer.version = if peer.is_ours() || name == "posthaste before" {
            String::new()
        } else {
            peer.output(&["version"])?.trim().to_owned()
        };
        Ok(peer)
    }

    /// Whether it is this very program.
    pub(crate) fn is_ours(&self) -> bool {
        self.name == OURS
    }

    pub(crate) fn enqueue(&self, files: &Files, count: usize, threads: usize) -> Result<Answer> {
        self.measure("enqueue", files, &["--count", &count.to_string(), "--threads", &threads.to_string()])
    }

    pub(crate) fn deliver(&self, files: &Files, url: &str, seconds: f64, how: &Deliver) -> Result<Answer> {
        let (seconds, batch) = (seconds.to_string(), how.batch.to_string());
        let (in_flight, url) = (how.in_flight.to_string(), url.to_owned());
        let words = ["--url", &url, "--seconds", &seconds, "--batch", &batch, "--in-flight", &in_flight];
        self.measure("deliver", files, &words)
    }

    fn measure(&self, what: &str, files: &Files, further: &[&str]) -> Result<Answer> {
        let (datafile, events) = (files.datafile.as_os_str(), files.events.as_os_str());
        let mut words = vec![OsStr::new(what), "--datafile".as_ref(), datafile, "--events".as_ref(), events];
        words.extend(further.iter().map(OsStr::new));
        read(&self.output(&words)?)
    }

    fn output<S: AsRef<OsStr>>(&self, words: &[S]) -> Result<String> {
        let (program, first) = self.command.split_first().expect("a command has a program");
        output(Command::new(program).args(first).args(words))
    }
}

/// What the spool and `SQLite` make of this disk: a program of its own, which measures both in turn.
pub(crate) fn spool(program: &Path, folder: &Path, commits: usize) -> Result<Answer> {
    let commits = commits.to_string();
    read(&output(Command::new(program).args(["--lone", "--commits", &commits, "--dir"]).arg(folder))?)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| Error::other(format!("{command:?}: {error}")))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(Error::other(format!("{command:?}: {}: {}", output.status, complaint.trim())))
    }
}

/// The last line: figures, or `{"without": reason}`.
fn read(text: &str) -> Result<Answer> {
    let line = text.lines().last().ok_or_else(|| Error::other("it printed nothing"))?;
    let value: Value = serde_json::from_str(line)?;
    match value.get("without").and_then(Value::as_str) {
        Some(reason) => Ok(Answer::Without(reason.to_owned())),
        None => Ok(Answer::Figures(serde_json::from_value(value)?)),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Without(reason) => write!(f, "left out: {reason}"),
            Self::Figures(figures) => {
                let mut between = "";
                for (name, value) in figures {
                    write!(f, "{between}{name} {value:.2}")?;
                    between = ", ";
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_peer_counts() {
        let figures = Answer::Figures(Figures::from([("ns".into(), 2.5)]));
        assert_eq!(read("warming up\n{\"ns\": 2.5}\n").unwrap(), figures);
        assert_eq!(read("{\"without\": \"one thread\"}").unwrap(), Answer::Without("one thread".into()));
        assert!(read("").is_err() && read("no figures").is_err());
    }
}
