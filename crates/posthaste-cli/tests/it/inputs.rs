//! What lines come from: compressed files, several of them, a terminal; and what of them a spool takes up again.

use std::fs;

use crate::{
    support::{
        Collector, Files, Ran, Server, command, datafile, dead_endpoint, impression, interrupt, run, run_with,
    },
    terminal::Terminal,
};

/// 3,000 events, packed by `gzip` and `zstd` themselves, each in two pieces.
fn packed(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

const PACKED: [&str; 2] = ["events.jsonl.gz", "events.jsonl.zst"];

fn send(endpoint: &str, rest: &[&str]) -> Ran {
    run(&[&["send", "--json", "--datafile", datafile(), "--endpoint", endpoint], rest].concat())
}

/// A line that gets its uuid and its time from whoever sends it: sent twice, it counts twice.
fn line(user: &str) -> String {
    format!("{{\"type\":\"conversion\",\"user_id\":\"{user}\",\"event\":\"purchase\"}}\n")
}

fn arrived(server: &Server) -> Vec<String> {
    let mut users = Vec::new();
    for body in server.bodies() {
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let visitors = body["visitors"].as_array().unwrap().iter();
        users.extend(visitors.map(|visitor| visitor["visitor_id"].as_str().unwrap().to_owned()));
    }
    users.sort();
    users
}

#[test]
fn compressed_inputs_are_told_by_their_content() {
    let files = Files::new();
    for name in PACKED {
        let collector = Collector::start(&["--datafile", datafile()]);
        let bytes = fs::read(packed(name)).unwrap();
        let renamed = files.write("events.jsonl", &bytes);
        let report = send(&collector.url, &[&renamed]).ended(0).json();
        assert_eq!(
            (&report["lines"], &report["total"]["delivered"]),
            (&3_000.into(), &3_000.into()),
            "{name}"
        );
        let args = ["send", "--datafile", datafile(), "--endpoint", &collector.url];
        run_with(&args, &bytes).ended(0);
        let ledger = collector.stop();
        assert_eq!(
            (&ledger["unique"], &ledger["events"]),
            (&3_000.into(), &6_000.into()),
            "{name}: {ledger}"
        );
        let ran = run(&["validate", "--datafile", datafile(), &renamed]);
        assert_eq!(ran.ended(0).stdout, "events (3,000 lines): sound\n", "{name}");
    }
}

#[test]
fn a_compressed_input_that_is_cut_off_or_broken_says_where() {
    let files = Files::new();
    for (name, format) in [("events.jsonl.gz", "gzip"), ("events.jsonl.zst", "Zstandard")] {
        let server = Server::start(false, |_| 204);
        let bytes = fs::read(packed(name)).unwrap();
        let cut = bytes.len() * 3 / 4;
        let input = files.write("cut", &bytes[..cut]);
        let ran = send(&server.url, &[&input]);
        let report = ran.ended(1).json();
        let next = report["stopped"]["line"].as_u64().unwrap();
        assert!(next > 1_500, "the first piece is whole: {report}");
        assert_eq!(report["total"]["delivered"], next - 1, "what came before is sent: {report}");
        let told =
            format!("{input}:{next}: failed to read on: its {format} data ends too early, behind byte {cut}");
        assert!(ran.stderr.contains(&told), "{told}\n{}", ran.stderr);
        let ran = run(&["validate", "--datafile", datafile(), &input]);
        let told = format!("{input}:{next}: its {format} data ends too early");
        assert!(ran.ended(1).stdout.contains(&told), "{}", ran.stdout);

        let mut broken = bytes;
        broken[500] ^= 0x55;
        let input = files.write("broken", &broken);
        let ran = send(&server.url, &[&input]);
        assert!(
            ran.ended(1).stderr.contains(&format!("its {format} data is broken before byte ")),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_compressed_input_is_taken_up_in_what_is_unpacked() {
    for name in PACKED {
        let files = Files::new();
        let (spool, input) = (files.path("spool"), packed(name));
        // Reading stops where the spool is full.
        let small = ["--spool", &spool, "--spool-size", "1MiB", "--batch-size", "50", &input];
        let ran = send(&dead_endpoint(), &[&small[..], &["--max-time", "2s"]].concat());
        let read = ran.ended(1).json()["lines"].as_u64().unwrap();
        assert!(read > 100 && read < 3_000, "{name}: {read}");
        let server = Server::start(true, |_| 204);
        let ran = send(&server.url, &small);
        let report = ran.ended(0).json();
        assert_eq!(report["lines"], 3_000 - read, "{name}: {report}");
        assert!(ran.stderr.contains(&format!("{input} behind line {}", grouped(read))), "{}", ran.stderr);
        let mut users = arrived(&server);
        users.dedup();
        assert_eq!(users.len(), 3_000, "{name}");
        let report = send(&server.url, &small).ended(0).json();
        assert_eq!((&report["lines"], &report["total"]["delivered"]), (&0.into(), &0.into()), "{name}");
    }
}

fn grouped(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

/// The place is one in what is unpacked, so it does not matter that a rotation has packed the file.
#[test]
fn a_file_that_was_packed_after_it_was_read_in_part_is_taken_up() {
    let files = Files::new();
    let (spool, server) = (files.path("spool"), Server::start(true, |_| 204));
    let input = files.write("log", line("ann"));
    send(&server.url, &["--spool", &spool, &input]).ended(0);
    let more = files.write("log", line("ann") + &line("bob"));
    assert!(std::process::Command::new("gzip").arg(&more).status().unwrap().success());
    let report = send(&server.url, &["--spool", &spool, &files.path("log.gz")]).ended(0).json();
    assert_eq!(report["lines"], 1, "{report}");
    assert_eq!(arrived(&server), ["ann", "bob"]);
}

#[test]
fn a_compressed_file_cannot_be_followed() {
    let files = Files::new();
    for name in PACKED {
        let spool = files.path("spool");
        let ran = send("http://127.0.0.1:9/", &["--follow", "--spool", &spool, &packed(name)]);
        assert!(ran.ended(2).stderr.contains("is compressed ("), "{}", ran.stderr);
        assert!(!fs::exists(&spool).unwrap(), "nothing was made");
    }
}

#[test]
fn several_files_are_read_in_their_order_and_each_line_has_its_file() {
    let (files, server) = (Files::new(), Server::start(true, |_| 204));
    let one = files.write("one.jsonl", line("ann") + "bad");
    let two = files.write("two.jsonl", "\n".to_owned() + &line("bob") + "worse\n");
    let args =
        ["send", "--datafile", datafile(), "--endpoint", &server.url, &one, "-", &two, &packed(PACKED[0])];
    let ran = run_with(&args, (line("cid") + "worst\n").as_bytes());
    let told = [format!("{one}:2: not JSON"), "<stdin>:2: not JSON".to_owned(), format!("{two}:3: not JSON")];
    for (line, told) in ran.ended(1).stderr.lines().zip(&told) {
        assert!(line.starts_with(told), "{told}\n{}", ran.stderr);
    }
    assert!(
        ran.stdout.contains("read       3,007 lines: 3,003 events, 0 batches, 3 rejected, 1 blank\n"),
        "{ran:?}"
    );
    assert_eq!(arrived(&server).len(), 3_003);
}

#[test]
fn several_files_are_looked_at_before_anything_is_sent() {
    let (files, server) = (Files::new(), Server::start(true, |_| 204));
    let (one, spool) = (files.write("one.jsonl", line("ann")), files.path("spool"));
    for (rest, code, told) in [
        (&[&one[..], "no-such-file"][..], 1, "failed to read \"no-such-file\""),
        (&[&one, "/"], 1, "failed to read \"/\""),
        (&["-", &one, "-"], 2, "can be read once only"),
        (&["--spool", &spool, &one, "-"], 2, "standard input cannot be taken up"),
        (&["--spool", &spool, &one, "/dev/null"], 2, "is no plain file"),
        (&["--spool", &spool, &one, "no-such-file"], 1, "failed to read"),
        (&["--spool", &spool, "--follow", &one, &one], 2, "--follow reads one FILE"),
        (&["--rejects", &one, "other", &one], 2, "is also the input"),
    ] {
        let ran = send(&server.url, rest);
        assert!(ran.ended(code).stderr.contains(told), "{rest:?}: {}", ran.stderr);
    }
    assert!(server.bodies().is_empty() && !fs::exists(&spool).unwrap());
}

#[test]
fn several_files_are_taken_up_in_the_one_where_the_run_ended() {
    let (files, server) = (Files::new(), Server::start(true, |_| 204));
    let spool = files.path("spool");
    let one = files.write("one.jsonl", line("ann") + line("bob").trim_end());
    let two = files.write("two.jsonl", line("cid"));
    let send = |inputs: &[&str]| send(&server.url, &[&["--spool", &spool][..], inputs].concat());
    // Its last line has no end yet, as another process would leave it.
    files.write("three.jsonl", line("dan") + &line("eve")[..20]);
    let three = files.path("three.jsonl");
    let ran = send(&[&one, &two, &three]);
    let report = ran.ended(0).json();
    assert_eq!((&report["lines"], &report["unfinished_line"]), (&4.into(), &2.into()), "{report}");
    files.write("three.jsonl", line("dan") + &line("eve"));
    let four = files.write("four.jsonl", line("fay"));
    let report = send(&[&one, &two, &three, &four]).ended(0).json();
    assert_eq!((&report["lines"], &report["total"]["delivered"]), (&2.into(), &2.into()), "{report}");
    let report = send(&[&one, &two, &three, &four]).ended(0).json();
    assert_eq!(report["lines"], 0, "{report}");
    assert_eq!(arrived(&server), ["ann", "bob", "cid", "dan", "eve", "fay"]);
    let position = run(&["spool", "status", "--json", &spool]).json()["position"].clone();
    assert_eq!(
        (&position["earlier"]["files"], &position["lines"], &position["earlier_lines"]),
        (&3.into(), &1.into(), &5.into())
    );
}

#[test]
fn other_files_or_another_order_are_refused_while_there_is_something_left() {
    let files = Files::new();
    let spool = files.path("spool");
    let (one, two) = (files.write("one.jsonl", line("ann")), files.write("two.jsonl", line("bob")));
    let endpoint = dead_endpoint();
    let stuck = |inputs: &[&str]| {
        send(&endpoint, &[&["--spool", &spool, "--max-time", "300ms"][..], inputs].concat())
    };
    assert_eq!(stuck(&[&one, &two]).ended(1).json()["total"]["left"], 2);
    let other = files.write("other.jsonl", line("cid"));
    for (inputs, why) in [
        (&[&two[..], &one][..], "the first files are not those that were read before"),
        (&[&one, &other], "does not begin with what was read"),
        (&[&two], "these are fewer"),
        (&[&other, &two], "the first files are not those that were read before"),
    ] {
        let ran = stuck(inputs);
        assert!(
            ran.ended(1).stderr.contains(why) && ran.stderr.contains("spool drain"),
            "{inputs:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    files.write("one.jsonl", line("ann") + &line("too late"));
    assert!(stuck(&[&one, &two]).ended(1).stderr.contains("have changed since"));
    files.write("one.jsonl", line("ann"));
    let server = Server::start(true, |_| 204);
    let report = send(&server.url, &["--spool", &spool, &one, &two]).ended(0).json();
    assert_eq!((&report["lines"], &report["total"]["recovered"]), (&0.into(), &2.into()), "{report}");
    // It is done, and takes others.
    send(&server.url, &["--spool", &spool, &other, &one]).ended(0);
    assert_eq!(arrived(&server), ["ann", "ann", "bob", "cid"]);
}

#[test]
fn several_files_are_validated_each_for_itself() {
    let files = Files::new();
    let bad = files.write("bad.jsonl", impression("ann") + "{\n");
    let ran = run(&["validate", "--datafile", datafile(), datafile(), &bad, &packed(PACKED[1])]);
    let lines: Vec<&str> = ran.ended(1).stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with(&format!("{}: datafile (", datafile())), "{lines:?}");
    assert!(lines[1].starts_with(&format!("{bad}:2: not JSON")), "{lines:?}");
    assert_eq!(lines[2], format!("{bad}: events (2 lines): 1 problem"));
    assert!(lines[3].ends_with(": events (3,000 lines): sound"), "{lines:?}");
    let ran = run(&["validate", "--json", datafile(), &bad]);
    let sound = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let found: Vec<_> = ran.ended(1).stdout.lines().map(sound).collect();
    assert_eq!((&found[0]["sound"], &found[1]["file"]), (&true.into(), &bad.into()));
}

#[test]
fn who_types_is_told_how_to_end() {
    let server = Server::start(true, |_| 204);
    let told = "reading events from the terminal; end with Ctrl-D";
    let args = ["send", "--datafile", datafile(), "--endpoint", &server.url];
    let mut terminal = Terminal::start(&args);
    terminal.see(told);
    terminal.type_in(&line("ann"));
    terminal.type_in("\u{4}");
    let (code, screen) = terminal.end();
    assert!(code == Some(0) && screen.contains("1 line: 1 event"), "{screen}");
    assert_eq!(arrived(&server), ["ann"]);

    // And at once.
    let mut terminal = Terminal::start(&args);
    terminal.see(told);
    terminal.type_in("\u{4}");
    assert_eq!(terminal.end().0, Some(0));
    let mut terminal = Terminal::start(&["validate", "-"]);
    terminal.see(told);
    terminal.type_in("\u{4}");
    assert_eq!(terminal.end().0, Some(1), "nothing is no events");
}

#[test]
fn one_ctrl_c_ends_a_stream_well_if_everything_was_delivered() {
    let server = Server::start(true, |_| 204);
    let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &server.url, "--batch-size", "1"];
    let mut child = command(&args).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), line("ann").as_bytes()).unwrap();
    while server.hits() == 0 {
        std::thread::yield_now();
    }
    interrupt(&child);
    // The input is open all the while.
    let stdin = child.stdin.take();
    let ran: Ran = child.wait_with_output().unwrap().into();
    drop(stdin);
    let report = ran.ended(0).json();
    assert_eq!(report["stopped"], serde_json::json!({"line": 2, "reason": "signal"}));
    assert_eq!(report["total"]["delivered"], 1);
}

/// A file has an end, and this one was not read to it.
#[test]
fn one_ctrl_c_in_the_middle_of_a_file_is_no_success() {
    let (files, server) = (Files::new(), Server::start(true, |_| 204));
    let input =
        files.write("in.jsonl", (0..20_000).map(|user| line(&format!("u{user}"))).collect::<String>());
    let slow = ["--queue-size", "1", "--batch-size", "1", "--in-flight", "1", &input];
    let args = [&["send", "--json", "--datafile", datafile(), "--endpoint", &server.url], &slow[..]].concat();
    let child = command(&args).spawn().unwrap();
    while server.hits() == 0 {
        std::thread::yield_now();
    }
    interrupt(&child);
    let ran: Ran = child.wait_with_output().unwrap().into();
    let report = ran.ended(1).json();
    assert_eq!((&report["total"]["left"], &report["stopped"]["reason"]), (&0.into(), &"signal".into()));
}

#[test]
fn datafile_and_endpoint_may_stand_in_the_environment() {
    let (files, server) = (Files::new(), Server::start(true, |_| 204));
    let input = files.write("in.jsonl", line("ann"));
    let run_in = |args: &[&str], endpoint: &str| -> Ran {
        let mut command = command(args);
        command.env("POSTHASTE_DATAFILE", datafile()).env("POSTHASTE_ENDPOINT", endpoint);
        command.output().unwrap().into()
    };
    run_in(&["send", &input], &server.url).ended(0);
    assert_eq!(arrived(&server), ["ann"]);
    let other = Server::start(true, |_| 204);
    run_in(&["send", "--endpoint", &other.url, &input], &server.url).ended(0);
    assert_eq!((arrived(&server).len(), arrived(&other).len()), (1, 1), "the command line wins");
    let ran = run_in(&["validate", &input], "");
    assert_eq!(ran.ended(0).stdout, "events (1 line): sound\n", "its keys were looked up");
    let secret = "http://me:secret@127.0.0.1:9/v1/events";
    assert!(!run_in(&["send", "--help"], secret).ended(0).stdout.contains("secret"));
    assert!(!run_in(&["send", &input], secret).ended(2).stderr.contains("secret"));
}

#[test]
fn every_line_that_was_read_is_in_the_books() {
    let (files, server) = (Files::new(), Server::start(true, |_| 204));
    let batch = &crate::support::recorded_bodies("python-sdk-5.7.0.requests.jsonl")[0];
    let text = line("ann") + "\n  \r\n" + batch + "\nbad\n\n" + &line("bob");
    let spool = files.path("spool");
    for more in [&[][..], &["--spool", &spool]] {
        let report = send(&server.url, &[more, &[&files.write("in.jsonl", &text)]].concat()).ended(1).json();
        let number = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(number("blank_lines"), 3, "{report}");
        let sum = ["event_lines", "batch_lines", "blank_lines", "rejected"].map(number).iter().sum::<u64>();
        assert_eq!((number("lines"), sum), (7, 7), "{report}");
    }
    // A line that went on after it was taken for whole is rejected, and is no line.
    files.write("in.jsonl", text.trim_end());
    let spool = files.path("other-spool");
    send(&server.url, &["--spool", &spool, &files.path("in.jsonl")]).ended(1);
    let more = files.write("in.jsonl", text.trim_end().to_owned() + "more\n" + &line("cid"));
    let report = send(&server.url, &["--spool", &spool, &more]).ended(1).json();
    let number = |name: &str| report[name].as_u64().unwrap();
    assert_eq!((number("lines"), number("rejected"), number("line_rests")), (1, 1, 1), "{report}");
}

#[test]
fn dead_letters_are_shown_as_the_api_wrote_them() {
    let files = Files::new();
    // Its datafile does not know the experiment yet.
    let older = fs::read_to_string(datafile()).unwrap().replace("40011", "49911");
    let collector = Collector::start(&["--strict", "--datafile", &files.write("older.json", older)]);
    let (dead, spool) = (files.path("dead.jsonl"), files.path("spool"));
    let input = files.write("in.jsonl", impression("ann"));
    for more in [&["--dead-letters", &dead][..], &["--spool", &spool]] {
        let ran = send(&collector.url, &[more, &[&input]].concat());
        let told = ran.ended(1).stderr.lines().find(|line| line.starts_with("dead letter: ")).unwrap();
        assert!(told.contains("status 400: [{\"") && !told.contains(r#"{\""#), "{told}");
    }
    let listed = run(&["spool", "dead", &spool]).ended(0).stdout.clone();
    for letters in [String::from_utf8(files.read("dead.jsonl")).unwrap(), listed] {
        assert_eq!((letters.lines().count(), letters.contains(r#"{\""#)), (1, false), "{letters}");
        let letter: serde_json::Value = serde_json::from_str(&letters).unwrap();
        assert!(letter["text"].is_array(), "{letter}");
        // `send` reads it: what is wrong is the event, for the API, and not the letter.
        let args = ["send", "--json", "--datafile", datafile(), "--endpoint", &collector.url];
        let again = run_with(&args, letters.as_bytes());
        assert!(again.ended(1).stderr.contains("is no experiment of the datafile"), "{}", again.stderr);
        assert_eq!(
            (&again.json()["rejected"], &again.json()["total"]["dead_lettered"]),
            (&0.into(), &1.into())
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_keeps_no_other_from_being_judged() {
    let files = Files::new();
    let good = files.write("good.jsonl", line("ann"));
    let bad = files.write("bad.jsonl", "{");
    let ran = run(&["validate", &good, &files.path("missing"), &bad]);
    assert!(ran.ended(1).stderr.contains("missing"), "{ran:?}");
    assert!(ran.stdout.contains("good.jsonl: events (1 line): sound"), "{ran:?}");
    assert!(ran.stdout.contains("bad.jsonl:1: "), "{ran:?}");
}

#[test]
fn a_datafile_is_read_up_to_a_bound() {
    let files = Files::new();
    let large = files.write("large.json", "");
    std::fs::File::options().write(true).open(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    let ran = run(&["validate", "--datafile", &large, datafile()]);
    assert!(ran.ended(1).stderr.contains("more than 67108864 bytes"), "{ran:?}");
}
