//! Help, versions, usage errors, and what is written where.

use crate::support::{Files, command, datafile, run};

#[test]
fn every_command_teaches_with_examples() {
    let ran = run(&["--help"]);
    ran.ended(0);
    for (name, example) in [
        ("demo", "posthaste demo --events 50000 --seed 7"),
        ("send", "posthaste send --datafile datafile.json events.jsonl"),
        ("spool", "posthaste spool status DIR"),
        ("relay", "posthaste relay --upstream us"),
        ("collect", "posthaste collect --datafile datafile.json"),
        ("expect", "posthaste expect http://127.0.0.1:8080 --wait 8s"),
        ("tail", "posthaste tail http://127.0.0.1:8080"),
        ("validate", "posthaste validate datafile.json"),
        ("doctor", "posthaste doctor nats://127.0.0.1:4222/events"),
        ("ledger", "posthaste ledger nats://127.0.0.1:4222/events"),
        ("torture", "posthaste torture --dir /tmp/torture"),
        ("completions", "posthaste completions bash"),
        ("man", "posthaste man --dir"),
    ] {
        assert!(ran.stdout.contains(name), "{}", ran.stdout);
        let help = run(&[name, "--help"]);
        help.ended(0);
        assert!(help.stdout.contains("Examples:") && help.stdout.contains(example), "{}", help.stdout);
    }
    for option in [
        "--spool",
        "--follow",
        "--rejects",
        "--dead-letters",
        "--leftover",
        "--max-time",
        "--drain",
        "--strict",
    ] {
        assert!(run(&["send", "--help"]).stdout.contains(option), "{option}");
    }
}

