//! A command that runs beside a collector: it is started, it is passed the signals that come, and its end is waited
//! for.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::common::{exit::Failure, signals::Passed};

/// What shells give for a command that is not there, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;
/// What they add to the number of a signal that has ended a command.
const KILLED: i32 = 128;

/// A command on its way.
#[derive(Debug)]
pub(super) struct Running {
    id: Pid,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Running {
    /// Starts it with these in its environment.
    pub(super) fn start(command: &[OsString], environment: &[(&str, String)]) -> Result<Self, Failure> {
        let (program, args) =
            command.split_first().ok_or_else(|| Failure::Usage("give a command after --".to_owned()))?;
        let envs = environment.iter().map(|(name, value)| (*name, value));
        let child = Command::new(program).args(args).envs(envs).spawn().map_err(|source| {
            let code = if source.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
            Failure::Command { program: program.clone(), source, code }
        })?;
        Ok(Self { id: Pid::from_child(&child), ended: wait_for(child)? })
    }

    /// Its exit code; what signals come meanwhile, it gets.
    pub(super) async fn ends(&mut self, signals: &mut Passed) -> Result<u8, Failure> {
        loop {
            tokio::select! {
                ended = &mut self.ended => {
                    let ended = ended.map_err(|_| io::Error::other("nobody waits for the command any more"))?;
                    return Ok(code(ended?));
                }
                signal = signals.next() => self.pass_on(signal),
            }
        }
    }

    /// Asks it to end, because of this.
    pub(super) fn stopped(&self, failure: Failure) -> Failure {
        self.pass_on(Signal::TERM);
        failure
    }

    fn pass_on(&self, signal: Signal) {
        // What is typed at a terminal goes to every process there, and once is enough.
        if signal == Signal::INT && io::stdin().is_terminal() {
            return;
        }
        // It may have ended just now.
        let _ = kill_process(self.id, signal);
    }
}

fn wait_for(mut child: Child) -> io::Result<oneshot::Receiver<io::Result<ExitStatus>>> {
    let (tell, ended) = oneshot::channel();
    std::thread::Builder::new().name("command".to_owned()).spawn(move || {
        // Whoever asked may be gone.
        drop(tell.send(child.wait()));
    })?;
    Ok(ended)
}

/// As shells say it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| KILLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(NOT_RUN)
}
