//! Every example runs to an end by itself, finds its own result right, and its collector has received what it should.
//!
//! A test binary of its own: `cargo test -p posthaste` builds the examples before it. `unit_test` is not run here:
//! cargo builds and runs it as the tests that it shows, its `main` among them.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Each example, and how many good and bad events its collector counts. Where the number differs from run to run, it is
/// the least.
const EXAMPLES: [(&str, Good, u64); 6] = [
    ("axum_service", Good::Exactly(60), 0),
    ("custom_dispatcher", Good::Exactly(50), 0),
    ("custom_queue", Good::Exactly(160), 0),
    ("prometheus", Good::Exactly(25), 0),
    ("spool_restart", Good::AtLeast(50), 0),
    // The bad event comes with its neighbours at first, and then alone.
    ("tracing_setup", Good::Exactly(9), 2),
];

#[derive(Debug, Clone, Copy)]
enum Good {
    Exactly(u64),
    AtLeast(u64),
}

impl Good {
    fn is(self, good: u64) -> bool {
        match self {
            Self::Exactly(expected) => good == expected,
            Self::AtLeast(least) => good >= least,
        }
    }
}

#[test]
fn every_example_delivers_what_it_says() {
    for (name, expected, bad_expected) in EXAMPLES {
        let said = run(name);
        let (good, bad) =
            received(&said).unwrap_or_else(|| panic!("{name} does not say what arrived:\n{said}"));
        assert!(
            expected.is(good) && bad == bad_expected,
            "{name}: {good} good, {bad} bad; {expected:?}\n{said}"
        );
    }
}

#[test]
fn no_example_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let found: BTreeSet<String> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let known = EXAMPLES.iter().map(|(name, ..)| *name).chain(["unit_test"]);
    assert_eq!(found, known.map(str::to_owned).collect());
}

/// What it prints; it must succeed.
fn run(name: &str) -> String {
    let run = Command::new(binary(name)).env_remove("RUST_LOG").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let complained = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{name}: {}\n{said}\n{complained}", run.status);
    said
}

/// Beside this binary: `target/debug/deps/examples-…` and `target/debug/examples/…`.
fn binary(name: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let binary = tests.ancestors().nth(2).unwrap().join("examples").join(file);
    assert!(binary.exists(), "{} is not there: cargo build -p posthaste --examples", binary.display());
    binary
}

/// Good and bad events, of the line `collector: 60 good, 0 bad, 0 repeats`.
fn received(said: &str) -> Option<(u64, u64)> {
    let counts = said.lines().find_map(|line| line.strip_prefix("collector: "))?;
    let (good, rest) = counts.split_once(" good, ")?;
    let (bad, _) = rest.split_once(" bad, ")?;
    Some((good.parse().ok()?, bad.parse().ok()?))
}
