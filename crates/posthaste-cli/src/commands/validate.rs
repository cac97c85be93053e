//! `posthaste validate`: what is wrong with a datafile, a batch or a file of events, and where.

mod finding;
mod kind;

use std::{
    fmt,
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

use posthaste::{
    ProjectConfig, Refusal, SystemClock, UserEvent,
    judge::{self, Judge, Judgement, ProblemKind, judge_tags, judge_timestamp},
};
use serde::Serialize;

use self::{
    finding::{Problem, Warning},
    kind::{Kind, kind},
};
use crate::{
    common::{
        datafile,
        exit::{Exit, Failure},
        output::{Audience, Output, counted, grouped},
        values,
    },
    input::{self, is_broken},
    lines::{self, EventLine, EventMaker, Fault, Line, LineReader, Size, Told},
};

/// Datafiles and batches are read whole, up to here; what is longer can only be a file of events.
const WHOLE_BYTES_MAX: u64 = 64 * 1_024 * 1_024;
/// Problems that are listed; the others are counted.
const LISTED_MAX: usize = 100;

/// Check a datafile, a batch or a file of events, and say what is wrong where.
///
/// The file itself shows which of the three it is. Events are checked line by line, as `send` reads them. With
/// --datafile, their experiments, variations and events are looked up too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste validate datafile.json
  posthaste validate --datafile datafile.json monday.jsonl tuesday.jsonl.gz
  curl -s https://cdn.optimizely.com/datafiles/KEY.json | posthaste validate -

The exit code is 0 if nothing is wrong, and 1 otherwise. A warning is nothing wrong.")]
pub(crate) struct ValidateArgs {
    /// What to check, compressed with gzip or Zstandard or not; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The project to look keys and ids up in
    #[arg(long, value_name = "FILE", env = "POSTHASTE_DATAFILE", hide_env_values = true, value_parser = values::datafile())]
    datafile: Option<PathBuf>,
    /// Bytes that a line may have
    #[arg(long, value_name = "BYTES", default_value_t = lines::LINE_BYTES_MAX, value_parser = values::at_least_one)]
    max_line_bytes: usize,
    /// Write the result as JSON, an object for each file
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    /// As its user calls it.
    file: String,
    /// Whether it is one of several.
    #[serde(skip)]
    is_one_of_several: bool,
    kind: &'static str,
    sound: bool,
    summary: String,
    problems: Vec<Problem>,
    /// How many there are, listed or not.
    problems_total: u64,
    warnings: Vec<Warning>,
    /// How many there are, listed or not.
    warnings_total: u64,
    /// Halves of surrogate pairs that were read as U+FFFD.
    repaired: u64,
    #[serde(skip)]
    warnings_of_lines: u64,
}

pub(crate) fn run(args: &ValidateArgs) -> Result<Exit, Failure> {
    let output = Output::new(Audience::of(args.json));
    let config = args.datafile.as_deref().map(|path| datafile::read_and_tell(path, &output)).transpose()?;
    let mut exit = Exit::Fine;
    for path in &args.files {
        if let Some(note) = input::is_standard(path).then(input::terminal_note).flatten() {
            output.inform(format_args!("posthaste: {note}"));
        }
        let findings = match judge(path, config.as_ref(), args.max_line_bytes) {
            Ok(findings) => findings,
            Err(source) => {
                // The others are judged all the same.
                let failure = Failure::Read { path: path.clone(), source };
                if args.json {
                    output.result(&Findings::unreadable(path, &failure));
                }
                if args.files.len() == 1 {
                    return Err(failure);
                }
                output.tell_aside(format_args!("posthaste: {failure}"));
                exit = Exit::Failed;
                continue;
            }
        };
        let findings =
            Findings { file: input::name(path), is_one_of_several: args.files.len() > 1, ..findings };
        if !findings.sound {
            exit = Exit::Failed;
        }
        output.result(&findings);
    }
    Ok(exit)
}

fn judge(path: &Path, config: Option<&ProjectConfig>, line_bytes_max: usize) -> io::Result<Findings> {
    let mut stream = input::unpacked(path)?.stream;
    let mut start = Vec::new();
    // The end is not asked for twice: at a terminal, that would be a second Ctrl-D.
    let read = (&mut stream)
        .take(WHOLE_BYTES_MAX)
        .read_to_end(&mut start)
        .and_then(|bytes| Ok((bytes as u64) < WHOLE_BYTES_MAX || stream.fill_buf()?.is_empty()));
    let (is_whole, broken) = match read {
        Ok(is_whole) => (is_whole, None),
        Err(error) if is_broken(&error) => (false, Some(error)),
        Err(error) => return Err(error),
    };
    let mut findings = match kind(&start, is_whole) {
        Kind::Nothing => Findings::nothing(),
        Kind::Datafile => Findings::of_datafile(&start),
        Kind::Batch => Findings::of_batch(&start, config),
        Kind::Events => match broken {
            Some(error) => Findings::of_events(start.chain(Broken(Some(error))), config, line_bytes_max)?,
            None if is_whole => Findings::of_events(&start[..], config, line_bytes_max)?,
            None => Findings::of_events(start.chain(stream), config, line_bytes_max)?,
        },
    };
    findings.sound = findings.problems_total == 0;
    findings.warnings_total = findings.warnings.len() as u64 + findings.unlisted_warnings();
    Ok(findings)
}

/// Where nothing follows but an error.
struct Broken(Option<io::Error>);

impl BufRead for Broken {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.take().map_or(Ok(&[]), Err)
    }

    fn consume(&mut self, _: usize) {}
}

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.fill_buf().map(<[u8]>::len)
    }
}

