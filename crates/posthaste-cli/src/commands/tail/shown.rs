//! An event as `tail` shows it: for people a line, and one more for each problem; for machines as the collector tells
//! it.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::common::output::{Audience, plain};

/// What of an event is shown. Whatever else a collector tells stays in the JSON.
#[derive(Debug, Deserialize)]
struct Row {
    id: u64,
    verdict: String,
    words: String,
    session: Option<String>,
    #[serde(default)]
    problems: Vec<Finding>,
    #[serde(default)]
    warnings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    path: String,
    problem: String,
    fix: String,
}

/// Its lines, each with its end; and its id.
pub(super) fn lines(event: &RawValue, audience: Audience) -> Result<(u64, String), serde_json::Error> {
    let row: Row = serde_json::from_str(event.get())?;
    let text = match audience {
        Audience::Machines => format!("{event}\n"),
        Audience::People => row.text(),
    };
    Ok((row.id, text))
}

/// Its id alone. `None`: it is no event.
pub(super) fn id(event: &RawValue) -> Option<u64> {
    serde_json::from_str(event.get()).ok().map(|row: Row| row.id)
}

impl Row {
    fn text(&self) -> String {
        let session = self.session.as_ref().map(|name| format!(" [{}]", plain(name))).unwrap_or_default();
        let mut text =
            format!("{:>7}  {:<6}  {}{session}\n", self.id, plain(&self.verdict), plain(&self.words));
        for Finding { path, problem, fix } in self.problems.iter().chain(&self.warnings) {
            let [path, problem, fix] = [path, problem, fix].map(|text| plain(text));
            // Writing to memory cannot fail.
            let _ = writeln!(text, "{:>17}{path}: {problem}; {fix}", "");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_words_and_problems_and_nothing_that_drives_a_terminal() {
        let event = r#"{"id":12,"verdict":"bad","words":"visitor a\u001b[2Jnn did purchase","session":"one","new":1,
            "problems":[{"kind":"x","path":"visitors[0]","problem":"wrong","fix":"mend it"}]}"#;
        let event: &RawValue = serde_json::from_str(event).unwrap();
        let (id, text) = lines(event, Audience::People).unwrap();
        assert_eq!(id, 12);
        assert_eq!(
            text,
            "     12  bad     visitor a\\u{1b}[2Jnn did purchase [one]\n                 visitors[0]: wrong; mend it\n"
        );
    }
}
