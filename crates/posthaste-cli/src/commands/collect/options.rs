//! What a collector may be told, whether it runs by itself or beside a command.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use posthaste::{OptionsError, dispatch::EndPoint};
use posthaste_collector::{Base, CollectorOptions, Faults, Forward, SCRIPT_BYTES_MAX};

use crate::common::{datafile, exit::Failure, output::Output, values};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The project to judge events against; without it, only their form is judged
    #[arg(long, value_name = "FILE", env = "POSTHASTE_DATAFILE", hide_env_values = true, value_parser = values::datafile())]
    datafile: Option<PathBuf>,
    /// What goes wrong with which request: a script, as `posthaste collect --help` says
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How long a request without an answer ("end": "hang") is kept
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = values::some_time)]
    hang_max: Duration,
    /// How much memory what is kept may take; beyond it the oldest events are forgotten
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    memory: ByteSize,
    /// Forget events that are older than this
    #[arg(long, value_name = "TIME", value_parser = values::some_time)]
    age: Option<Duration>,
    /// Answer 400 to every bad request, not only to those that ask for it
    #[arg(long)]
    strict: bool,
    /// Pass on what was taken to this end point, and answer what that answers
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
    /// Another name by which it may be asked, beside localhost; several times for several
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// What stands before every path, behind a proxy that does not take it off
    #[arg(long, value_name = "PATH", default_value = "/", hide_default_value = true)]
    base: Base,
    /// Keep every event in this file: JSON lines, each with its verdict
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Take the events of such a file first, or of GET /export
    #[arg(long, value_name = "FILE")]
    pub(super) load: Option<PathBuf>,
}

impl Options {
    /// Reads what they name, and says what is wrong.
    pub(super) fn read(&self, output: &Output) -> Result<CollectorOptions, Failure> {
        let config =
            self.datafile.as_deref().map(|path| datafile::read_and_tell(path, output)).transpose()?;
        let faults = self.faults.as_deref().map(script).transpose()?.unwrap_or_default();
        Ok(CollectorOptions {
            config,
            faults,
            strict: self.strict,
            hang_max: self.hang_max,
            memory_bytes_max: usize::try_from(self.memory.as_u64()).unwrap_or(usize::MAX),
            age_max: self.age,
            hosts: self.allow_host.clone(),
            base: self.base.clone(),
            forward: self.forward.as_deref().map(forward).transpose()?,
            ..Default::default()
        })
    }
}

fn forward(url: &str) -> Result<Forward, Failure> {
    let end_point = EndPoint::check(url).map_err(|error| Failure::Usage(format!("--forward: {error}")))?;
    Ok(Forward::new(end_point).map_err(OptionsError::from)?)
}

/// Reads a script of faults from disk.
fn script(path: &Path) -> Result<Faults, Failure> {
    let text = read_bounded(path).map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    Faults::parse(&text).map_err(|source| Failure::Faults { path: path.to_owned(), source })
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SCRIPT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    if text.len() > SCRIPT_BYTES_MAX {
        let why = format!("it has more than {SCRIPT_BYTES_MAX} bytes, and is no script of faults");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}
