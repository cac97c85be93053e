//! What people read, word for word: the help of every command, and what is said when something is wrong.
//!
//! `INSTA_UPDATE=always cargo test -p posthaste-cli snapshots` writes them anew; the change is then there to be read.

use crate::support::{Files, Server, command, datafile, impression, run, run_with};

/// Every command, as one writes it.
const COMMANDS: &[&str] = &[
    "",
    "demo",
    "send",
    "spool",
    "spool status",
    "spool cat",
    "spool verify",
    "spool repair",
    "spool dead",
    "spool replay",
    "spool drain",
    "relay",
    "relay check",
    "relay config",
    "collect",
    "collect run",
    "collect ready",
    "expect",
    "tail",
    "validate",
    "doctor",
    "ledger",
    "torture",
    "completions",
    "man",
];

fn help(name: &str, flag: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().chain([flag]).collect();
    run(&words).ended(0).stdout.clone()
}

#[test]
fn the_help_of_every_command() {
    for name in COMMANDS {
        let title = format!("help {name}").trim().replace(' ', "-");
        insta::assert_snapshot!(title, help(name, "--help"));
    }
    insta::assert_snapshot!("short-help-send", help("send", "-h"));
}

#[test]
fn no_command_is_left_out() {
    for (name, prefix) in [("", ""), ("spool", "spool "), ("relay", "relay "), ("collect", "collect ")] {
        let help = help(name, "--help");
        let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let named = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for command in named.map(|line| line.split_whitespace().next().unwrap()) {
            let command = format!("{prefix}{command}");
            assert!(command.ends_with("help") || COMMANDS.contains(&&*command), "{command}");
        }
    }
}

/// Nobody's terminal breaks a line of it, and what is to be copied stays on its line.
#[test]
fn help_fits_into_80_columns_and_examples_are_whole() {
    for name in COMMANDS {
        for flag in ["--help", "-h"] {
            let help = help(name, flag);
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{name} {flag}: {line:?}");
            }
            let examples = help.split("Examples:\n").nth(1).unwrap().split("\n\n").next().unwrap();
            let mut goes_on = false;
            for line in examples.lines() {
                let is_start =
                    ["  posthaste ", "  curl ", "  # "].iter().any(|start| line.starts_with(start));
                assert!(is_start || (goes_on && line.starts_with("      ")), "{name}: {line:?}");
                goes_on = line.ends_with('\\');
            }
        }
    }
}

#[test]
fn what_is_said_of_wrong_usage() {
    let said: String = [
        &["send", "--fly"][..],
        &["send", "--batch-size", "many"],
        &["send", "--batch-size", "11", "--queue-size", "10", "--datafile", "DATAFILE"],
        &["send", "--flush-interval", "30"],
        &["send", "--strict", "sometimes"],
        &["send", "--endpoint", "logx.optimizely.com"],
        &["send", "--follow", "log.jsonl"],
        &["send", "--spool", "dir"],
        &["send", "--spool", "dir", "--spool-size", "10 bushels", "log.jsonl"],
        &["send", "--follow", "--spool", "dir", "one.jsonl", "two.jsonl"],
        &["send", "-", "-"],
        &["send", "-q", "-v"],
        &["spool", "dead", "dir", "--purge"],
        &["validate"],
        &["collect", "--listen", "nowhere"],
        &["relay"],
        &["relay", "--upstream", "us", "--listen", "nowhere", "--drain-delay", "soon"],
        &["relay", "--upstream", "ftp://me:secret@relay/"],
        &["relay", "--upstream", "us", "--memory", "--data", "dir"],
        &["relay", "--upstream", "http://127.0.0.1:8090/v1/events"],
    ]
    .map(|args| {
        let words: Vec<&str> =
            args.iter().map(|word| if *word == "DATAFILE" { datafile() } else { word }).collect();
        format!("$ posthaste {}\n{}\n", args.join(" "), run(&words).ended(2).stderr)
    })
    .concat();
    insta::assert_snapshot!("wrong-usage", said);
}

#[test]
fn what_is_said_of_failures() {
    let folder = std::env::temp_dir();
    let said: String = [
        &["send", "no-such-file"][..],
        &["send", "--datafile", "no-such-file"],
        &["send", "/"],
        &["send", "--rejects", "/no/such/folder/file"],
        &["send", "--spool", "no/such/folder", "no-such-file"],
        &["validate", "no-such-file"],
        &["spool", "status", "no-such-folder"],
        &["man", "--dir", "/dev/null/man"],
        &["relay", "check", "--config", "no-such-file"],
        &["relay", "check", "--upstream", "us", "--data", "/dev/null/data"],
    ]
    .map(|args| {
        let ran = command(args).current_dir(&folder).output().unwrap();
        format!("$ posthaste {}\n{}\n", args.join(" "), String::from_utf8(ran.stderr).unwrap())
    })
    .concat();
    insta::assert_snapshot!("failures", said);
}

/// One of each kind, so that all of them can be read beside each other.
#[test]
fn what_is_said_of_lines() {
    let files = Files::new();
    let server = Server::start(false, |_| 204);
    let text = impression("ann")
        + "not json\n\n[]\n{}\n"
        + "{\"type\":\"click\",\"user_id\":\"a\"}\n"
        + "{\"type\":\"conversion\",\"user_id\":17,\"event\":\"purchase\"}\n"
        + "{\"type\":\"conversion\",\"user_id\":\"a\",\"event\":\"fly\"}\n"
        + "{\"type\":\"conversion\",\"user_id\":\"a\",\"event\":\"purchase\",\"tagz\":{}}\n"
        + "{\"type\":\"conversion\",\"user_id\":\"a\",\"event\":\"purchase\",\"timestamp\":\"yesterday\"}\n";
    files.write("events.jsonl", &text);
    let send = ["send", "--datafile", datafile(), "--endpoint", &server.url, "events.jsonl"];
    let ran = command(&send).current_dir(files.path("")).output().unwrap();
    insta::assert_snapshot!("lines-send", String::from_utf8(ran.stderr).unwrap());
    let validated = run_with(&["validate", "--datafile", datafile(), "-"], text.as_bytes());
    insta::assert_snapshot!("lines-validate", validated.ended(1).stdout);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let files = Files::new();
    let dir = files.path("man1");
    run(&["man", "--dir", &dir]).ended(0);
    let mut pages: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    let page = |name: &&str| format!("posthaste {name}").trim().replace(' ', "-") + ".1";
    let mut expected: Vec<String> = COMMANDS.iter().map(page).collect();
    expected.sort();
    assert_eq!(pages, expected);
    let send = String::from_utf8(files.read("man1/posthaste-send.1")).unwrap();
    assert!(send.contains(".TH posthaste-send 1") || send.contains(".TH posthaste\\-send 1"), "{send}");
    for part in ["--datafile", "--drain", "Examples:", "send --spool DIR"] {
        assert!(send.replace("\\-", "-").contains(part), "{part}: {send}");
    }
    let first = run(&["man"]);
    assert_eq!(
        first.ended(0).stdout.trim_end(),
        String::from_utf8(files.read("man1/posthaste.1")).unwrap().trim_end()
    );
}
