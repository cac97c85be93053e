//! The parent's hold on the process that gets killed.

use std::{
    io::{self, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use posthaste::{Clock, SystemClock};
use posthaste_oracle::{Fact, Facts};

use super::{books::Books, child::FINISH, observe::last_line};

/// What all lives have in common.
#[derive(Debug)]
pub(super) struct Breed {
    pub(super) dir: PathBuf,
    pub(super) url: String,
    /// How many events there shall be, the fresh one at the end included.
    pub(super) events: u64,
    pub(super) seed: u64,
    pub(super) books: Arc<Books>,
}

/// One life of the process.
#[derive(Debug)]
pub(super) struct Victim {
    run: u32,
    child: Child,
    stdin: ChildStdin,
    /// Hears its facts, and ends with it. What is wrong with them is said.
    facts: JoinHandle<Option<String>>,
    stderr: JoinHandle<String>,
    books: Arc<Books>,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    Killed,
    /// By itself.
    Ended {
        is_fine: bool,
        said: String,
    },
}

/// How often to look whether it has ended.
const EVERY: Duration = Duration::from_millis(2);

impl Breed {
    /// Another life, which claims the events that nobody has claimed. Numbers that an earlier one took and died with
    /// before it claimed them are no events.
    pub(super) fn spawn(&self, run: u32) -> io::Result<Victim> {
        let (claimed, claimed_to) = (self.books.claimed(), self.books.claimed_to());
        let until = claimed_to + (self.events - 1).saturating_sub(claimed);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("torture-child").arg("--dir").arg(&self.dir).args(["--url", &self.url]);
        let numbers =
            [("--run", run.into()), ("--from", claimed_to + 1), ("--until", until), ("--seed", self.seed)];
        for (name, number) in numbers {
            command.args([name, &number.to_string()]);
        }
        Victim::start(command, run, &self.books, |_| {})
    }
}

/// Every fact of a life.
fn hear(stdout: ChildStdout, books: &Books, on_fact: impl Fn(&Fact)) -> Option<String> {
    for fact in Facts::new(BufReader::new(stdout)) {
        match fact {
            Ok(fact) => {
                on_fact(&fact);
                books.note(fact);
            }
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

impl Victim {
    /// Starts it. Each of its facts is noted, and told to `on_fact` before.
    pub(super) fn start(
        mut command: Command,
        run: u32,
        books: &Arc<Books>,
        on_fact: impl Fn(&Fact) + Send + 'static,
    ) -> io::Result<Self> {
        // It is tortured: what it has to say about that is no news.
        if std::env::var_os("POSTHASTE_LOG").is_none() {
            command.env("POSTHASTE_LOG", "off");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        books.note(Fact::Started { run });
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a process without pipes"));
        };
        let heard = Arc::clone(books);
        let listening = thread::Builder::new()
            .spawn(move || hear(stdout, &heard, on_fact))
            .and_then(|facts| Ok((facts, thread::Builder::new().spawn(move || last_line(stderr))?)));
        if listening.is_err() {
            // Nobody listens to it.
            child.kill().and_then(|()| child.wait())?;
        }
        let (facts, stderr) = listening?;
        Ok(Self { run, child, stdin, facts, stderr, books: Arc::clone(books) })
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until `is_due`, or it has ended by itself: then it returns false.
    pub(super) fn watch(&mut self, is_due: impl Fn() -> bool) -> io::Result<bool> {
        while !is_due() {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            thread::sleep(EVERY);
        }
        Ok(true)
    }

    /// SIGKILL, now.
    pub(super) fn kill(mut self) -> io::Result<End> {
        if self.child.try_wait()?.is_none() {
            self.child.kill()?;
        }
        self.end()
    }

    /// Tells it to deliver everything and to end within this time.
    pub(super) fn finish(mut self, within: Duration) -> io::Result<End> {
        // One that is gone already does not hear it, and its end says so.
        drop(writeln!(self.stdin, "{FINISH} {}", within.as_millis()));
        let give_up = SystemClock.elapsed() + within + GRACE;
        self.watch(|| SystemClock.elapsed() >= give_up)?;
        self.kill()
    }

    /// Everything that it said is heard before its end is written down.
    fn end(mut self) -> io::Result<End> {
        let status = self.child.wait()?;
        let unheard = self.facts.join().ok().flatten();
        let said = self.stderr.join().unwrap_or_default();
        let run = self.run;
        let end = match status.code() {
            None => Fact::Killed { run },
            Some(_) => Fact::Ended { run },
        };
        self.books.note(end);
        match (status.code(), unheard) {
            (_, Some(said)) => Ok(End::Ended { is_fine: false, said }),
            (None, _) => Ok(End::Killed),
            (Some(code), _) => Ok(End::Ended { is_fine: code == 0, said }),
        }
    }
}

/// How much later than told it may end.
const GRACE: Duration = Duration::from_secs(5);
