//! Today's counts against those of the file, which is part of the repository.

use std::{fmt::Write as _, fs, io::Write as _, path::PathBuf};

use crate::{
    Outcome,
    callgrind::{Count, count},
    work::STEPS,
};

/// A count may differ from the file's by this share, either way.
const SHARE: f64 = 0.05;
/// And an allocation by this much: a table that grows once more is none of an event's.
const ALLOCATIONS: f64 = 0.01;

const HEAD: &str = "\
# What an event takes at each step: instructions, without the C library's, and allocations. BENCHMARKS.md says
# what each step is. Counted on x86-64 by `scripts/counts`, which fails where one is off by more than 5 %; when that is meant,
# `scripts/counts --update` writes this file anew.
";

/// Says of each step whether it takes what it took, and in the end how many do. Whether all do.
pub(crate) fn check() -> Outcome<bool> {
    let path = path();
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut passed, mut failed) = (0, 0);
    for step in STEPS {
        let (was, is) = (recorded(&text, step)?, count(step)?);
        let complaint = complaint(was, is);
        say(&format!("{}: {}", line(step, is), complaint.as_deref().unwrap_or("as it was")))?;
        *(if complaint.is_some() { &mut failed } else { &mut passed }) += 1;
    }
    say(&format!("counts: {passed} passed, {failed} failed"))?;
    if failed > 0 {
        say(
            "where that is meant, `scripts/counts --update` records it, to be committed with what caused it",
        )?;
    }
    Ok(failed == 0)
}

pub(crate) fn update() -> Outcome<()> {
    let mut text = HEAD.to_owned();
    for step in STEPS {
        let line = line(step, count(step)?);
        say(&line)?;
        writeln!(text, "{line}")?;
    }
    Ok(fs::write(path(), text)?)
}

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt"))
}

fn line(step: &str, count: Count) -> String {
    format!("{step:<8} {:>9.1} instructions {:>7.3} allocations", count.instructions, count.allocations)
}

fn recorded(text: &str, step: &str) -> Outcome<Count> {
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = words.filter_map(|words| match words[..] {
        [name, instructions, _, allocations, _] if name == step => Some((instructions, allocations)),
        _ => None,
    });
    let (instructions, allocations) =
        found.next().ok_or_else(|| format!("counts.txt has no line for {step}: scripts/counts --update"))?;
    Ok(Count { instructions: instructions.parse()?, allocations: allocations.parse()? })
}

/// What is wrong with a step that took this much and takes that much now.
fn complaint(was: Count, is: Count) -> Option<String> {
    let off = |was: f64, is: f64, slack: f64| (is - was).abs() > was * SHARE + slack;
    let word = |was: f64, is: f64| if is > was { "worse" } else { "better" };
    if off(was.instructions, is.instructions, 0.0) {
        let (was, is) = (was.instructions, is.instructions);
        Some(format!(
            "{} by {:+.1} % instructions: {was:.1} were recorded",
            word(was, is),
            (is / was - 1.0) * 1e2
        ))
    } else if off(was.allocations, is.allocations, ALLOCATIONS) {
        let (was, is) = (was.allocations, is.allocations);
        Some(format!("{} by {:+.3} allocations: {was:.3} were recorded", word(was, is), is - was))
    } else {
        None
    }
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAS: Count = Count { instructions: 1_000.0, allocations: 2.0 };

    #[test]
    fn five_percent_either_way_pass() {
        for instructions in [951.0, 1_000.0, 1_049.0] {
            assert_eq!(complaint(WAS, Count { instructions, ..WAS }), None);
        }
    }

    #[test]
    fn more_is_told_and_whether_it_is_better_or_worse() {
        let told = |is| complaint(WAS, is).unwrap_or_default();
        assert!(told(Count { instructions: 1_051.0, ..WAS }).starts_with("worse by +5.1 % instructions"));
        assert!(told(Count { instructions: 949.0, ..WAS }).starts_with("better by -5.1 % instructions"));
        assert!(told(Count { allocations: 3.0, ..WAS }).starts_with("worse by +1.000 allocations"));
        assert!(told(Count { allocations: 1.0, ..WAS }).starts_with("better by -1.000 allocations"));
    }

    #[test]
    fn what_is_written_is_read() {
        let text =
            format!("{HEAD}{}\n{}\n", line("create", WAS), line("settle", Count { allocations: 0.5, ..WAS }));
        assert_eq!(recorded(&text, "create").ok(), Some(WAS));
        assert_eq!(recorded(&text, "settle").map(|count| count.allocations).ok(), Some(0.5));
        assert!(recorded(&text, "append").is_err());
    }
}
