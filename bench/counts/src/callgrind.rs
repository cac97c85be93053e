//! Runs this program under callgrind, and reads what it counted.

use std::{path::Path, process::Command};

use crate::{Outcome, work::EVENTS};

/// What an event takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Count {
    /// Instructions of this program, without the C library's.
    pub(crate) instructions: f64,
    /// Calls of the C library that allocate.
    pub(crate) allocations: f64,
}

/// Counts one step: what a run of two rounds takes beyond a run of one.
pub(crate) fn count(step: &str) -> Outcome<Count> {
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| run(step, 1).map_err(|error| error.to_string()));
        (one.join().expect("it returns its errors"), run(step, 2))
    });
    let (one, two) = (one?, two?);
    let an_event = |one: u64, two: u64| -> Outcome<f64> {
        let further = two.checked_sub(one).ok_or("two rounds took less than one")?;
        Ok(f64::from(u32::try_from(further)?) / f64::from(EVENTS))
    };
    Ok(Count {
        instructions: an_event(one.instructions, two.instructions)?,
        allocations: an_event(one.allocations, two.allocations)?,
    })
}

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    instructions: u64,
    allocations: u64,
}

fn run(step: &str, rounds: u32) -> Outcome<Sums> {
    let program = std::env::current_exe()?;
    // What the run leaves is in there, too.
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&program)
        .args(["work", step, &rounds.to_string()])
        .env("TMPDIR", folder.path())
        .output()
        .map_err(|error| format!("failed to start valgrind: {error}; scripts/counts installs it"))?;
    if !output.status.success() {
        return Err(format!("{step}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    let sums = read(&std::fs::read_to_string(&out)?, &program)?;
    if sums.instructions == 0 { Err(format!("{step}: callgrind saw nothing of it").into()) } else { Ok(sums) }
}

/// Sums what is `program`'s own. The format: `ob=` names the object that what follows is part of; a line of numbers is a
/// place and its cost, but after `calls=` the cost of what was called, which counts where it was spent.
fn read(text: &str, program: &Path) -> Outcome<Sums> {
    let mut sums = Sums::default();
    let (mut is_own, mut callee, mut is_call) = (false, "", false);
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = Path::new(object) == program;
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = name;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            is_call = true;
            if is_own && allocates(callee) {
                sums.allocations += calls.split(' ').next().unwrap_or_default().parse::<u64>()?;
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            if is_own && !is_call {
                sums.instructions += line.split(' ').nth(1).unwrap_or_default().parse::<u64>()?;
            }
            is_call = false;
        }
    }
    Ok(sums)
}

fn allocates(function: &str) -> bool {
    matches!(function, "malloc" | "calloc" | "realloc" | "posix_memalign" | "aligned_alloc" | "memalign")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Callgrind's format, as its manual describes it.
    #[test]
    fn only_what_the_program_itself_executes_counts() {
        let text = "events: Ir\nob=/bin/own\nfl=???\nfn=make\n7 100\ncob=/lib/c\ncfn=malloc\ncalls=3 0\n7 900\n7 20\n\
                    cfn=make_more\ncalls=2 0\n7 50\n\nob=/lib/c\nfn=malloc\n0 900\ncfn=malloc\ncalls=9 0\n0 1\n\n\
                    ob=/bin/own\nfn=make_more\n9 50\n\ntotals: 1070\n";
        let sums = read(text, Path::new("/bin/own")).unwrap();
        assert_eq!(sums, Sums { instructions: 170, allocations: 3 });
    }
}
