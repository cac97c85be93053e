//! A relay or a collector that has begun, as a process of its own: what it said first, and its end with the test that started it.

use std::{
    io::BufReader,
    process::{Child, ChildStdout, Command},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{command, read_json, signal};

pub(crate) struct Begun {
    pub(crate) child: Child,
    /// What is left of it: the report.
    pub(crate) stdout: BufReader<ChildStdout>,
    /// What it said first.
    pub(crate) said: Value,
}

impl Begun {
    /// The command for a relay on a free port, which ends as soon as it is told to. `admin`: where its admin interface is.
    pub(crate) fn command(admin: &str, args: &[&str]) -> Command {
        let ports = ["relay", "--json", "--listen", "0", "--admin", admin, "--drain-delay", "0s"];
        command(&[&ports[..], args].concat())
    }

    /// What has --json among its arguments.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let said = read_json(&mut stdout);
        Self { child, stdout, said }
    }

    /// Where events are posted to.
    pub(crate) fn url(&self) -> &str {
        self.said["url"].as_str().unwrap()
    }

    pub(crate) fn terminate(&self) {
        signal(&self.child, Signal::TERM);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
