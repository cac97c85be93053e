//! A pseudo-terminal of its own for each run, and what a person would see on it.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    num::NonZeroU16,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    process::{Child, Command},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use posthaste::{Clock, SystemClock};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::support::{LONG, command};

const ROWS: NonZeroU16 = NonZeroU16::new(40).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();
/// What bars are drawn with.
pub(crate) const BAR: [char; 2] = ['█', '░'];

/// A program at a terminal.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    keyboard: File,
    parser: Arc<Mutex<vt100::Parser>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Terminal {
    /// Standard input, output and error are the terminal.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, |command| command)
    }

    pub(crate) fn start_with(args: &[&str], prepare: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = || {
            let path = std::ffi::OsStr::from_bytes(name.as_bytes());
            OwnedFd::from(OpenOptions::new().read(true).write(true).open(path).unwrap())
        };
        let mut command = command(args);
        command.stdin(slave()).stdout(slave()).stderr(slave());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let child = prepare(&mut command).spawn().unwrap();
        // Its ends of the terminal are the child's alone now: reading ends when the child does.
        drop(command);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (screen, mut output) = (Arc::clone(&parser), File::from(master.try_clone().unwrap()));
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                screen.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self { child, keyboard: File::from(master), parser, reader: Some(reader) }
    }

    /// What its user types.
    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn screen(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    /// The screen, once this is on it.
    #[track_caller]
    pub(crate) fn see(&self, text: &str) -> String {
        let started = SystemClock.elapsed();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(SystemClock.elapsed() < started + LONG, "{text:?} is not on\n{screen}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The exit code, and what is on the screen at last.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        (code, self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
