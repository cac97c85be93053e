//! The result, for people.

use std::fmt;

use posthaste::queue::jetstream::{Ledger, Process, Standing, Verdict};
use serde::Serialize;

use crate::common::output::{counted, grouped, plain};

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Shown(pub(super) Ledger);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { events, messages, .. } = &self.0;
        let mut row = |name: &str, number: String, what: &str| writeln!(f, "{name:<10}{number:>14}  {what}");
        row("accepted", grouped(events.accepted), "events taken from clients")?;
        row("waiting", grouped(events.waiting), "of those, not in the stream yet")?;
        row("published", grouped(events.published), "events put into the stream")?;
        row("replayed", grouped(events.replayed), "events put back, having been dead letters")?;
        let in_stream = events.in_stream.map_or_else(|| "many".to_owned(), grouped);
        row("in stream", in_stream, "events that wait there")?;
        row("leased", grouped(events.leased), "of those, leased by a sender")?;
        row("delivered", grouped(events.delivered), "events that their upstream has")?;
        row("buried", grouped(events.buried), "events that became dead letters")?;
        writeln!(
            f,
            "messages   {} taken, of which processes put there {}",
            grouped(messages.taken),
            messages.published
        )?;
        writeln!(
            f,
            "           {} gone, of which processes delivered or buried {}; {} in it, {}",
            grouped(messages.gone),
            messages.settled,
            grouped(messages.in_stream),
            counted(messages.dead_letters, "dead letter", "dead letters")
        )?;
        writeln!(
            f,
            "repeats    {} published again, {} leased again",
            grouped(messages.repeated),
            grouped(messages.redelivered)
        )?;
        self.0.processes.iter().try_for_each(|process| write_process(f, process))?;
        self.0.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        self.write_verdict(f)
    }
}

impl Shown {
    fn write_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let silent = self.0.processes.iter().filter(|process| process.standing == Standing::Silent).count();
        match self.0.verdict {
            Verdict::Balanced => f.write_str("Everything is accounted for."),
            Verdict::Unbalanced => f.write_str("It does not add up."),
            _ if silent == 0 => f.write_str(
                "Unknown: nothing contradicts what processes say, and something could be missing.",
            ),
            _ => write!(
                f,
                "Unknown: {} without a last word. In nobody's count: {} messages that were put into the stream, and {} that \
                 have gone from it.",
                counted(silent as u64, "process ended or is cut off", "processes ended or are cut off"),
                self.0.unknown_published,
                self.0.unknown_gone
            ),
        }
    }
}

fn write_process(f: &mut fmt::Formatter<'_>, process: &Process) -> fmt::Result {
    let Process { standing, note, .. } = process;
    let standing = match standing {
        Standing::Living => "living",
        Standing::Ended => "ended",
        _ => "SILENT",
    };
    writeln!(
        f,
        "process    {} {} {} on {}: accepted {}, published {}, leased {}, delivered {}, buried {}; {standing}",
        plain(&note.name),
        plain(&note.role),
        note.pid,
        plain(&note.host),
        grouped(note.counts.accepted),
        grouped(note.traffic.published),
        grouped(note.traffic.leased),
        grouped(note.counts.delivered),
        grouped(note.counts.buried)
    )
}
