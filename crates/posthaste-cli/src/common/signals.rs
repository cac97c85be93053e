//! Signals: being asked to stop (Ctrl-C and SIGTERM) or to read files anew (SIGHUP), those that are passed on to a command,
//! and a limit on the size of files.
//!
//! A signal writes a byte into a socket whose other end is read here. What that takes is opened before a command
//! begins, so that too few file descriptors are an error, and nothing has happened yet.

use std::{
    io,
    os::unix::net::UnixStream,
    sync::{Arc, atomic::AtomicBool},
};

use rustix::process::Signal;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    low_level::pipe,
};

/// What it takes to catch requests to stop. Until they are caught, the process dies of them as any other.
#[derive(Debug)]
pub(crate) struct Uncaught {
    reader: tokio::net::UnixStream,
    interrupt: UnixStream,
    terminate: UnixStream,
}

/// Requests to stop.
#[derive(Debug)]
pub(crate) struct Signals(tokio::net::UnixStream);

/// Requests to read files anew.
#[derive(Debug)]
pub(crate) struct Hangups(Signals);

/// Signals that a command is to get which this process runs.
#[derive(Debug)]
pub(crate) struct Passed {
    interrupt: Signals,
    terminate: Signals,
    hangup: Signals,
}

impl Uncaught {
    /// Must be called within a runtime.
    pub(crate) fn open() -> io::Result<Self> {
        let (reader, interrupt) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let terminate = interrupt.try_clone()?;
        Ok(Self { reader: tokio::net::UnixStream::from_std(reader)?, interrupt, terminate })
    }

    /// From now on the process no longer dies of them.
    pub(crate) fn catch(self) -> io::Result<Signals> {
        pipe::register(SIGINT, self.interrupt)?;
        pipe::register(SIGTERM, self.terminate)?;
        Ok(Signals(self.reader))
    }
}

impl Signals {
    /// Resolves at the next request to stop. Several that come at once are one.
    pub(crate) async fn next(&mut self) {
        let mut bytes = [0; 64];
        loop {
            // The writers live as long as the process; without readiness there is no signal.
            if self.0.readable().await.is_err() {
                return std::future::pending().await;
            }
            if matches!(self.0.try_read(&mut bytes), Ok(1..)) {
                return;
            }
        }
    }
}

impl Passed {
    /// From now on the process no longer dies of them. Must be called within a runtime.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self { interrupt: one(SIGINT)?, terminate: one(SIGTERM)?, hangup: one(SIGHUP)? })
    }

    /// Resolves at the next, and says which.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            () = self.interrupt.next() => Signal::INT,
            () = self.terminate.next() => Signal::TERM,
            () = self.hangup.next() => Signal::HUP,
        }
    }
}

/// From now on the process no longer dies of this one.
fn one(signal: i32) -> io::Result<Signals> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    pipe::register(signal, writer)?;
    Ok(Signals(tokio::net::UnixStream::from_std(reader)?))
}

impl Hangups {
    /// From now on the process no longer dies of them. Must be called within a runtime.
    pub(crate) fn catch() -> io::Result<Self> {
        one(SIGHUP).map(Self)
    }

    /// Resolves at the next. Several that come at once are one.
    pub(crate) async fn next(&mut self) {
        self.0.next().await;
    }
}

/// A write past the limit on the size of files is to fail like one on a full disk. Without this, it ends the process.
pub(crate) fn outlive_file_size_limit() {
    // It fails only where the signal does not exist.
    drop(flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))));
}
