//! Counts the instructions and the allocations that an event takes at each step, by valgrind's callgrind, and compares them
//! with those in `counts.txt`: they are the same on a busy machine as on a quiet one, so that a test can hold to them.
//!
//! Counted is what this program's own code executes. What the C library does (copying, allocating, system calls) is not
//! among the instructions, since it depends on the processor and on the library's version; allocations are counted as
//! calls. One thread does everything, and nothing that is counted depends on time or chance.

mod callgrind;
mod compare;
mod work;

use std::{error::Error, io::Write, process::ExitCode};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => compare::check(),
        ["update"] => compare::update().map(|()| true),
        // What the others start under callgrind.
        ["work", step, rounds] => work::run(step, rounds).map(|()| true),
        _ => Err("give check, update, or work, a step and 1 or 2".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be closed; there is nobody left to tell then.
            drop(writeln!(std::io::stderr(), "counts: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What may fail here, for people to read.
type Outcome<T> = Result<T, Box<dyn Error>>;
