//! `posthaste doctor`: what a stream promises, under which fault, and what to do where it does not.

mod advice;
mod report;

use posthaste::queue::jetstream::{Fault, JetStream};

use self::report::Report;
use crate::common::{
    exit::{Exit, Failure},
    nats::{self, NatsArgs},
    output::{Audience, Output},
};

/// Say what a stream of NATS JetStream promises, under which fault, and what to do where it does not
///
/// It looks at the stream, at that of its dead letters, and at who delivers; it changes nothing. Only the servers know
/// whether they sync before they acknowledge, and they say so only at their monitoring addresses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste doctor nats://127.0.0.1:4222/events
  # Power too: ask each server when it syncs
  posthaste doctor nats://a:4222,b:4222,c:4222/events \\
      --monitor http://a:8222 --monitor http://b:8222 --monitor http://c:8222
  # One server, whose disk may be lost
  posthaste doctor nats://127.0.0.1/events \\
      --fault process-killed,server-killed,all-servers-killed
  posthaste doctor nats://127.0.0.1/events --json | jq .stream.promises

The exit code is 0 only if the promises that are asked for hold, and every setting is as it should be \
for them.")]
pub(crate) struct DoctorArgs {
    /// The stream: `nats://HOST:4222/STREAM`, several servers of a cluster with commas
    #[arg(value_name = "URL")]
    stream: String,
    /// A server's monitoring address; give all of them
    #[arg(long, value_name = "URL")]
    monitor: Vec<String>,
    /// The faults that acknowledged events are to survive [default: all, all-lose-power only with --monitor]
    #[arg(long, value_name = "FAULT", value_enum, value_delimiter = ',')]
    fault: Vec<Asked>,
    /// Write the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nats: NatsArgs,
}

/// A fault, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Asked {
    /// A relay or sender is killed
    ProcessKilled,
    /// A server is killed
    ServerKilled,
    /// All servers are killed
    AllServersKilled,
    /// A server is lost with its disk
    ServerLost,
    /// All servers lose power
    AllLosePower,
}

impl Asked {
    fn fault(self) -> Fault {
        match self {
            Self::ProcessKilled => Fault::ProcessKilled,
            Self::ServerKilled => Fault::ServerKilled,
            Self::AllServersKilled => Fault::AllServersKilled,
            Self::ServerLost => Fault::ServerLost,
            Self::AllLosePower => Fault::AllLosePower,
        }
    }
}

pub(crate) fn run(args: &DoctorArgs) -> Result<Exit, Failure> {
    let options =
        nats::options("URL", &args.stream, &args.nats)?.monitors(args.monitor.iter().map(String::as_str));
    for monitor in &args.monitor {
        if monitor.strip_prefix("http://").is_none_or(str::is_empty) {
            let said = "--monitor: a monitoring address is http://HOST:8222".to_owned();
            return Err(Failure::Usage(said));
        }
    }
    let stream = JetStream::attach(options)?;
    let report = Report::new(stream.check()?, stream.look()?, &args.asked());
    Output::new(Audience::of(args.json)).result(&report);
    Ok(if report.is_well() { Exit::Fine } else { Exit::Failed })
}

impl DoctorArgs {
    fn asked(&self) -> Vec<Fault> {
        if !self.fault.is_empty() {
            return self.fault.iter().map(|asked| asked.fault()).collect();
        }
        let has_monitors = !self.monitor.is_empty();
        Fault::ALL.into_iter().filter(|fault| has_monitors || *fault != Fault::AllLosePower).collect()
    }
}
