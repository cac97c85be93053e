//! The whole story of a test: the official SDKs report to a collector, and the clients of clients/ say whether what they
//! reported is right. Tests that are to fail are run too: they fail with the field named.
//!
//! What a user writes is in interop/expect/.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Collector, datafile, installed, repository};

/// What was run, in words, and whether it went well.
struct Ran {
    success: bool,
    said: String,
}

fn sdks() -> PathBuf {
    installed("sdks")
}

fn run(mut program: Command, tests: &Path, collector: Option<&Collector>) -> Ran {
    program.current_dir(tests.join("interop/expect"));
    program.env("POSTHASTE_BIN", env!("CARGO_BIN_EXE_posthaste")).env("POSTHASTE_DATAFILE", datafile());
    program.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_COLOR", "1").env_remove("FORCE_COLOR");
    program.env_remove("POSTHASTE_COLLECTOR_URL");
    if let Some(collector) = collector {
        program.env("POSTHASTE_COLLECTOR_URL", collector.at(""));
    }
    let output = program.output().unwrap_or_else(|error| panic!("{program:?}: {error}: run scripts/sdks"));
    let said = [output.stdout, output.stderr].concat();
    Ran { success: output.status.success(), said: String::from_utf8_lossy(&said).into_owned() }
}

fn pytest(which: &str, collector: Option<&Collector>) -> Ran {
    let mut program = Command::new(sdks().join("python/bin/python"));
    program.args(["-m", "pytest", "-q", "-m", which]);
    run(program, repository(), collector)
}

/// Node looks for packages in the folders above the file that asks, so the tests are copied to where these are.
fn javascript() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(sdks().join("javascript")).unwrap();
    for name in ["interop", "clients"] {
        copy(&repository().join(name), &folder.path().join(name));
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn node(script: &str, args: &[&str], collector: Option<&Collector>) -> Ran {
    let folder = javascript();
    let mut program = Command::new("node");
    program.arg(sdks().join("javascript/node_modules").join(script)).args(args);
    run(program, folder.path(), collector)
}

/// Good ones pass, and the wrong one fails with the field that is wrong.
fn tell_the_story(name: &str, right: &Ran, wrong: &Ran) {
    assert!(right.success, "{name}: {}", right.said);
    assert!(!wrong.success, "{name}: {}", wrong.said);
    assert!(wrong.said.contains("revenue: expected 1200, came 12"), "{name}: {}", wrong.said);
}

#[test]
fn a_pytest_test_fails_where_the_event_is_wrong_and_names_the_field() {
    tell_the_story("its own", &pytest("not wrong", None), &pytest("wrong", None));
    let collector = Collector::start(&["--datafile", datafile()]);
    let (right, wrong) = (pytest("not wrong", Some(&collector)), pytest("wrong", Some(&collector)));
    tell_the_story("one that runs", &right, &wrong);
}

#[test]
fn a_vitest_test_fails_where_the_event_is_wrong_and_names_the_field() {
    let vitest = |which, collector| node("vitest/vitest.mjs", &["run", "shop.test", "-t", which], collector);
    let (right, wrong) = ("^(?!wrong: )", "^wrong: ");
    tell_the_story("its own", &vitest(right, None), &vitest(wrong, None));
    let collector = Collector::start(&["--datafile", datafile()]);
    tell_the_story("one that runs", &vitest(right, Some(&collector)), &vitest(wrong, Some(&collector)));
}

#[test]
fn a_playwright_test_fails_where_the_event_is_wrong_and_names_the_field() {
    let playwright = |filter| {
        let args = ["test", "--reporter", "line", "shop.spec.mjs", filter, "wrong: "];
        node("@playwright/test/cli.js", &args, None)
    };
    tell_the_story("playwright", &playwright("--grep-invert"), &playwright("--grep"));
}
