//! What `validate` calls sound, `send` sends, and the collector calls good: line by line, whatever is odd about the input.

use serde_json::Value;

use crate::support::{Collector, Files, datafile, impression, run};

/// What the three say of an input.
struct Said {
    validated: Value,
    sent: Value,
    told: String,
    ledger: Value,
}

impl Said {
    /// `more`: options of `send`.
    fn with(input: impl AsRef<[u8]>, datafile: &str, more: &[&str]) -> Self {
        let files = Files::new();
        let input = files.write("input.jsonl", input);
        let validated = run(&["validate", "--json", "--datafile", datafile, &input]);
        let collector = Collector::start(&["--datafile", datafile]);
        let args = ["send", "--json", "--datafile", datafile, "--endpoint", &collector.url, &input];
        let sent = run(&[&args[..], more].concat());
        let (ledger, told) = (collector.get("/ledger"), sent.stderr.clone());
        Self { validated: validated.json(), sent: sent.json(), told, ledger }
    }

    /// So many lines are refused by `validate` and `send`, each told in these words, and so many events are good; none
    /// is bad.
    #[track_caller]
    fn agree(&self, refused: u64, words: &str, good: u64) {
        let problems = self.validated["problems"].as_array().unwrap();
        let in_words = |text: &str| text.contains(words);
        let told = problems.iter().filter(|problem| in_words(problem["problem"].as_str().unwrap())).count();
        assert_eq!((told, problems.len()), (refused as usize, told), "{problems:?}");
        assert_eq!(self.sent["rejected"], refused, "{}", self.told);
        let lines = self.told.lines().filter(|line| line.contains(".jsonl:"));
        assert_eq!(lines.filter(|line| in_words(line)).count() as u64, refused, "{}", self.told);
        assert_eq!((&self.ledger["good"], &self.ledger["bad"]), (&good.into(), &0.into()), "{}", self.told);
        assert_eq!(self.sent["total"]["delivered"], self.ledger["events"]);
    }
}

/// One event that readers give up on would take all others of its request with it.
#[test]
fn an_event_that_is_nested_too_deep_is_refused_and_harms_no_other() {
    let files = Files::new();
    let spool = files.path("spool");
    for (lists, refused) in [(119, 0), (120, 1), (200, 1)] {
        let nested = "[".repeat(lists) + &"]".repeat(lists);
        let line =
            format!(r#"{{"type":"conversion","user_id":"u","event":"purchase","tags":{{"a":{nested}}}}}"#);
        let input = format!("{}{line}\n{}", impression("ann"), impression("bob"));
        for more in [&[][..], &["--spool", &spool]] {
            Said::with(&input, datafile(), more).agree(
                refused,
                "tags: nested deeper than the 120 levels",
                3 - refused,
            );
            let _ = std::fs::remove_dir_all(&spool);
        }
        let alone = run(&["validate", &files.write("alone.jsonl", &line)]);
        alone.ended(i32::from(refused > 0));
    }
}

/// Whatever in a datafile has no id or no key: what uses it is refused, or goes out without it, and both is said.
#[test]
fn nothing_is_sent_without_an_id_and_without_a_word() {
    let sound = std::fs::read_to_string(datafile()).unwrap();
    let (purchase, test) = (
        r#""type":"conversion","event":"purchase""#,
        r#""type":"impression","experiment":"checkout_button""#,
    );
    let (blue, plan) = (r#""variation":"control""#, r#""attributes":{"plan":"pro"}"#);
    let event = format!("{purchase},{plan}");
    let impression = format!("{test},{blue}");
    for nothing in ["", " "] {
        for (place, name, line, told) in [
            ("/events/2/id", "", &event, Some("event: its id in the datafile (events[].id) is empty")),
            ("/events/2/key", "purchase", &event, Some("event is empty: name one of the datafile")),
            (
                "/experiments/0/id",
                "",
                &impression,
                Some("experiment: its id in the datafile (experiments[].id) is empty"),
            ),
            ("/experiments/0/key", "checkout_button", &impression, Some("experiment is empty: name one")),
            ("/experiments/0/variations/0/key", "control", &impression, Some("variation is empty: name one")),
            ("/experiments/0/variations/0/id", "", &impression, None),
            ("/attributes/0/id", "", &event, None),
            ("/attributes/0/key", "plan", &event, None),
        ] {
            let files = Files::new();
            let mut project: Value = serde_json::from_str(&sound).unwrap();
            *project.pointer_mut(place).unwrap() = nothing.into();
            let line = if name.is_empty() {
                line.clone()
            } else {
                line.replace(&format!("\"{name}\""), &format!("\"{nothing}\""))
            };
            let time = 1_795_500_003_394_u64;
            let input = format!(r#"{{{line},"user_id":"u","timestamp":{time},"uuid":"1"}}"#);
            let project = files.write("project.json", project.to_string());
            let said = Said::with(&input, &project, &[]);
            let refused = u64::from(told.is_some());
            said.agree(refused, told.unwrap_or_default(), 1 - refused);
            // Once by each of the three, with its place.
            assert_eq!(said.told.matches("project.json: warning: ").count(), 1, "{place}: {}", said.told);
            for ran in [
                run(&["validate", "--datafile", &project, &files.write("in.jsonl", &input)]),
                run(&["validate", &project]),
            ] {
                let found = ran.stdout + &ran.stderr;
                assert!(found.contains("copy the datafile again"), "{place}: {found}");
            }
        }
    }
}
