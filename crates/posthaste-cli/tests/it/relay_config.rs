//! `posthaste relay`: its options, wherever they stand; what it says; files that are read anew; how it ends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{ChildStderr, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    begun::Begun,
    room::SmallDisk,
    support::{Files, LONG, Ran, Server, command, dead_endpoint, run, signal},
};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/relay.toml");
const ANN: &str = "token-of-ann-0123456789";

/// One event, as an SDK posts it.
const BODY: &str = r#"{"account_id":"12345","project_id":"1","revision":"1","client_name":"x","client_version":"1","anonymize_ip":true,"enrich_decisions":true,"visitors":[{"visitor_id":"ann","attributes":[],"snapshots":[{"decisions":[],"events":[{"entity_id":"3","key":"purchase","timestamp":1795500003394,"uuid":"u"}]}]}]}"#;

/// A relay that has begun, and what it says on stderr.
struct Relay {
    begun: Begun,
    stderr: BufReader<ChildStderr>,
}

impl Relay {
    fn start(args: &[&str]) -> Self {
        Self::of(Begun::command("0", args))
    }

    fn of(mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        let mut begun = Begun::of(command);
        let stderr = BufReader::new(begun.child.stderr.take().unwrap());
        Self { begun, stderr }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    fn client(&self) -> Client {
        Client::to(self.begun.url())
    }

    /// Its exit code, the last of stdout, and what is left of stderr.
    fn end(mut self) -> (Option<i32>, Value, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stderr.read_to_string(&mut stderr).unwrap();
        self.begun.stdout.read_to_string(&mut stdout).unwrap();
        let report = stdout.lines().last().map(|line| serde_json::from_str(line).unwrap());
        (self.begun.child.wait().unwrap().code(), report.unwrap_or_default(), stderr)
    }

    fn stop(self) -> (Option<i32>, Value, String) {
        self.begun.terminate();
        self.end()
    }
}

/// A connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn to(url: &str) -> Self {
        let stream =
            TcpStream::connect(url.strip_prefix("http://").unwrap().split('/').next().unwrap()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn post(&mut self, path: &str, token: &str) -> u16 {
        let length = BODY.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: relay\r\nauthorization: Bearer {token}\r\ncontent-type: \
             application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length) = (String::new(), 0);
        self.0.read_line(&mut status).unwrap();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.trim().parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        self.0.read_exact(&mut vec![0; length]).unwrap();
        status.split(' ').nth(1).unwrap_or_else(|| panic!("{status:?}")).parse().unwrap()
    }

    fn events(&mut self, token: &str) -> u16 {
        self.post("/v1/events", token)
    }
}

#[test]
fn it_starts_with_three_lines_and_says_the_same_as_json() {
    let (files, sink) = (Files::new(), Server::start(false, |_| 204));
    let data = files.path("data");
    let args = ["--upstream", &sink.url, "--data", &data];
    for found in [0, 1] {
        let mut relay = Relay::start(&args);
        let url = relay.begun.url().to_owned();
        let admin = relay.begun.said["admin_url"].as_str().unwrap().to_owned();
        assert!(!url.contains(":0/") && url.ends_with("/v1/events"), "{url}");
        assert_eq!((&relay.begun.said["data"], &relay.begun.said["found"]), (&json!(data), &json!(found)));
        assert_eq!(relay.begun.said["upstreams"][0]["url"], sink.url);
        let lines = [relay.line(), relay.line(), relay.line()];
        let events = if found == 1 { "1 event" } else { "0 events" };
        let kept = format!("keeps events in {data}, on disk before each 204; found there: {events}\n");
        let expected = [
            format!("listens at {url}; admin at {admin}\n"),
            kept,
            format!("delivers to {} (default)\n", sink.url),
        ];
        assert_eq!(lines, expected);
        if found == 0 {
            // Of an event that is under way when the process is killed, the next one is told.
            assert_eq!(relay.client().events(""), 204);
            signal(&relay.begun.child, Signal::KILL);
            assert_eq!(relay.end().0, None);
        } else {
            let (code, report, rest) = relay.stop();
            assert_eq!((code, &*rest), (Some(0), ""), "three lines and no more");
            assert_eq!(report["tenants"][0]["delivered"], 1, "{report}");
        }
    }
}

