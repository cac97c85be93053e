//! What people see of a run while it lasts, and that nothing of it is left on the screen.

use std::{
    io::{BufRead, BufReader},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
};

use rustix::process::Signal;

use crate::{
    support::{Files, Ran, Server, command, datafile, dead_endpoint, impression, interrupt, run, signal},
    terminal::{BAR, Terminal},
};

/// Answers 204 to so many requests, and then nothing until it is opened.
struct Gate {
    server: Server,
    room: Arc<(Mutex<usize>, Condvar)>,
}

impl Gate {
    fn start(room: usize) -> Self {
        let room = Arc::new((Mutex::new(room), Condvar::new()));
        let gate = Arc::clone(&room);
        let server = Server::start(false, move |_| {
            let (room, changed) = &*gate;
            let mut room = changed.wait_while(room.lock().unwrap(), |room| *room == 0).unwrap();
            *room -= 1;
            204
        });
        Self { server, room }
    }

    fn open(&self) {
        *self.room.0.lock().unwrap() = usize::MAX;
        self.room.1.notify_all();
    }
}

fn input(files: &Files, events: usize) -> String {
    files.write(
        "events.jsonl",
        (0..events).map(|user| impression(&format!("user-{user}"))).collect::<String>(),
    )
}

fn send<'a>(endpoint: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    [&["send", "--datafile", datafile(), "--endpoint", endpoint], rest].concat()
}

/// Ten events in each request, one request at a time.
const SLOW: [&str; 6] = ["--batch-size", "10", "--in-flight", "1", "--request-timeout", "1m"];

fn has_bar(screen: &str) -> bool {
    screen.contains(BAR)
}

#[test]
fn one_bar_shows_what_is_delivered_of_what_was_read_and_goes() {
    let (files, gate) = (Files::new(), Gate::start(4));
    let input = input(&files, 100);
    let terminal = Terminal::start(&send(&gate.server.url, &[&SLOW[..], &[&input]].concat()));
    let screen = terminal.see("40%, 40 delivered of 100 read");
    assert_eq!(screen.lines().filter(|line| has_bar(line)).count(), 1, "{screen}");
    gate.open();
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0));
    assert!(!has_bar(&screen) && !screen.contains('%'), "{screen}");
    assert!(screen.starts_with("read       100 lines: 100 events"), "{screen}");
}

#[test]
fn a_run_that_is_taken_up_starts_where_it_is() {
    let (files, gate) = (Files::new(), Gate::start(3));
    let (spool, input) = (files.path("spool"), input(&files, 100));
    let args = [&SLOW[..], &["--spool", &spool, &input]].concat();
    let first = [&args[..], &["--json", "--max-time", "2s"]].concat();
    let total = run(&send(&gate.server.url, &first)).ended(1).json()["total"].clone();
    assert_eq!((&total["delivered"], &total["left"]), (&30.into(), &70.into()), "{total}");

    let gate = Gate::start(1);
    let terminal = Terminal::start(&send(&gate.server.url, &args));
    let screen = terminal.see("40%, 10 delivered of 70 read");
    assert!(screen.contains("70 records are to be delivered first"), "{screen}");
    gate.open();
    let (code, screen) = terminal.end();
    assert_eq!((code, has_bar(&screen)), (Some(0), false), "{screen}");
}

#[test]
fn what_waits_in_a_spool_is_a_bar_of_its_own() {
    let files = Files::new();
    let (spool, input) = (files.path("spool"), input(&files, 100));
    let args = ["--spool", &spool, "--max-time", "1s", &input];
    run(&send(&dead_endpoint(), &args)).ended(1);
    let gate = Gate::start(5);
    let drain = ["spool", "drain", &spool, "--endpoint", &gate.server.url];
    let terminal = Terminal::start(&[&drain[..], &SLOW].concat());
    terminal.see("50%, 50 delivered of 100");
    gate.open();
    let (code, screen) = terminal.end();
    assert_eq!((code, has_bar(&screen)), (Some(0), false), "{screen}");
}

/// A server whose answer a test changes.
fn answering(status: u16) -> (Server, Arc<AtomicU16>) {
    let answer = Arc::new(AtomicU16::new(status));
    let says = Arc::clone(&answer);
    (Server::start(false, move |_| says.load(SeqCst)), answer)
}

#[test]
fn waiting_for_an_end_point_is_said_with_the_reason_until_it_is_over() {
    let (files, (server, answer)) = (Files::new(), answering(503));
    let input = input(&files, 30);
    let terminal = Terminal::start(&send(&server.url, &[&SLOW[..], &[&input]].concat()));
    let screen = terminal.see("waiting for http://");
    assert!(screen.contains("status 503") && screen.contains("refused"), "{screen}");
    answer.store(204, SeqCst);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(!has_bar(&screen) && !screen.contains("waiting"), "{screen}");
}

#[test]
fn waiting_for_room_is_said_with_the_reason() {
    let (files, (server, answer)) = (Files::new(), answering(503));
    let (spool, input) = (files.path("spool"), input(&files, 3_000));
    let args = ["--spool", &spool, "--spool-size", "1MiB", "--batch-size", "100", &input];
    let terminal = Terminal::start(&send(&server.url, &args));
    terminal.see("; for room in the spool (");
    answer.store(204, SeqCst);
    let (code, screen) = terminal.end();
    assert_eq!((code, has_bar(&screen)), (Some(0), false), "{screen}");
}

