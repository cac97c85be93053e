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
    fn of(input: impl AsRef<[u8]>) -> Self {
        Self::with(input, datafile(), &[])
    }

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
