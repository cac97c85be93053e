//! `posthaste expect`: whether events have come to a collector, for tests that are shell scripts.

mod ask;

use std::time::Duration;

use posthaste_collector::{Expectation, WAIT_MAX};
use serde_json::{Value, json};

use crate::common::{
    exit::{Exit, Failure},
    output::{Audience, Output, plain},
    remote::CollectorUrl,
    values,
};

/// Wait until the events that are expected have come to a collector
///
/// Exits with 0 as soon as all patterns hold; with 1 after the wait, and says what is missing and what came nearest;
/// with 2 where a pattern or the collector cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthaste expect http://127.0.0.1:8080 --wait 8s \\
      '{\"visitor\":\"ann\",\"key\":\"purchase\",\"revenue\":1200}'
  # Seen once, bought never, and nothing bad among it
  posthaste expect http://127.0.0.1:8080 --wait 2s --no-bad \\
      '{\"experiment\":\"checkout_button\",\"variation\":\"green_button\",\"count\":1}' \\
      '{\"key\":\"purchase\",\"count\":0}'

A pattern is JSON with some of: visitor (ann* is a beginning), experiment,
variation and flag (key or id), key, uuid, revenue, value, tags and attributes
(in part; null is none), verdict (good, warned, bad, any; good or warned where
it is left out), session, count (2, 0, or {\"at_least\":1,\"at_most\":3}; at least
one where it is left out), no_bad. docs/EXPECT.md has more.")]
pub(crate) struct ExpectArgs {
    /// The collector's URL
    #[arg(value_name = "URL")]
    url: CollectorUrl,
    /// What is expected: a pattern, or a list of them; all are to hold
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// How long to wait, 60s at most
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = wait)]
    wait: Duration,
    /// Only events of this test session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Expect that no event is bad
    #[arg(long)]
    no_bad: bool,
    /// Write the answer as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ExpectArgs) -> Result<Exit, Failure> {
    let expectation = args.expectation()?;
    let question = ask::Question {
        url: &args.url,
        body: expectation.to_string(),
        wait: args.wait,
        session: args.session.as_deref(),
        as_json: args.json,
    };
    let answer = ask::ask(question)?;
    let output = Output::new(Audience::of(args.json));
    answer.text.lines().for_each(|line| output.say(indented(line)));
    Ok(if answer.holds { Exit::Fine } else { Exit::Failed })
}

impl ExpectArgs {
    /// All patterns in one list, each of which can be used.
    fn expectation(&self) -> Result<Value, Failure> {
        let mut all = Vec::new();
        for (pattern, number) in self.patterns.iter().zip(1..) {
            let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("PATTERN {number}: {why}"));
            pattern.parse::<Expectation>().map_err(|error| wrong(&error))?;
            match serde_json::from_str(pattern).map_err(|error| wrong(&error))? {
                Value::Array(patterns) => all.extend(patterns),
                pattern => all.push(pattern),
            }
        }
        if self.no_bad {
            all.push(json!({"no_bad": true}));
        }
        let all = Value::Array(all);
        let nothing = r#"give a pattern, such as '{"visitor":"ann","key":"purchase"}', or --no-bad"#;
        Expectation::from_value(&all).map_err(|error| {
            Failure::Usage(if self.patterns.is_empty() { nothing.to_owned() } else { error.to_string() })
        })?;
        Ok(all)
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    match values::duration(text)? {
        wait if wait > WAIT_MAX => Err(format!("give {}s at most", WAIT_MAX.as_secs())),
        wait => Ok(wait),
    }
}

/// The lines below another begin with spaces.
fn indented(line: &str) -> String {
    let text = line.trim_start();
    format!("{}{}", " ".repeat(line.len() - text.len()), plain(text))
}
