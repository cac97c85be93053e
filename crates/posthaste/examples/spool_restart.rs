//! A queue on disk, a process that is killed, and the next one that delivers what the first has left.
//!
//! The example starts itself again as a child. The child reports events and says which ones are safe; the parent kills
//! it in the middle, opens the same spool, and compares what has arrived with what was said to be safe.
//!
//! ```sh
//! cargo run -p posthaste --example spool_restart
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

mod support;

use std::{
    collections::HashSet,
    error::Error,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use posthaste::{
    BatchEventProcessor, SpoolQueue, UserContext, UserEvent,
    queue::{Durability, SpoolOptions},
};

/// Events that the child has said to be safe when it is killed, at least.
const SAFE_BEFORE_THE_KILL: usize = 50;

fn main() -> support::Ended {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [dir, end_point] => report_until_killed(Path::new(dir), end_point),
        _ => kill_and_take_up(),
    }
}

/// What both processes open: at most 64 MiB of disk; a receipt means that a power cut would not take the event.
fn open(dir: &Path) -> Result<SpoolQueue<UserEvent>, Box<dyn Error>> {
    let options = SpoolOptions::default().size_bytes_max(64 << 20).durability(Durability::Disk);
    Ok(SpoolQueue::open(dir, options)?)
}

fn processor(queue: SpoolQueue<UserEvent>, end_point: &str) -> Result<BatchEventProcessor, Box<dyn Error>> {
    Ok(BatchEventProcessor::builder().queue(queue).event_end_point(end_point).build()?)
}

/// The child: reports events without end. It writes an event's uuid once its receipt has resolved.
fn report_until_killed(dir: &Path, end_point: &str) -> support::Ended {
    let config = support::larkspur()?;
    let processor = processor(open(dir)?, end_point)?;
    for n in 0.. {
        let user = UserContext::new(format!("visitor-{n}"));
        let event = config.impression("checkout_button", "control", &user)?;
        let uuid = event.uuid().to_string();
        processor.process_event(event)?.wait()?;
        println!("{uuid}");
    }
    Ok(())
}

/// The parent.
fn kill_and_take_up() -> support::Ended {
    let api = support::LocalApi::start()?;
    let dir = tempfile::tempdir()?;
    let safe = events_of_a_killed_child(dir.path(), &api.end_point())?;

    // The next process: it opens the same folder, and delivers what is there.
    let queue = open(dir.path())?;
    println!("{} events were safe before the kill; {} wait on disk", safe.len(), queue.spool().len());
    let report = processor(queue, &api.end_point())?.close(Duration::from_secs(30)).wait();
    println!("{report}");
    if !report.is_complete() {
        return Err(
            format!("{} events stay in {}: {:?}", report.left, dir.path().display(), report.reasons).into()
        );
    }

    let arrived: HashSet<String> = api.stop()?.into_iter().map(|event| event.uuid).collect();
    let lost: Vec<&String> = safe.iter().filter(|uuid| !arrived.contains(*uuid)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(safe.len() >= SAFE_BEFORE_THE_KILL, "only {} events were reported", safe.len());
    Ok(())
}

/// The uuids that the child has said to be safe.
fn events_of_a_killed_child(dir: &Path, end_point: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut child =
        Command::new(std::env::current_exe()?).arg(dir).arg(end_point).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("the child has no output")?).lines();
    let mut safe = lines.by_ref().take(SAFE_BEFORE_THE_KILL).collect::<Result<Vec<_>, _>>()?;
    // SIGKILL: no handler runs, nothing is flushed.
    child.kill()?;
    child.wait()?;
    // What it wrote before it was dead counts too.
    safe.extend(lines.collect::<Result<Vec<_>, _>>()?);
    Ok(safe)
}
