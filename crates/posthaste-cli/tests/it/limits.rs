//! Every command under every small limit that a system may set: few descriptors, few threads, little memory, small
//! files. It ends in time, it says what is wrong, and it loses nothing.
//!
//! A seed picks some of all the cases; `POSTHASTE_LIMITS=all` runs every one of them, `POSTHASTE_LIMITS=SEED` a certain
//! pick again.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use posthaste::{Clock, SystemClock};

use crate::support::{Files, LONG, Server, datafile, dead_endpoint, impression, run};

/// What is limited, as `ulimit` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Descriptors,
    /// Of a user of its own, which only root can choose.
    Threads,
    /// In KiB.
    Memory,
    /// In blocks.
    FileSize,
}

const COMMANDS: &[&str] = &[
    "demo --events 100",
    "send --datafile DATAFILE --endpoint GOOD --max-time 3s INPUT",
    "send --datafile DATAFILE --endpoint BAD --max-time 3s --dead-letters DIR/dead INPUT",
    "send --datafile DATAFILE --endpoint NOBODY --max-time 1s --leftover DIR/left --rejects DIR/bad INPUT",
    "send --datafile DATAFILE --endpoint GOOD --max-time 3s --spool DIR/new INPUT",
    "send --datafile DATAFILE --endpoint BAD --max-time 3s --batch-size 1 --spool DIR/new INPUT",
    "collect --listen 0",
    "validate --datafile DATAFILE INPUT",
    "spool status DIR/waiting",
    "spool cat DIR/waiting",
    "spool verify DIR/waiting",
    "spool repair DIR/waiting",
    "spool drain --endpoint GOOD --max-time 3s DIR/waiting",
    "spool replay DIR/refused",
    "spool dead DIR/refused",
    "torture --dir DIR/torture --events 100 --kills 1 --time 3s",
    "completions bash",
];
/// Of one run that is not of all cases.
const PICKED: usize = 60;
const EVENTS: usize = 40;

fn limits() -> Vec<(Limit, u64)> {
    // The loader itself needs a fourth descriptor.
    let descriptors = (4..=40).chain([50, 60, 72, 80, 100]).map(|n| (Limit::Descriptors, n));
    let threads = (1..=16).chain([40, 60]).map(|n| (Limit::Threads, n));
    let memory = [48, 64, 96, 128, 192, 256, 512].map(|mib| (Limit::Memory, mib << 10));
    let files = [0, 1, 2, 8, 100, 1_000, 4_000].map(|blocks| (Limit::FileSize, blocks));
    descriptors.chain(threads).chain(memory).chain(files).collect()
}

/// What all cases share.
struct Ground {
    good: Server,
    bad: Server,
    nobody: String,
    files: Files,
    /// And the program can be run by others.
    is_root: bool,
}

impl Ground {
    fn new() -> Self {
        let (good, bad) = (Server::start(false, |_| 204), Server::start(false, |_| 400));
        let files = Files::new();
        fs::set_permissions(files.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let input: String = (0..EVENTS).map(|user| impression(&format!("user-{user}"))).collect();
        files.write("input", input);
        let program = Path::new(env!("CARGO_BIN_EXE_posthaste"));
        let is_root =
            rustix::process::getuid().is_root() && is_open(program) && is_open(Path::new(datafile()));
        let ground = Self { good, bad, nobody: dead_endpoint(), files, is_root };
        for (name, endpoint, time) in
            [("waiting", &ground.nobody, "100ms"), ("refused", &ground.bad.url, "1m")]
        {
            let (spool, input) = (ground.files.path(name), ground.files.path("input"));
            let args = [
                "send",
                "--spool",
                &spool,
                "--spool-size",
                "1MiB",
                "--datafile",
                datafile(),
                "--batch-size",
                "1",
            ];
            run(&[&args[..], &["--endpoint", endpoint, "--max-time", time, &input]].concat()).ended(1);
        }
        ground
    }

    /// A folder with a spool of each kind, and the command's arguments in it.
    fn prepare(&self, number: usize, line: &str) -> (String, Vec<String>) {
        let dir = self.files.path(&format!("case-{number}"));
        fs::create_dir(&dir).unwrap();
        for spool in ["waiting", "refused"].iter().filter(|spool| line.contains(**spool)) {
            copy(&self.files.path(spool), &format!("{dir}/{spool}"));
        }
        let input = self.files.path("input");
        let words = line.split(' ').map(|word| {
            let word = word.replace("GOOD", &self.good.url).replace("BAD", &self.bad.url);
            let word = word.replace("NOBODY", &self.nobody).replace("DATAFILE", datafile());
            word.replace("INPUT", &input).replace("DIR", &dir)
        });
        let words = words.collect();
        (dir, words)
    }

    fn check(&self, number: usize, line: &str, limit: Limit, value: u64) -> Option<String> {
        let (dir, args) = self.prepare(number, line);
        let letters = line.contains("refused").then(|| dead_letters(&format!("{dir}/refused")));
        let mut command = limited(limit, value, &args);
        if limit == Limit::Threads {
            let user = 54_000 + u32::try_from(number).unwrap();
            own(Path::new(&dir), user);
            command.uid(user).gid(user);
        }
        let wrong = match ended(&mut command, line.starts_with("collect")) {
            None => Some("it does not end".to_owned()),
            Some(output) => wrong_end(&output, limit).or_else(|| Self::loss(line, &dir, &output, letters)),
        };
        fs::remove_dir_all(&dir).unwrap();
        wrong.map(|wrong| format!("{limit:?} {value}, {line}: {wrong}"))
    }

    /// Every event of the input, and of the spools, is somewhere.
    fn loss(line: &str, dir: &str, output: &Output, letters: Option<usize>) -> Option<String> {
        let stdout = String::from_utf8_lossy(&output.stdout);
        if let Some(before) = letters {
            let waiting = run(&["spool", "cat", &format!("{dir}/refused")]).stdout.lines().count();
            let dead = dead_letters(&format!("{dir}/refused"));
            // A letter that is put back may be in both places.
            return (dead + waiting < before)
                .then(|| format!("{before} letters became {dead} and {waiting} waiting"));
        }
        if line.contains("waiting") && !line.contains("drain") {
            let waiting = run(&["spool", "cat", &format!("{dir}/waiting")]).stdout.lines().count();
            return (waiting != EVENTS).then(|| format!("{waiting} of {EVENTS} wait"));
        }
        if line.contains("--spool") && stdout.contains(&format!("= 0 delivered + {EVENTS} dead-lettered")) {
            let kept = dead_letters(&format!("{dir}/new"));
            return (kept != EVENTS).then(|| format!("{kept} of {EVENTS} dead letters are kept"));
        }
        None
    }
}

/// Whether every user can get at it.
fn is_open(path: &Path) -> bool {
    let path = path.canonicalize().unwrap();
    path.ancestors().skip(1).all(|folder| folder.metadata().unwrap().permissions().mode() & 1 == 1)
}

fn dead_letters(spool: &str) -> usize {
    run(&["spool", "dead", spool]).stdout.lines().count()
}

fn copy(from: &str, to: &str) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), Path::new(to).join(entry.file_name()));
        if from.is_dir() {
            copy(from.to_str().unwrap(), to.to_str().unwrap());
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

fn own(path: &Path, user: u32) {
    std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path(), user);
        }
    }
}

