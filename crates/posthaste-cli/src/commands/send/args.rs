//! The arguments of `posthaste send`.

use std::path::{Path, PathBuf};

use posthaste::DEFAULT_EVENT_QUEUE_SIZE;

use crate::{
    common::{nats::NatsArgs, spool_options, values},
    input::{self, Wanted, Way},
    lines,
    pipeline::DeliveryArgs,
};

const ABOUT: &str = r#"Send events and batches, and account for every one.

The input has one JSON object on each line. An event is named by the keys of the datafile:

  {"type":"impression","user_id":"ann","experiment":"checkout","variation":"b"}
  {"type":"conversion","user_id":"ann","event":"buy","tags":{"revenue":4200}}

An event may also have "attributes": {…}, a "timestamp" (milliseconds or an RFC 3339 time; default: now) and a "uuid" (default: a new one). A line with both counts once, however often it is sent. A line with "visitors" is a whole Event API batch: it needs no datafile, and what it says of visitors is sent byte for byte. With --spool, batches that differ in nothing else may share a request. A line of a --dead-letters file is sent again.

A bad line is reported, --rejects keeps it, and the others go on. The exit code is 0 only if everything was delivered, and nothing that a --spool had stored is lost."#;

/// Send events and batches, and account for every one
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT, after_help = "Examples:
  posthaste send --datafile datafile.json events.jsonl
  # Several files, compressed or not
  posthaste send --datafile datafile.json monday.jsonl.gz tuesday.jsonl.zst
  # Standard input
  posthaste send --datafile datafile.json --batch-size 500 < events.jsonl
  # Keep what cannot be sent, and what the API refuses
  posthaste send --datafile datafile.json --rejects bad.jsonl \\
      --dead-letters dead.jsonl events.jsonl
  # Batches need no datafile
  posthaste send --endpoint http://127.0.0.1:8080/v1/events batches.jsonl
  # Stop after five minutes, and keep what is left, which can be sent
  posthaste send --datafile datafile.json --max-time 5m --leftover left.jsonl \\
      events.jsonl
  # Again after a kill: it takes up where it ended
  posthaste send --spool DIR --datafile datafile.json events.jsonl
  # Into a stream that relays deliver, and out of it
  posthaste send --queue nats://127.0.0.1:4222/events batches.jsonl
  posthaste send --queue nats://127.0.0.1:4222/events --deliver
  # Like `tail -F`
  posthaste send --spool DIR --follow --datafile datafile.json log.jsonl")]
pub(crate) struct SendArgs {
    /// The input: files with lines of events and batches, one behind the other; `-` or no FILE is standard input
    ///
    /// Files compressed with gzip or Zstandard are unpacked, whatever they are called. What is broken or cut off ends
    /// the run there, with the line and the byte.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The project's datafile; every line that is an event needs it
    #[arg(long, value_name = "FILE", env = "POSTHASTE_DATAFILE", hide_env_values = true, value_parser = values::datafile())]
    pub(crate) datafile: Option<PathBuf>,

