//! This test binary, run again as another process.
//!
//! A child is this binary asked to run [`entry`] alone; what it shall do stands in its environment. Run as a plain
//! test, without that, `entry` has nothing to do.

use std::{
    path::Path,
    process::{Command, Stdio},
};

const ROLE: &str = "POSTHASTE_SPOOL_CHILD";
const DIR: &str = "POSTHASTE_SPOOL_CHILD_DIR";

/// A process that plays `role` on the spool in `dir`.
pub(crate) fn command(binary: &Path, role: &str, dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["child::entry", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(DIR, dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

pub(crate) fn this_binary() -> std::path::PathBuf {
    std::env::current_exe().expect("a test is a program")
}

#[test]
fn entry() {
    let (Ok(role), Ok(dir)) = (std::env::var(ROLE), std::env::var(DIR)) else { return };
    let dir = Path::new(&dir);
    match role.as_str() {
        "write" => crate::kill::write(dir),
        "open" => crate::real_disk::open_and_tell(dir),
        _ => panic!("no such role: {role}"),
    }
}
