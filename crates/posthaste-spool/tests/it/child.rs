//! This test binary, run again as another process.
//!
//! A child is this binary asked to run [`entry`] alone; where it shall write stands in its environment. Run as a plain
//! test, without that, `entry` has nothing to do.

use std::{
    path::Path,
    process::{Command, Stdio},
};

const DIR: &str = "POSTHASTE_SPOOL_CHILD_DIR";

/// A process that writes to the spool in `dir`.
pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test is a program"));
    command.args(["child::entry", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

#[test]
fn entry() {
    if let Ok(dir) = std::env::var(DIR) {
        crate::kill::write(Path::new(&dir));
    }
}