impl Findings {
    fn nothing() -> Self {
        let mut findings = Self { kind: "nothing", ..Self::default() };
        findings.add(None, "the input is empty: no datafile, no batch, no events");
        findings
    }

    fn unreadable(path: &Path, failure: &Failure) -> Self {
        let mut findings = Self { file: input::name(path), kind: "unreadable", ..Self::default() };
        findings.add(None, failure);
        findings
    }

    fn of_datafile(text: &[u8]) -> Self {
        let mut findings = Self { kind: "datafile", ..Self::default() };
        match ProjectConfig::from_datafile(text) {
            Err(error) => findings.add(None, error),
            Ok(config) => {
                findings.warnings = config.warnings().iter().cloned().map(Warning::from).collect();
                findings.summary = summary(&config);
            }
        }
        findings
    }

    fn of_batch(body: &[u8], config: Option<&ProjectConfig>) -> Self {
        let mut findings = Self { kind: "batch", ..Self::default() };
        let mut judge = Judge::new(config.cloned()).with_clock(SystemClock);
        findings.add_all(None, judge.batch(body));
        for warning in judge.visits().warnings() {
            findings.warn(None, &warning);
        }
        findings.note_repaired();
        findings.note_missing_datafile(config.is_some());
        findings
    }

    fn of_events(
        input: impl BufRead,
        config: Option<&ProjectConfig>,
        line_bytes_max: usize,
    ) -> io::Result<Self> {
        let mut findings = Self { kind: "events", ..Self::default() };
        let has_datafile = config.is_some();
        let judge = Judge::new(config.cloned()).with_clock(SystemClock);
        let maker = config.cloned().map(EventMaker::new);
        let mut checker = Checker { judge, maker, told: Told::default() };
        let mut lines = LineReader::new(input, line_bytes_max);
        let mut blank = 0;
        loop {
            let size = match lines.advance() {
                Ok(Some(size)) => size,
                Ok(None) => break,
                Err(error) if is_broken(&error) => {
                    findings.add(Some(lines.number() + 1), error);
                    break;
                }
                Err(error) => return Err(error),
            };
            let number = lines.number();
            if size == Size::TooLong {
                checker.tell(&Fault::TooLong(lines.bytes_max()), lines.raw(), number, &mut findings);
                lines.rest(|_| {})?;
            } else if lines::is_blank(lines.content()) {
                blank += 1;
            } else {
                checker.check(lines.content(), number, &mut findings);
            }
        }
        let blank = if blank > 0 { format!(", {} of them blank", grouped(blank)) } else { String::new() };
        findings.summary = counted(lines.number(), "line", "lines") + &blank;
        findings.note_dropped_attributes(config);
        for warning in checker.judge.visits().warnings() {
            findings.warnings.push(Warning::of(None, &warning));
        }
        findings.note_repaired();
        findings.note_missing_datafile(has_datafile);
        Ok(findings)
    }

    fn add(&mut self, line: Option<u64>, problem: impl fmt::Display) {
        self.add_of(None, line, problem);
    }

    fn add_of(&mut self, kind: Option<ProblemKind>, line: Option<u64>, problem: impl fmt::Display) {
        self.problems_total += 1;
        if self.problems.len() < LISTED_MAX {
            self.problems.push(Problem { line, kind, text: problem.to_string() });
        }
    }

    fn add_all(&mut self, line: Option<u64>, judgement: Judgement) {
        for problem in judgement.problems {
            self.add_of(Some(problem.kind), line, problem);
        }
        for warning in judgement.warnings {
            self.warn(line, &warning);
        }
        self.repaired += judgement.repaired;
    }

    fn warn(&mut self, line: Option<u64>, warning: &judge::Problem) {
        self.warnings_of_lines += 1;
        if self.warnings_of_lines <= LISTED_MAX as u64 {
            self.warnings.push(Warning::of(line, warning));
        }
    }

    fn unlisted_warnings(&self) -> u64 {
        self.warnings_of_lines.saturating_sub(LISTED_MAX as u64)
    }

    fn note_repaired(&mut self) {
        if self.repaired > 0 {
            let halves = counted(self.repaired, "half", "halves");
            self.warnings.push(
                format!("{halves} of a surrogate pair stand alone, and would be sent as U+FFFD").into(),
            );
        }
    }