#[test]
fn the_version_is_known() {
    let ran = run(&["--version"]);
    assert_eq!(ran.stdout, format!("posthaste {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell]);
        assert!(ran.ended(0).stdout.contains("validate"), "{shell}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &[][..],
        &["fly"],
        &["send", "--fly"],
        &["send", "--strict", "sometimes"],
        &["send", "--strict", "1.5"],
        &["send", "--flush-interval", "30"],
        &["send", "--drain", "-1s"],
        &["send", "--endpoint", "logx.optimizely.com"],
        &["send", "--batch-size", "many"],
        &["send", "--datafile", datafile(), "--batch-size", "0"],
        &["send", "--datafile", datafile(), "--batch-size", "11", "--queue-size", "10"],
        &["send", "--in-flight", "0"],
        &["send", "--spool", "dir"],
        &["send", "--spool", "dir", "--spool-size", "10 bushels", "file"],
        &["send", "--spool-size", "1GiB", "file"],
        &["send", "--follow", "file"],
        &["send", "--follow", "--spool", "dir"],
        &["send", "--follow", "--spool", "dir", "-"],
        &["spool"],
        &["spool", "dead", "dir", "--purge"],
        &["send", "--rejects", "same", "--leftover", "./same"],
        &["collect", "--listen", "nowhere"],
        &["expect"],
        &["expect", "http://127.0.0.1:9"],
        &["expect", "127.0.0.1:9", "{\"key\":\"x\"}"],
        &["expect", "http://127.0.0.1:9", "{\"key\":\"x\"}"],
        &["expect", "http://127.0.0.1:9", "{\"ky\":\"x\"}"],
        &["expect", "http://127.0.0.1:9", "--wait", "2m", "{\"key\":\"x\"}"],
        &["relay"],
        &["relay", "--upstream", "us", "--listen", "nowhere"],
        &["relay", "--upstream", "nowhere"],
        &["relay", "--upstream", "us", "--memory", "--data", "dir"],
        &["relay", "check", "--log-format", "xml", "--upstream", "us"],
        &["demo", "--events", "-1"],
        &["torture"],
        &["torture", "--dir", "dir", "--events", "0"],
        &["torture", "--dir", "dir", "--time", "60"],
        &["torture", "--dir", "dir", "--kills", "-1"],
        &["validate"],
        &["completions", "tcsh"],
    ] {
        let ran = run(args);
        assert_eq!(ran.ended(2).stdout, "", "{args:?}");
        assert!(!ran.stderr.is_empty() && !ran.stderr.contains("panicked"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_log_level_that_does_not_exist_is_a_usage_error_that_says_what_does() {
    for level in ["loud", "warn,loud", "posthaste=loud"] {
        let ran: crate::support::Ran =
            command(&["validate", datafile()]).env("POSTHASTE_LOG", level).output().unwrap().into();
        assert_eq!((ran.ended(2).stdout.len(), ran.stderr.lines().count()), (0, 1), "{ran:?}");
        let told =
            format!("posthaste: POSTHASTE_LOG={level:?} cannot be read; give off, error, warn, info, debug");
        assert!(ran.stderr.starts_with(&told), "{}", ran.stderr);
    }
    run(&["validate", "-q", "-v", datafile()]).ended(2);
    run(&["validate", "--color", "sometimes", datafile()]).ended(2);
}

#[test]
fn the_command_line_says_how_much_is_logged() {
    let files = Files::new();
    let input = files.write("input", crate::support::impression("ann"));
    let endpoint = crate::support::dead_endpoint();
    let send = ["send", "--datafile", datafile(), "--endpoint", &endpoint, "--max-time", "400ms", &input];
    let logged = |more: &[&str]| run(&[&send[..], more].concat()).ended(1).stderr.clone();
    assert!(!logged(&[]).contains("INFO") && logged(&["-vv"]).contains("DEBUG"), "{}", logged(&["-vv"]));
    assert!(!logged(&["-q"]).contains("next time"), "advice");
    assert!(logged(&["-q"]).contains("not delivered: 1 event: "), "{}", logged(&["-q"]));
    let colored = logged(&["-vv", "--color", "always"]);
    assert!(colored.contains('\u{1b}'), "{colored}");
}

#[test]
fn a_failure_is_one_line_with_what_where_and_what_to_do() {
    for (args, part) in [
        (&["send", "no-such-file"][..], "failed to read \"no-such-file\""),
        (&["send", "--datafile", "no-such-file"], "check the path"),
        (&["send", "/"], "failed to read \"/\""),
        (&["send", "--rejects", "/no/such/folder/file"], "check the folder"),
        (&["validate", "no-such-file"], "failed to read"),
        (&["collect", "--datafile", "no-such-file"], "failed to read"),
        (&["torture", "--dir", env!("CARGO_MANIFEST_DIR")], "is not empty"),
        (&["torture", "--dir", "/proc/no/such/folder"], "check the folder"),
    ] {
        let ran = run(args);
        ran.ended(1);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.starts_with("posthaste: ") && ran.stderr.contains(part), "{}", ran.stderr);
    }
}

#[test]
fn a_wrong_end_point_is_named_without_its_password_before_anything_is_read() {
    let files = Files::new();
    let spool = files.path("spool");
    for url in [
        "ftp://me:secret@127.0.0.1/v1/events",
        "http://me:secret@127.0.0.1:9/v1/events",
        "http://me:secret@127.0.0.1:99999/",
        "http://127.0.0.1:99999/v1/events",
        "http://127.0.0.1:0/",
        "http:///v1/events",
        "127.0.0.1:9",
        "",
    ] {
        let send = ["send", "--endpoint", url, "--spool", &spool, "no-such-file"];
        for args in [&send[..], &["spool", "drain", "no-such-spool", "--endpoint", url]] {
            let ran = run(args);
            assert_eq!((ran.ended(2).stdout.len(), ran.stderr.lines().count()), (0, 1), "{ran:?}");
            let shown = url.replace("me:secret", "***");
            assert!(
                ran.stderr
                    .starts_with(&format!("posthaste: --endpoint: {shown:?} is no address for events: ")),
                "{ran:?}"
            );
        }
        assert!(!std::path::Path::new(&spool).exists());
    }
}

#[test]
fn nothing_but_text_goes_into_a_pipe() {
    for no_color in [None, Some("1")] {
        for args in [&["demo"][..], &["send", "--help"], &["send", "no-such-file"], &["--fly"]] {
            let mut command = command(args);
            no_color.map(|value| command.env("NO_COLOR", value));
            let output = command.output().unwrap();
            assert!(![output.stdout, output.stderr].concat().contains(&0x1b), "{args:?}");
        }
    }
}

/// `man` fills lines and hyphenates words, unless it is told not to.
#[test]
fn examples_of_man_pages_stay_as_they_are() {
    let files = Files::new();
    let dir = files.path("man");
    run(&["man", "--dir", &dir]).ended(0);
    let pages: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 10, "{pages:?}");
    let mut with_examples = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(!text.contains("SH EXTRA"), "{page:?}");
        if let Some((_, examples)) = text.split_once(".SH EXAMPLES\n") {
            assert!(examples.starts_with(".nf\n") && examples.contains("\n.fi\n"), "{page:?}");
            with_examples += 1;
        }
    }
    assert!(with_examples > 5, "{with_examples}");
    assert!(run(&["man"]).ended(0).stdout.contains(".SH EXAMPLES\n.nf\n"));
}