#[test]
fn a_thousand_reloads_refuse_nobody_who_stays() {
    let (files, sink) = (Files::new(), Server::start(false, |_| 204));
    let tokens = files.path("tokens");
    let write = |other: &str| {
        files.write("draft", format!("{ANN}\n{other}\n"));
        std::fs::rename(files.path("draft"), &tokens).unwrap();
    };
    write("token-of-round--00000001");
    let config = files.write("relay.toml", format!("[access]\ntokens_file = {tokens:?}\n"));
    let mut relay = Relay::start(&["--upstream", &sink.url, "--memory", "--config", &config]);
    let (mut client, is_over) = (relay.client(), AtomicBool::new(false));
    let url = relay.begun.url().to_owned();
    let (mut taken, mut last) = (0, "token-of-round--00000001".to_owned());
    std::thread::scope(|scope| {
        let ann = scope.spawn(|| {
            let (mut client, mut asked) = (Client::to(&url), 0);
            while !is_over.load(SeqCst) {
                assert_eq!(client.events(ANN), 204);
                asked += 1;
            }
            asked
        });
        for round in 0..1_000 {
            let is_bad = round % 5 == 4;
            let token = format!("token-of-round-{round:09}");
            write(if is_bad { "too short" } else { &token });
            signal(&relay.begun.child, Signal::HUP);
            let told =
                std::iter::repeat_with(|| relay.line()).find(|line| line.contains("read anew")).unwrap();
            let (failed, stays) =
                ("tokens and accounts could not be read anew", "those of before stay in force");
            assert_eq!(told.contains(failed) && told.contains(stays), is_bad, "{told}");
            assert!(
                !is_bad || told.contains("tokens\\\":2: a token") || told.contains("tokens\":2: a token"),
                "{told}"
            );
            if is_bad {
                assert_eq!((client.events(&token), client.events(&last)), (401, 204), "{round}");
            } else {
                assert_eq!((client.events(&token), client.events(&last)), (204, 401), "{round}");
                last = token;
            }
            taken += 1;
        }
        is_over.store(true, SeqCst);
        taken += ann.join().unwrap();
    });
    drop(client);
    let (code, report, said) = relay.stop();
    assert_eq!(code, Some(0), "{report} {said}");
    let tenant = &report["tenants"][0];
    assert_eq!(
        (&tenant["accepted"], &tenant["delivered"]),
        (&json!(taken), &json!(taken)),
        "each 204 was an event"
    );
    assert!(taken >= 1_000 && !said.contains(ANN) && !said.contains(&last), "{said}");
}

#[test]
fn options_come_from_the_file_the_environment_and_flags() {
    let files = Files::new();
    let config =
        files.write("relay.toml", "listen = 1\nadmin = 2\nupstream = 'eu'\n[forward]\nwait = '3s'\n");
    let mut shown = command(&["relay", "config", "--config", &config, "--listen", "21"]);
    shown.env("POSTHASTE_RELAY_LISTEN", "11").env("POSTHASTE_RELAY_ADMIN", "none");
    shown.env("POSTHASTE_RELAY_SERVICE_HOST", "10.0.0.1");
    let text = Ran::from(shown.output().unwrap()).ended(0).stdout.clone();
    let json = Ran::from(shown.arg("--json").output().unwrap()).ended(0).json();
    for (line, key, value, from) in [
        ("listen = \"127.0.0.1:21\"", "/listen", json!("127.0.0.1:21"), json!("--listen")),
        ("admin = \"none\"", "/admin", json!("none"), json!("POSTHASTE_RELAY_ADMIN")),
        ("upstream = \"eu\"", "/upstream", json!("eu"), json!(format!("{config}:3"))),
        ("wait = \"3s\"", "/forward/wait", json!("3s"), json!(format!("{config}:5"))),
        ("retry_after = \"1s\"", "/limits/retry_after", json!("1s"), Value::Null),
    ] {
        let origin = from.as_str().unwrap_or("default");
        let is_there = |at: &str| at.starts_with(line) && at.ends_with(&format!("# {origin}"));
        assert!(text.lines().any(is_there), "{line}: {text}");
        assert_eq!(json["config"].pointer(key), Some(&value));
        assert_eq!(json["from"][key[1..].replace('/', ".")], from, "{key}");
    }
    // What is printed is a file that says the same.
    let again = files.write("again.toml", &text);
    assert_eq!(
        run(&["relay", "config", "--json", "--config", &again]).ended(0).json()["config"],
        json["config"]
    );
}