    fn note_dropped_attributes(&mut self, config: Option<&ProjectConfig>) {
        let dropped = config.map(ProjectConfig::dropped_attributes).unwrap_or_default();
        if dropped.unknown + dropped.invalid > 0 {
            let warning = format!(
                "{} unknown to the datafile and {} of a kind that cannot be sent would be left out of events",
                counted(dropped.unknown, "attribute", "attributes"),
                grouped(dropped.invalid)
            );
            self.warnings.push(warning.into());
        }
    }

    fn note_missing_datafile(&mut self, has_datafile: bool) {
        if !has_datafile {
            let warning = "without --datafile, experiments and events were not looked up";
            self.warnings.push(warning.to_owned().into());
        }
    }
}

/// Checks the lines of a file of events.
struct Checker {
    judge: Judge,
    maker: Option<EventMaker>,
    told: Told,
}

impl Checker {
    fn check(&mut self, line: &[u8], number: u64, findings: &mut Findings) {
        if let Err(fault) = self.try_check(line, number, findings) {
            self.tell(&fault, line, number, findings);
        }
    }

    fn tell(&mut self, fault: &Fault, line: &[u8], number: u64, findings: &mut Findings) {
        match self.told.tell(number, line, fault) {
            Some(told) => findings.add_of(fault.kind(), Some(number), told),
            None => findings.problems_total += 1,
        }
    }

    fn try_check(&mut self, line: &[u8], number: u64, findings: &mut Findings) -> Result<(), Fault> {
        let text = lines::text(line)?;
        let event = match lines::parse(text.as_str())? {
            Line::Batch(body) => {
                let judgement = self.judge.batch(body.as_bytes());
                if judgement.good > 0 {
                    findings.repaired += text.repaired();
                }
                findings.add_all(Some(number), judgement);
                return Ok(());
            }
            Line::Event(event) => event,
        };
        if let Some(maker) = &mut self.maker {
            let event = maker.make(&event)?;
            refuse(&event)?;
            for warning in self.judge.event(&event) {
                findings.warn(Some(number), &warning);
            }
        } else {
            self.check_alone(&event)?;
        }
        findings.repaired += text.repaired();
        Ok(())
    }

    /// What can be said without a datafile.
    fn check_alone(&mut self, event: &EventLine<'_>) -> Result<(), Fault> {
        if let lines::Kind::Conversion { tags: Some(tags), .. } = event.kind
            && let Some(problem) = judge_tags(tags)
        {
            return Err(Fault::Tags(problem));
        }
        let Some(time) = event.timestamp_ms else { return Ok(()) };
        if let Some(problem) = judge_timestamp(time) {
            return Err(Fault::Time(problem));
        }
        let visits = self.judge.visits_mut();
        match event.kind {
            lines::Kind::Impression { .. } => visits.decision(&event.user_id, time),
            lines::Kind::Conversion { .. } => visits.conversion(&event.user_id, time),
        };
        Ok(())
    }
}

/// As `send` would.
fn refuse(event: &UserEvent) -> Result<(), Fault> {
    let bytes_max = lines::REQUEST_BYTES_MAX;
    let too_large = || event.too_large_for(bytes_max).map(|bytes| Refusal::TooLarge { bytes, bytes_max });
    let reason = event.why_invalid().map(Refusal::Invalid).or_else(too_large);
    reason.map_or(Ok(()), |reason| Err(reason.into()))
}

fn summary(config: &ProjectConfig) -> String {
    format!(
        "project {}, revision {}, region {}: {}, {}, {}",
        config.project_id(),
        config.revision(),
        config.region(),
        counted(config.experiments().len() as u64, "experiment", "experiments"),
        counted(config.events().len() as u64, "event", "events"),
        counted(config.attributes().len() as u64, "attribute", "attributes")
    )
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        for problem in &self.problems {
            match problem.line {
                Some(line) => writeln!(f, "{file}:{line}: {problem}")?,
                None => writeln!(f, "{file}: {problem}")?,
            }
        }
        let unlisted = self.problems_total - self.problems.len() as u64;
        if unlisted > 0 {
            writeln!(f, "… and {} more", grouped(unlisted))?;
        }
        for warning in &self.warnings {
            match warning.line {
                Some(line) => writeln!(f, "{file}:{line}: warning: {warning}")?,
                None if self.is_one_of_several => writeln!(f, "{file}: warning: {warning}")?,
                None => writeln!(f, "warning: {warning}")?,
            }
        }
        if self.unlisted_warnings() > 0 {
            writeln!(f, "… and {}", counted(self.unlisted_warnings(), "more warning", "more warnings"))?;
        }
        let verdict = match self.problems_total {
            0 => "sound".to_owned(),
            problems => counted(problems, "problem", "problems"),
        };
        let summary = if self.summary.is_empty() { String::new() } else { format!(" ({})", self.summary) };
        if self.is_one_of_several {
            write!(f, "{file}: ")?;
        }
        write!(f, "{}{summary}: {verdict}", self.kind)
    }
}
