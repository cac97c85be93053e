//! Where `send --spool` takes up its input: finds the place in it that the spool has stored, and refuses a spool that
//! holds the rest of something else.

use std::path::Path;

use posthaste::{LogEvent, ProjectConfig, Queue, SpoolQueue};

use super::{Input, SendArgs, source::open};
use crate::{
    exit::Failure,
    output::{counted, grouped},
    spool::{self, Position},
};

/// A spool, and the input from where it is to be read on.
pub(crate) struct Resumed {
    pub(crate) queue: SpoolQueue<LogEvent>,
    pub(crate) input: Input,
    pub(crate) start: Position,
    /// What people want to know of it.
    pub(crate) note: Option<String>,
}

pub(crate) fn resume(
    args: &SendArgs,
    dir: &Path,
    config: Option<&ProjectConfig>,
) -> Result<Resumed, Failure> {
    let cannot = "cannot be taken up where a run ended, which is what --spool is for; give a FILE";
    let path = args.input().ok_or_else(|| Failure::Usage(format!("standard input {cannot}")))?;
    let is_file = std::fs::metadata(path).map(|metadata| metadata.is_file() || metadata.is_dir());
    if !is_file.map_err(|source| Failure::Read { path: path.to_owned(), source })? {
        return Err(Failure::Usage(format!("{} is no plain file and {cannot}", path.display())));
    }
    let (input, _) = open(Some(path))?;
    let queue = spool::open_queue(dir, args.spool_size)?;
    let fresh = Position::start(&real_name(path), config);
    match stored(&queue, dir)? {
        None => Ok(Resumed { queue, input, start: fresh, note: None }),
        Some(stored) => take_up(args, dir, queue, input, stored, fresh),
    }
}

fn take_up(
    args: &SendArgs,
    dir: &Path,
    queue: SpoolQueue<LogEvent>,
    mut input: Input,
    stored: Position,
    fresh: Position,
) -> Result<Resumed, Failure> {
    let path = args.input().unwrap_or(Path::new("-"));
    let wrong = |source| Failure::Read { path: path.to_owned(), source };
    let other_project = !stored.is_of_project_of(&fresh);
    if !other_project && input.skip_to(stored.place()).map_err(wrong)? {
        let note = Some(note(&stored, path, queue.size()));
        let project = fresh.project.or(stored.project);
        let start = Position { input: fresh.input, project, done: false, ..stored };
        return Ok(Resumed { queue, input, start, note });
    }
    if stored.done && queue.size() == 0 {
        let (input, _) = open(Some(path))?;
        return Ok(Resumed { queue, input, start: fresh, note: None });
    }
    Err(Failure::Refused(refusal(dir, &stored, path, other_project, queue.size())))
}

/// What the spool says of an input; `None`: it is empty.
fn stored(queue: &SpoolQueue<LogEvent>, dir: &Path) -> Result<Option<Position>, Failure> {
    match queue.spool().meta() {
        None if queue.size() == 0 => Ok(None),
        None => Err(Failure::Refused(format!(
            "{} holds {} of another program; {}",
            dir.display(),
            counted(queue.size() as u64, "record", "records"),
            advice(dir)
        ))),
        Some(meta) => Position::read(&meta)
            .map(Some)
            .map_err(|foreign| Failure::Refused(format!("{} cannot be used: {foreign}", dir.display()))),
    }
}

fn note(stored: &Position, path: &Path, waiting: usize) -> String {
    let waiting = match waiting {
        0 => String::new(),
        waiting => format!("; {} to be delivered first", counted(waiting as u64, "record is", "records are")),
    };
    let path = path.display();
    if stored.done {
        format!("{path} was read to its end, line {}, before{waiting}", grouped(stored.lines))
    } else {
        format!("taking up {path} behind line {}{waiting}", grouped(stored.lines))
    }
}

fn refusal(dir: &Path, stored: &Position, path: &Path, other_project: bool, waiting: usize) -> String {
    let why = if other_project {
        "the datafile is another project's".to_owned()
    } else {
        format!("{} does not begin with what was read", path.display())
    };
    format!(
        "{} is in use for {}, and holds {}; {why}. Run the same command with that input again, or {}",
        dir.display(),
        stored.in_words(),
        counted(waiting as u64, "record", "records"),
        advice(dir)
    )
}

fn advice(dir: &Path) -> String {
    format!("send what is there first: posthaste spool drain {}", dir.display())
}

/// For people, who may look for it from another folder.
fn real_name(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}
