//! The official SDKs, as programs of their own languages: JSON lines in and out.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::json;

use crate::{answers::Answer, calls::Call, mutants::Mutant};

/// What both SDKs say, in the order of the questions.
pub(crate) fn ask_both(asked: &[(Mutant, Vec<Call>)]) -> (Vec<Answer>, Vec<Answer>) {
    thread::scope(|scope| {
        let python = scope.spawn(|| ask(python(), asked));
        let javascript = scope.spawn(|| ask(javascript(), asked));
        (python.join().unwrap(), javascript.join().unwrap())
    })
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sdks() -> PathBuf {
    let sdks = repository().join("target/sdks");
    assert!(
        sdks.join("installed").exists(),
        "the official SDKs are not installed in target/sdks: run scripts/sdks, or scripts/test, which does"
    );
    sdks
}

fn python() -> Command {
    let mut python = Command::new(sdks().join("python/bin/python"));
    python.arg(repository().join("interop/python/datafiles.py"));
    python
}

fn javascript() -> Command {
    let mut node = Command::new("node");
    node.arg(repository().join("interop/javascript/datafiles.cjs"));
    node.env("NODE_PATH", sdks().join("javascript/node_modules"));
    node
}

fn ask(mut program: Command, asked: &[(Mutant, Vec<Call>)]) -> Vec<Answer> {
    let started = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.unwrap_or_else(|error| panic!("{program:?}: {error}: run scripts/sdks"));
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let answers: Vec<Answer> = thread::scope(|scope| {
        scope.spawn(move || {
            for (mutant, calls) in asked {
                let line = json!({"datafile": mutant.text, "calls": calls});
                // A program that has ended takes no more; what it left unanswered is seen below.
                if writeln!(input, "{line}").is_err() {
                    return;
                }
            }
        });
        BufReader::new(output).lines().map(|line| Answer::theirs(&line.unwrap())).collect()
    });
    let status = child.wait().unwrap();
    assert!(status.success(), "{program:?}: {status}: run scripts/sdks");
    assert_eq!(answers.len(), asked.len(), "{program:?} answered another number of questions");
    answers
}