#[test]
fn the_sample_is_a_config_of_defaults() {
    let sample = run(&["relay", "config", "--json", "--config", SAMPLE]).ended(0).json();
    let defaults = run(&["relay", "config", "--json", "--upstream", "us"]).ended(0).json();
    assert_eq!(sample["config"], defaults["config"]);
    assert_eq!(defaults["from"], json!({"upstream": "--upstream"}));
    let files = Files::new();
    let mut check = command(&["relay", "check", "--config", SAMPLE]);
    let checked = Ran::from(check.current_dir(files.path("")).output().unwrap());
    assert_eq!(
        checked.ended(0).stdout,
        "listens at http://127.0.0.1:8090/v1/events; admin at http://127.0.0.1:8091\n\
         keeps events in ./posthaste-data, on disk before each 204\n\
         delivers to https://logx.optimizely.com/v1/events (default)\n\
         takes events of every account, from anybody\n"
    );
    assert_eq!(std::fs::read_dir(files.path("")).unwrap().count(), 0, "nothing is changed");
}

/// Its events could be delivered, and that could not be noted: each start would send them again.
#[test]
fn a_folder_that_cannot_be_written_is_refused_by_check_and_by_the_relay_in_the_same_words() {
    let Some(disk) = SmallDisk::mount("64m") else { return };
    let (files, sink) = (Files::new(), Server::start(false, |_| 503));
    let text =
        format!("upstream = {:?}\nshutdown_timeout = '0s'\ndata = {:?}\n", sink.url, disk.path("data"));
    let config = files.write("relay.toml", text);
    let relay = Relay::start(&["--config", &config]);
    assert_eq!(relay.client().events(""), 204);
    assert_eq!(relay.stop().0, Some(0));
    run(&["relay", "check", "--config", &config]).ended(0);
    disk.seal();
    for args in [&["relay", "check"][..], &["relay", "--listen", "0", "--admin", "none"]] {
        let ran = run(&[args, &["--config", &config]].concat());
        let said = ran.ended(1).stderr.clone();
        assert!(
            said.contains(&format!("{config}:3: failed to write to {:?}", disk.path("data/tenants/default"))),
            "{said}"
        );
        assert!(said.contains("Read-only") && said.contains("give another folder (data)"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// Files that are not there are faults of the config like any other: all in one round, with the lines that name them.
#[test]
fn every_file_that_is_not_there_is_told_with_its_line() {
    let files = Files::new();
    let text = "strict = 1\nupstream = 'us'\n[access]\ntokens_file = '/none/t'\naccounts_file = '/none/a'\n";
    let config = files.write("relay.toml", text);
    for args in
        [&["relay", "check", "--memory"][..], &["relay", "--listen", "0", "--admin", "none", "--memory"]]
    {
        let ran = run(&[args, &["--config", &config]].concat());
        let said = ran.ended(1).stderr.clone();
        for (line, what) in
            [(1, "strict is 1"), (4, "failed to read \"/none/t\""), (5, "failed to read \"/none/a\"")]
        {
            assert!(said.contains(&format!("{config}:{line}: {what}")), "{said}");
        }
    }
}

#[test]
fn check_says_whether_a_relay_would_start() {
    let files = Files::new();
    let tokens = files.write("tokens", format!("{ANN}\n"));
    let config = |text: &str| files.write("relay.toml", text);
    let data = files.path("data");
    let good =
        format!("upstream = 'us'\ndata = {data:?}\n[access]\ntokens_file = {tokens:?}\naccounts = [1, 2]\n");
    let checked = run(&["relay", "check", "--config", &config(&good)]);
    assert!(checked.ended(0).stdout.contains("takes events of 2 accounts, from 1 token\n"), "{checked:?}");
    for (text, code, said) in [
        ("upstream = 'us'\nlisen = 1", 1, "relay.toml:2: there is no \"lisen\": did you mean \"listen\"?"),
        ("upstream = 'us'\n[access]\ntokens_file = 'none/of/that'", 1, "failed to read \"none/of/that\""),
        ("upstream = 'us'\ndata = '/dev/null/data'", 1, "failed to write to \"/dev/null\""),
        ("upstream = 'http://me:secret@a/'", 1, "relay.toml:1: \"http://***@a/\" is no address for events"),
    ] {
        let checked = run(&["relay", "check", "--config", &config(text)]);
        assert_eq!((checked.ended(code).stdout.len(), checked.stderr.lines().count()), (0, 1), "{checked:?}");
        assert!(checked.stderr.contains(said) && !checked.stderr.contains("secret"), "{checked:?}");
    }
    for (args, code) in [
        (&["relay", "check"][..], 2),
        (&["relay", "check", "--upstream", "us", "--listen", "nowhere"], 2),
        (&["relay", "check", "--upstream", "ftp://a/"], 2),
        (&["relay", "check", "--upstream", "us", "--memory", "--data", "x"], 2),
        (&["relay", "check", "--config", "no-such-file"], 1),
        (&["relay", "--listen", "1", "check", "--upstream", "us"], 2),
        (&["relay", "--fly"], 2),
        (&["relay"], 2),
    ] {
        assert_eq!(run(args).ended(code).stdout, "", "{args:?}");
    }
}

#[test]
fn a_relay_that_is_its_own_upstream_does_not_start() {
    let ran = run(&[
        "relay",
        "--memory",
        "--listen",
        "0.0.0.0:8093",
        "--upstream",
        "http://localhost:8093/v1/events",
    ]);
    let said = "posthaste: --upstream: upstream http://localhost:8093/v1/events is this relay itself, which listens at \
                0.0.0.0:8093: events would go round for ever; give another upstream, or listen elsewhere\n";
    assert_eq!((ran.ended(2).stdout.as_str(), ran.stderr.as_str()), ("", said));
}

#[test]
fn a_port_that_is_taken_is_an_error_and_nothing_has_happened() {
    let files = Files::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, data) = (taken.local_addr().unwrap().to_string(), files.path("data"));
    for flags in [["--listen", &address, "--admin", "0"], ["--listen", "0", "--admin", &address]] {
        let ran = run(&[&["relay", "--upstream", "us", "--data", &data], &flags[..]].concat());
        assert!(
            ran.ended(1).stderr.starts_with(&format!("posthaste: failed to listen on {address}")),
            "{ran:?}"
        );
    }
    assert!(!std::path::Path::new(&data).exists());
}

#[test]
fn what_is_left_in_memory_is_a_failure_and_what_is_on_disk_is_none() {
    let (files, nobody) = (Files::new(), dead_endpoint());
    let data = files.path("data");
    for (place, code) in [(&["--memory"][..], 1), (&["--data", &data], 0)] {
        let args = [
            "relay",
            "--json",
            "--listen",
            "0",
            "--admin",
            "0",
            "--upstream",
            &nobody,
            "--drain-delay",
            "0s",
        ];
        let mut relay = command(&[&args[..], place].concat());
        relay.env("POSTHASTE_RELAY_SHUTDOWN_TIMEOUT", "100ms");
        let relay = Relay::of(relay);
        assert_eq!(relay.client().events(""), 204);
        let (ended, report, said) = relay.stop();
        assert_eq!((ended, &report["tenants"][0]["queued"]), (Some(code), &json!(1)), "{said}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let sink = Server::start(false, |_| 204);
    let args =
        ["relay", "--json", "--memory", "--listen", "0", "--admin", "0", "--drain-delay", "1h", "--upstream"];
    let relay = Relay::of(command(&[&args[..], &[&sink.url]].concat()));
    let mut client = relay.client();
    signal(&relay.begun.child, Signal::TERM);
    // It still takes events, and asks to go elsewhere; then it has noticed.
    while client.events("") == 204 && !is_closed(&mut client) {
        client = relay.client();
    }
    signal(&relay.begun.child, Signal::INT);
    assert_eq!(relay.end().0, Some(130));
}

/// Whether the other side has closed the connection, looked at for a moment.
fn is_closed(client: &mut Client) -> bool {
    client.0.get_ref().set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    matches!(client.0.read(&mut [0; 1]), Ok(0))
}

#[test]
fn refusals_are_a_line_for_each_kind_and_no_count_is_lost() {
    let sink = Server::start(false, |_| 204);
    let relay = Relay::start(&["--upstream", &sink.url, "--memory", "--log-format", "json"]);
    let mut client = relay.client();
    for _ in 0..25 {
        assert_eq!(client.post("/elsewhere", ""), 404);
    }
    assert_eq!(client.events(""), 204);
    drop(client);
    let (code, _, said) = relay.stop();
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["message"].as_str().unwrap().starts_with("listens at http://127.0.0.1:"), "{said}");
    let refused: Vec<&Value> = lines.iter().filter(|line| line["level"] == "WARN").collect();
    let told: u64 = refused.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert!(refused.iter().all(|line| line["reason"] == "no_such_path" && line["status"] == 404), "{said}");
    assert_eq!((told, refused[0]["count"].as_u64()), (25, Some(1)), "{said}");
    assert!(refused.len() <= 4 && lines.len() == 3 + refused.len(), "{said}");
}
