//! The arguments of `posthaste send`.

use std::path::{Path, PathBuf};

use posthaste::DEFAULT_EVENT_QUEUE_SIZE;

use crate::{
    common::{spool_options, values},
    input::{Wanted, Way},
    lines,
    pipeline::DeliveryArgs,
};

const ABOUT: &str = r#"Send events and batches, and account for every one.

The input has one JSON object on each line. An event is named by the keys of the datafile:

  {"type": "impression", "user_id": "ann", "experiment": "checkout", "variation": "green"}
  {"type": "conversion", "user_id": "ann", "event": "purchase", "tags": {"revenue": 4200}}

with, if wanted, "attributes": {…}, "timestamp": milliseconds or an RFC 3339 time (default: now), and "uuid" (default: a new one). Give both, and a line that is sent twice counts once. A line with "visitors" is a whole Event API batch, sent as it is, byte for byte; it needs no datafile. A line of a --dead-letters file is sent again.

A bad line is reported and, with --rejects, kept; it does not stop the others. The exit code is 0 only if everything was delivered, and nothing that a --spool had stored is lost."#;

/// Send events and batches, and account for every one
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT, after_help = "Examples:
  posthaste send --datafile datafile.json events.jsonl
  posthaste send --datafile datafile.json --batch-size 500 < events.jsonl
  posthaste send --datafile datafile.json --rejects bad.jsonl --dead-letters dead.jsonl events.jsonl
  posthaste send --endpoint http://127.0.0.1:8080/v1/events batches.jsonl
  posthaste send --datafile datafile.json --max-time 5m --leftover left.jsonl events.jsonl
  posthaste send --spool DIR --datafile datafile.json events.jsonl  again after a kill: it takes up where it ended
  posthaste send --spool DIR --follow --datafile datafile.json log.jsonl  like `tail -F`
  posthaste send --datafile datafile.json left.jsonl                send what was left")]
pub(crate) struct SendArgs {
    /// Lines of events and batches; `-` or nothing is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The project's datafile; needed as soon as a line is an event
    #[arg(long, value_name = "FILE")]
    pub(crate) datafile: Option<PathBuf>,

    /// Keep events on disk, in this folder, until they are delivered; the same command again takes up where one ended
    ///
    /// How far the input has been read is stored together with its events. So a run that was killed, in whatever way, is
    /// taken up by the same command again: no event is lost, and none is made twice. The input has to be a file; it is
    /// told by its content (its first 4 KiB, and the 4 KiB before the place), so it may be renamed, and lines may be added
    /// to it. A spool that holds the rest of another input is refused: `posthaste spool drain DIR` sends it. Of lines that
    /// are not taken, the last ones may be told and kept again after a kill.
    ///
    /// A last line without a line end may still be growing: it is left for the next run, which is said, and no error. Only
    /// if it is whole JSON, and the file has been unchanged for a second, it is taken.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["leftover", "queue_size"])]
    pub(crate) spool: Option<PathBuf>,
    /// Go on reading what is added to FILE, as `tail -F` does, until Ctrl-C or SIGTERM; needs --spool
    ///
    /// A line is taken once it has its end. A file that is rotated (renamed, and a new one made) is read to its end before
    /// the new one is begun: as soon as that has lines, and the old one has been unchanged for a second; a last line
    /// without an end is then taken if it is whole JSON, and else rejected. After a kill, too, rotated files are found, by
    /// content, in the same folder under names that begin with FILE's, such as FILE.1, as long as they are not compressed.
    /// If none is found, that is said, and FILE is read from its start.
    ///
    /// A file that is truncated, or written anew, is read from its start. What was added to it and cut off before it
    /// could be read is lost, unless the rotation has left a copy such as FILE.1: prefer renaming to truncating. A file
    /// must only be truncated to nothing: lines that stay in it are sent again.
    ///
    /// What is read is stored and sent at once when no more is there. The exit code is 0 if everything that was read was
    /// delivered. What is followed is never done: before the spool can take another input, it has to be drained.
    #[arg(long, requires_all = ["spool", "file"])]
    pub(crate) follow: bool,
    /// Bytes of the spool on disk, at most; a full spool makes the reader wait
    #[arg(long, value_name = "SIZE", default_value = spool_options::DEFAULT_SIZE, value_parser = spool_options::size, requires = "spool")]
    pub(crate) spool_size: u64,

    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,

    /// Events (and batches) that wait in memory, at most [default: 2000, or enough to keep --in-flight requests busy]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    queue_size: Option<usize>,
    /// Bytes of a line, at most
    #[arg(long, value_name = "BYTES", default_value_t = lines::LINE_BYTES_MAX, value_parser = values::at_least_one)]
    pub(crate) max_line_bytes: usize,
    /// The name to report events under [default: posthaste]
    #[arg(long, value_name = "NAME")]
    pub(crate) client_name: Option<String>,
    /// The version to report events under [default: posthaste's]
    #[arg(long, value_name = "VERSION")]
    pub(crate) client_version: Option<String>,

    /// Add lines that cannot be sent to this file, as they came
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Add events that were read and not delivered to this file; `send` reads it
    #[arg(long, value_name = "FILE")]
    pub(crate) leftover: Option<PathBuf>,
}

impl SendArgs {
    /// The input's path; `None` for standard input.
    pub(crate) fn input(&self) -> Option<&Path> {
        self.file.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// What to read, and how.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            path: self.input(),
            spool: self.spool.as_deref().map(|dir| (dir, self.spool_size)),
            way: if self.follow { Way::Follow } else { Way::Once },
            line_bytes_max: self.max_line_bytes,
        }
    }

    /// Two rounds of requests: one under way, one to follow it.
    pub(crate) fn queue_size(&self) -> usize {
        let two_rounds = self.delivery.in_flight.saturating_mul(self.delivery.batch_size).saturating_mul(2);
        self.queue_size
            .unwrap_or(two_rounds.clamp(DEFAULT_EVENT_QUEUE_SIZE, 100_000.max(self.delivery.batch_size)))
    }
}
