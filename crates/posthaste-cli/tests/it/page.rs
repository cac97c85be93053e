//! The collector's page in a real browser: `interop/page` drives Chromium, and starts the collectors that it looks at.

use std::process::Command;

use crate::support::{installed, repository};

/// The closing line of Node's test runner that begins so.
fn counted(said: &str, what: &str) -> u64 {
    let line = said.lines().rev().find_map(|line| line.strip_prefix("# ")?.strip_prefix(what));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or_else(|| panic!("no count of {what}:\n{said}"))
}

#[test]
fn the_page_does_in_a_browser_what_it_says() {
    let browser = installed("browser");
    let mut node = Command::new("node");
    // No run hangs for ever; the slowest takes a few minutes.
    node.args(["--test", "--test-reporter=tap", "--test-concurrency=2", "--test-timeout=600000"]);
    node.args(
        ["live", "views", "access"].map(|name| repository().join(format!("interop/page/{name}.test.cjs"))),
    );
    node.env("NODE_PATH", browser.join("node_modules"));
    node.env("POSTHASTE_BIN", env!("CARGO_BIN_EXE_posthaste"));
    let output = node.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(counted(&said, "pass") > 0, "{said}");
    assert_eq!(
        (counted(&said, "fail"), counted(&said, "skipped"), counted(&said, "todo")),
        (0, 0, 0),
        "{said}"
    );
}
