//! Which figures there are, each measured in a process of its own, so that no other's memory is counted with it.

use std::{io::Write, path::Path, process::Command};

use crate::{delivery, enqueue, send};

/// One after the other, as rows of a table.
pub(crate) fn run(events: usize, posthaste: Option<&Path>) -> std::io::Result<()> {
    print("| what | measured |\n|---|---|")?;
    for threads in [1, 4] {
        child(&["enqueue", &events.to_string(), &threads.to_string()])?;
    }
    for (batch, in_flight, delay_ms) in
        [(10, 64, 0), (100, 64, 0), (500, 64, 0), (10, 256, 50), (500, 64, 50), (10, 64, 50)]
    {
        // A slow server gets fewer events: the figure does not depend on their number.
        let events = if delay_ms > 0 && batch < 100 { events / 4 } else { events };
        child(&[
            "delivery",
            &events.to_string(),
            &batch.to_string(),
            &in_flight.to_string(),
            &delay_ms.to_string(),
        ])?;
    }
    let Some(posthaste) = posthaste else { return Ok(()) };
    for (batch, in_flight, delay_ms) in [(10, 64, 0), (500, 64, 0), (10, 256, 50), (500, 64, 50)] {
        let events = if delay_ms > 0 && batch < 100 { events / 4 } else { events };
        let rate = send::measure(posthaste, events, batch, in_flight, delay_ms)?;
        print(&format!(
            "| `posthaste send`, batch {batch}, {in_flight} in flight, answers after {delay_ms} ms | {rate:.0} events/s |"
        ))?;
    }
    Ok(())
}

fn child(what: &[&str]) -> std::io::Result<()> {
    let status = Command::new(std::env::current_exe()?).args(["measure", &what.join(" ")]).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("{what:?}: {status}"))) }
}

/// One figure, as a row.
pub(crate) fn measure(what: &str) -> std::io::Result<()> {
    let words: Vec<&str> = what.split(' ').collect();
    let number = |at: usize| -> usize { words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0) };
    match words.first() {
        Some(&"enqueue") => {
            let (events, threads) = (number(1), number(2));
            let enqueued = enqueue::measure(events, threads);
            print(&format!(
                "| create + enqueue, {threads} thread{} | {:.0} ns an event; {:.0} ns in memory new to the process; {:.0} bytes resident for each of {events} queued |",
                if threads == 1 { "" } else { "s" },
                enqueued.ns,
                enqueued.ns_in_new_memory,
                enqueued.bytes
            ))
        }
        Some(&"delivery") => {
            let (batch, in_flight, delay_ms) = (number(2), number(3), number(4));
            let delivered = delivery::measure(number(1), batch, in_flight, delay_ms as u64)?;
            print(&format!(
                "| delivery, batch {batch}, {in_flight} in flight, answers after {delay_ms} ms | {:.0} events/s; {:.2} s of CPU per million; peak {} MiB |",
                delivered.events_per_second,
                delivered.cpu_seconds_per_million,
                delivered.peak_bytes >> 20
            ))
        }
        _ => Err(std::io::Error::other(format!("{what:?} is nothing to measure"))),
    }
}

fn print(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

/// Standard error may be closed; there is nobody left to tell then.
pub(crate) fn complain(error: &std::io::Error) {
    drop(writeln!(std::io::stderr(), "posthaste-bench: {error}"));
}