/// The program behind a shell that sets the limit.
fn limited(limit: Limit, value: u64, args: &[String]) -> Command {
    let set = match limit {
        Limit::Descriptors => "ulimit -n",
        // Where the one is not known, the other is.
        Limit::Threads => "ulimit -u $0 2>/dev/null || ulimit -p",
        Limit::Memory => "ulimit -v",
        Limit::FileSize => "ulimit -f",
    };
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("{set} $0 && exec \"$@\""),
        &value.to_string(),
        env!("CARGO_BIN_EXE_posthaste"),
    ]);
    command.args(args).env("RUST_BACKTRACE", "0").env_remove("POSTHASTE_LOG").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `None`: it had to be killed.
fn ended(command: &mut Command, is_stopped: bool) -> Option<Output> {
    let child = command.spawn().unwrap();
    let id = rustix::process::Pid::from_child(&child);
    let reader = thread::spawn(move || child.wait_with_output().unwrap());
    let started = SystemClock.elapsed();
    let after = |time| SystemClock.elapsed() > started + time;
    while !reader.is_finished() {
        if after(LONG) {
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
            reader.join().unwrap();
            return None;
        }
        if is_stopped && after(Duration::from_millis(500)) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Some(reader.join().unwrap())
}

/// How it must not end.
fn wrong_end(output: &Output, limit: Limit) -> Option<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = stderr.chars().take(600).collect::<String>();
    if stderr.contains("panicked at") {
        return Some(format!("a panic: {said}"));
    }
    match output.status.code() {
        Some(0 | 130) => None,
        Some(1) if stderr.lines().any(|line| line.starts_with("posthaste: ")) => None,
        // What came of the events is the result.
        Some(1) if !output.stdout.is_empty() => None,
        // The loader and the allocator end the process themselves, with words of their own.
        Some(127) | None if limit == Limit::Memory && !said.is_empty() => None,
        code => Some(format!("exit code {code:?}: {said}")),
    }
}

/// All cases, or some that the seed picks.
fn cases(is_root: bool, wanted: &str) -> Vec<(&'static str, Limit, u64)> {
    let limits: Vec<_> =
        limits().into_iter().filter(|(limit, _)| is_root || *limit != Limit::Threads).collect();
    let mut all: Vec<_> = COMMANDS
        .iter()
        .flat_map(|line| limits.iter().map(move |(limit, value)| (*line, *limit, *value)))
        .collect();
    if wanted != "all" {
        fastrand::Rng::with_seed(wanted.parse().unwrap()).shuffle(&mut all);
        all.truncate(PICKED);
    }
    all
}

#[test]
fn a_command_with_too_little_of_anything_says_so_and_loses_nothing() {
    let ground = Ground::new();
    let wanted = std::env::var("POSTHASTE_LIMITS").unwrap_or_else(|_| fastrand::u32(..).to_string());
    let cases = cases(ground.is_root, &wanted);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    let Some((line, limit, value)) = cases.get(number) else { break };
                    let found = ground.check(number, line, *limit, *value);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "POSTHASTE_LIMITS={wanted}:\n{}", wrong.join("\n"));
}

#[test]
fn too_few_descriptors_are_one_line_and_exit_code_1() {
    let files = Files::new();
    let (input, spool) = (files.write("input", impression("ann")), files.path("spool"));
    for args in [
        &["demo"][..],
        &["send", "--datafile", datafile(), "--endpoint", "http://127.0.0.1:9/", &input],
        &["send", "--datafile", datafile(), "--spool", &spool, &input],
        &["collect", "--listen", "0"],
        &["validate", datafile()],
        &["spool", "status", &spool],
        &["torture", "--dir", &spool],
    ] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let output = limited(Limit::Descriptors, 4, &args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{args:?}: {stderr}");
        assert!(stderr.contains("file descriptors") && stderr.contains("ulimit -n"), "{stderr}");
        assert!(output.stdout.is_empty() && !Path::new(&spool).exists(), "nothing has happened");
    }
}
