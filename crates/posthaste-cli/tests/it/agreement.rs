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
        assert_eq!((told as u64, problems.len()), (refused, told), "{problems:?}");
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
        let batch = body(&format!("[{}]", visitor(&format!("[{}]", snapshot("a")))));
        let batch = batch.replace(r#""uuid""#, &format!(r#""tags":{{"a":{nested}}},"uuid""#));
        Said::with(&batch, datafile(), &[]).agree(refused, "nested deeper than 127 levels", 1 - refused);
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

fn body(visitors: &str) -> String {
    format!(r#"{{"account_id":"10000001","visitors":{visitors}}}"#)
}

fn visitor(snapshots: &str) -> String {
    format!(r#"{{"visitor_id":"v","snapshots":{snapshots}}}"#)
}

fn snapshot(uuid: &str) -> String {
    let time = 1_795_500_003_394_u64;
    format!(r#"{{"events":[{{"entity_id":"30012","key":"purchase","timestamp":{time},"uuid":"{uuid}"}}]}}"#)
}

/// Of two lists nobody knows which is meant: what has them is bad, whichever of them is empty, and nothing else is.
#[test]
fn a_list_that_is_there_twice_is_a_problem_for_everybody() {
    let one = |uuid: &str| visitor(&format!("[{}]", snapshot(uuid)));
    for other in ["[]", "[{}]"] {
        let events = snapshot("a").replace("}]}", &format!(r#"}}],"events":{other}}}"#));
        let snapshots = one("a").replace("}]}]}", &format!(r#"}}]}}],"snapshots":{other}}}"#));
        let visitors = body(&format!("[{}]", one("a")))
            .replace("}]}]}]}", &format!(r#"}}]}}]}}],"visitors":{other}}}"#));
        for (input, path) in [
            (
                body(&format!("[{}]", visitor(&format!("[{events}]")))),
                "visitors[0].snapshots[0].events: is there twice",
            ),
            (body(&format!("[{snapshots}]")), "visitors[0].snapshots: is there twice"),
            (visitors, "visitors: is there twice"),
        ] {
            Said::with(&input, datafile(), &[]).agree(1, path, 0);
            let judgement = posthaste::judge::judge_batch(input.as_bytes(), None);
            assert!(judgement.problems[0].to_string().starts_with(path), "{input}: {judgement:?}");
        }
        // The good visitor beside it counts.
        for bad in [snapshots, visitor(&format!("[{events}]"))] {
            let said = Said::with(body(&format!("[{bad},{}]", one("b"))), datafile(), &[]);
            assert_eq!((&said.ledger["good"], &said.ledger["bad"]), (&1.into(), &1.into()));
            assert_eq!(said.sent["total"]["delivered"], 2, "{}", said.told);
        }
    }
}

/// One mark may stand before a text, whatever it is; a line of nothing else is blank.
#[test]
fn one_byte_order_mark_is_skipped_and_a_second_is_no_json() {
    let batch = body(&format!("[{}]", visitor(&format!("[{}]", snapshot("a"))))) + "\n";
    for line in [impression("ann"), batch.clone()] {
        for (before, after) in
            [("", String::new()), ("\n", impression("cid")), ("\u{feff}\n", "\u{feff}\n".to_owned())]
        {
            let events = 1 + after.matches("user_id").count() as u64;
            Said::with(format!("{before}\u{feff}{line}{after}"), datafile(), &[]).agree(0, "", events);
            let twice = Said::with(format!("{before}\u{feff}\u{feff}{line}{after}"), datafile(), &[]);
            twice.agree(1, "not JSON", events - 1);
        }
    }
    let files = Files::new();
    let project = std::fs::read_to_string(datafile()).unwrap();
    for (marks, code) in [("", 0), ("\u{feff}", 0), ("\u{feff}\u{feff}", 1)] {
        for text in [&project, &batch] {
            run(&["validate", &files.write("input", format!("{marks}{text}"))]).ended(code);
        }
        let judged = posthaste::judge::judge_batch(format!("{marks}{batch}").as_bytes(), None);
        assert_eq!(judged.problems.is_empty(), code == 0, "as the collector judges it");
    }
}

/// What is rejected is sent in no form.
#[test]
fn halves_of_pairs_are_counted_of_what_would_be_sent() {
    let odd = impression("ann").replace("ann", "\\ud83d");
    let input =
        odd.clone() + &odd.replace("checkout_button", "unknown") + "{\"visitors\":[],\"x\":\"\\ud83d\"}\n";
    let said = Said::with(input, datafile(), &[]);
    assert_eq!((&said.validated["repaired"], &said.sent["repaired"]), (&2.into(), &2.into()), "id and uuid");
    assert_eq!(said.validated["problems_total"], 2);
}