#[test]
fn elsewhere_waiting_is_a_line_and_so_is_its_end() {
    let (files, (server, answer)) = (Files::new(), answering(503));
    let input = input(&files, 30);
    let mut child = command(&send(&server.url, &[&SLOW[..], &[&input]].concat())).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    // What the library logs is beside it.
    let mut lines = lines.filter(|line| !line.contains(" WARN "));
    let first = lines.next().unwrap();
    assert!(first.starts_with(&format!("posthaste: waiting for {}: status 503", server.url)), "{first}");
    answer.store(204, SeqCst);
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().all(|line| line == "posthaste: delivering again"), "{rest:?}");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_left_is_said_with_the_reason() {
    let files = Files::new();
    let input = input(&files, 3);
    let endpoint = dead_endpoint();
    let ran = run(&send(&endpoint, &["--max-time", "500ms", &input]));
    let told = format!("posthaste: not delivered: 3 events: {endpoint}: ");
    assert!(ran.ended(1).stderr.contains(&told), "{}", ran.stderr);
    let report = run(&send(&endpoint, &["--json", "--max-time", "500ms", &input])).ended(1).json();
    let reason = &report["reasons"][0];
    assert_eq!((&reason["end_point"], &reason["events"]), (&endpoint.into(), &3.into()), "{report}");
}

#[test]
fn an_interrupted_run_leaves_no_bar_behind() {
    for which in [Signal::INT, Signal::TERM] {
        let (files, gate) = (Files::new(), Gate::start(1));
        let input = input(&files, 30);
        let args = [&SLOW[..], &["--drain", "200ms", &input]].concat();
        let mut terminal = Terminal::start(&send(&gate.server.url, &args));
        terminal.see("10 delivered of 30 read");
        // A terminal echoes it behind whatever stands there.
        terminal.type_in("\u{3}");
        terminal.see("^C");
        signal(&terminal.child, which);
        let (code, screen) = terminal.end();
        assert_eq!((code, has_bar(&screen)), (Some(1), false), "{screen}");
        assert!(screen.contains("20 left"), "{screen}");
    }
}

#[test]
fn quitting_at_once_leaves_no_bar_behind_and_keeps_what_is_left() {
    let (files, gate) = (Files::new(), Gate::start(1));
    let (input, left) = (input(&files, 30), files.path("left.jsonl"));
    let args = [&SLOW[..], &["--drain", "1h", "--leftover", &left, &input]].concat();
    let terminal = Terminal::start(&send(&gate.server.url, &args));
    terminal.see("10 delivered of 30 read");
    interrupt(&terminal.child);
    terminal.see("Ctrl-C again quits at once");
    interrupt(&terminal.child);
    let (code, screen) = terminal.end();
    assert_eq!((code, has_bar(&screen)), (Some(130), false), "{screen}");
    assert!(screen.contains("10 delivered + 0 dead-lettered + 20 left"), "{screen}");
    assert_eq!(files.lines("left.jsonl").len(), 20);
}

/// Signals end this one at once.
#[test]
fn an_interrupted_command_leaves_no_bar_behind() {
    let files = Files::new();
    let dir = files.path("torture");
    let terminal = Terminal::start(&["torture", "--dir", &dir, "--events", "1000000", "--time", "1m"]);
    terminal.see(" events, ");
    terminal.see(&BAR[1].to_string());
    interrupt(&terminal.child);
    let (code, screen) = terminal.end();
    assert_eq!((code, has_bar(&screen)), (None, false), "{screen}");
}

#[test]
fn lines_are_written_beside_the_bar() {
    let (files, gate) = (Files::new(), Gate::start(1));
    let text: String = (0..30).map(|user| impression(&format!("user-{user}")) + "{}\n").collect();
    let input = files.write("events.jsonl", text);
    let args = send(&gate.server.url, &[&SLOW[..], &["-vv", &input]].concat());
    let terminal = Terminal::start(&args);
    terminal.see("10 delivered of 30 read");
    gate.open();
    let (code, screen) = terminal.end();
    assert_eq!((code, has_bar(&screen)), (Some(1), false), "{screen}");
    assert_eq!(screen.matches("type is missing").count(), 20, "{screen}");
}

#[test]
fn there_is_a_bar_only_where_it_is_wanted() {
    let files = Files::new();
    let input = input(&files, 30);
    for (more, no_color, wanted) in [
        (&["--color", "never"][..], "", false),
        (&["--json"], "", false),
        (&["-q"], "", false),
        (&[], "1", false),
        (&["--color", "always"], "1", true),
        (&[], "", true),
    ] {
        let gate = Gate::start(0);
        let args = send(&gate.server.url, &[&SLOW[..], more, &["--drain", "0s", &input]].concat());
        let terminal = Terminal::start_with(&args, |command| command.env("NO_COLOR", no_color));
        if wanted {
            terminal.see("0 delivered of 30 read");
        } else {
            while gate.server.hits() == 0 {
                std::thread::yield_now();
            }
        }
        assert_eq!(has_bar(&terminal.screen()), wanted, "{more:?} {no_color}: {}", terminal.screen());
        interrupt(&terminal.child);
        let (_, screen) = terminal.end();
        assert!(!has_bar(&screen), "{screen}");
    }
    let child =
        command(&send(&dead_endpoint(), &["--color", "always", "--max-time", "500ms", &input])).output();
    let ran: Ran = child.unwrap().into();
    assert!(!has_bar(&ran.stderr), "no terminal, no bar: {}", ran.stderr);
}
