//! The page for coding agents: its commands are run as they stand there.

use std::{fs, path::Path, process::Command};

use crate::support::{Files, Ran, datafile, free_address, repository};

/// Everything between ```sh and ```.
fn commands(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect()
}

#[test]
fn the_commands_for_coding_agents_do_what_they_say() {
    let page = repository().join("docs/COLLECTOR-AGENTS.md");
    let commands = commands(&fs::read_to_string(page).unwrap());
    assert!(commands.matches("posthaste ").count() >= 10, "{commands}");
    let files = Files::new();
    files.write("datafile.json", fs::read(datafile()).unwrap());
    // Nobody takes it between here and there, or the test fails and says so.
    let port = free_address().port();
    let programs = Path::new(env!("CARGO_BIN_EXE_posthaste")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("timeout");
    shell.args(["120", "sh", "-e", "-c", &commands]).current_dir(files.path(""));
    shell.env("PATH", path).env("PORT", port.to_string()).env("NO_COLOR", "1");
    let ran = Ran::from(shell.output().unwrap());
    ran.ended(0);
    assert!(ran.stdout.contains("revenue: expected 9900, came 1200"), "{ran:?}");
    assert!(ran.stdout.lines().last().unwrap().starts_with("0 events in 0 requests"), "{ran:?}");
}