    /// Keep events in this folder until they are delivered; the same command again goes on where a run ended
    ///
    /// The spool stores how far the input was read, together with its events. So the same command goes on after a run
    /// that was killed in whatever way: no event is lost, and none is made twice. The input has to be a file. posthaste
    /// knows it by its content (the first 4 KiB, and the 4 KiB before the place), so you may rename it and add lines to
    /// it. A spool that holds the rest of another input is refused; `posthaste spool drain DIR` sends that rest. After
    /// a kill, the last rejected lines may be reported and kept a second time.
    ///
    /// A last line without a line end may still be growing. It is left for the next run, and a message says so; that is
    /// no error. It is taken only if it is whole JSON and the file has not changed for a second.
    ///
    /// Several files are taken up in the one where the run ended: name the same ones in the same order; more may follow
    /// them. Only the last of them may be growing. In a compressed file the place is one in what is unpacked, and such a
    /// file is taken to be complete.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["leftover", "queue_size"])]
    pub(crate) spool: Option<PathBuf>,
    /// Go on reading what is added to FILE, as `tail -F` does, until Ctrl-C or SIGTERM; needs --spool
    ///
    /// It takes one FILE, which is not compressed.
    ///
    /// A line is taken once it has its end. A rotated file (renamed, and a new one made) is read to its end first. The
    /// new one begins once it has lines and the old one has not changed for a second; a last line without an end is
    /// then taken if it is whole JSON, and rejected if not. Rotated files are found by their content, after a kill too:
    /// in the same folder, under names that begin with FILE's, such as FILE.1, and not compressed. If none is found, a
    /// message says so, and FILE is read from its start.
    ///
    /// A file that was truncated, or written anew, is read from its start. Lines that were cut off before they could be
    /// read are lost, unless the rotation has left a copy such as FILE.1: prefer renaming to truncating. Truncate a
    /// file only to nothing: lines that stay in it are sent again.
    ///
    /// Lines are stored and sent at once when no more of them are there. The exit code is 0 if everything that was read
    /// was delivered. A followed input never ends: drain the spool before you give it another one.
    #[arg(long, requires_all = ["spool", "files"])]
    pub(crate) follow: bool,
    /// Bytes that the spool may take on disk; reading waits while it is full
    #[arg(long, value_name = "SIZE", default_value = spool_options::DEFAULT_SIZE, value_parser = spool_options::size, requires = "spool")]
    pub(crate) spool_size: u64,

    /// Put events into this stream of NATS rather than send them: `nats://HOST:4222/STREAM`
    ///
    /// An event counts as delivered once the stream has acknowledged it; whoever delivers what is in the stream
    /// (`posthaste relay --role deliver`, or --deliver) sends it from there, a relay to the upstream of its tenant. Servers
    /// of one cluster stand behind each other, with commas. The stream is made where it is not there. With --spool,
    /// events are on disk until the stream has them.
    #[arg(long, value_name = "URL")]
    pub(crate) queue: Option<String>,
    /// Send what is in the stream of --queue, and read nothing: until the stream is empty
    ///
    /// It goes to --endpoint, or to where each request says. What others are delivering counts as what is in it. Dead
    /// letters stay in the stream.
    #[arg(long, requires = "queue", conflicts_with_all = ["files", "spool", "follow", "rejects", "leftover"])]
    pub(crate) deliver: bool,
    /// Whose events they are in the stream [default: default; with --deliver: everybody's]
    #[arg(long, value_name = "NAME", requires = "queue")]
    pub(crate) tenant: Option<String>,
    /// On how many servers each event is, where the stream is made: 1, 3 or 5
    #[arg(long, value_name = "N", default_value_t = 3, requires = "queue")]
    pub(crate) replicas: usize,
    #[command(flatten)]
    pub(crate) nats: NatsArgs,

    #[command(flatten)]
    pub(crate) delivery: DeliveryArgs,

    /// Events (and batches) that may wait in memory [default: 2000, or enough to keep --in-flight requests busy]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    queue_size: Option<usize>,
    /// Bytes that a line may have
    #[arg(long, value_name = "BYTES", default_value_t = lines::LINE_BYTES_MAX, value_parser = values::at_least_one)]
    pub(crate) max_line_bytes: usize,
    /// The name to report events under [default: posthaste]
    #[arg(long, value_name = "NAME")]
    pub(crate) client_name: Option<String>,
    /// The version to report events under [default: posthaste's]
    #[arg(long, value_name = "VERSION")]
    pub(crate) client_version: Option<String>,

    /// Keep lines that cannot be sent: add them to this file as they came
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Keep events that were read and not delivered: add them to this file, which `send` reads
    #[arg(long, value_name = "FILE")]
    pub(crate) leftover: Option<PathBuf>,
}

impl SendArgs {
    /// The paths of input files; standard input has none.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path).filter(|path| !input::is_standard(path))
    }

    /// What to read, and how.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            paths: &self.files,
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
