//! What came of a run, as `JUnit` XML: what CI systems show.

use std::{fmt::Write as _, time::Duration};

use posthaste_collector::{BadEvent, Problem};

/// Bad events that are listed; the others are counted.
pub(super) const LISTED_MAX: usize = 100;

/// A run that is over.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// As it was typed.
    pub(super) command: &'a str,
    pub(super) code: u8,
    pub(super) took: Duration,
    pub(super) events: u64,
    pub(super) bad_events: u64,
    /// Of those, the ones that a test has reset.
    pub(super) bad_reset: u64,
    /// The first of them.
    pub(super) bad: &'a [BadEvent],
    /// Whether bad events make it fail.
    pub(super) no_bad: bool,
}

/// Two test cases: the command, and the events.
pub(super) fn xml(run: &Run<'_>) -> String {
    let is_bad = run.no_bad && run.bad_events > 0;
    let failures = u8::from(run.code != 0) + u8::from(is_bad);
    let seconds = format!("{:.3}", run.took.as_secs_f64());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"2\" failures=\"{failures}\" time=\"{seconds}\">\n  \
         <testsuite name=\"posthaste collect\" tests=\"2\" failures=\"{failures}\" errors=\"0\" time=\"{seconds}\">\n"
    );
    let failure = (run.code != 0).then(|| failure(&format!("it ended with exit code {}", run.code), ""));
    case(&mut xml, &format!("command: {}", run.command), &seconds, &failure.unwrap_or_default());
    case(&mut xml, "every event is good", "0", &events(run, is_bad));
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn case(xml: &mut String, name: &str, seconds: &str, inner: &str) {
    let name = escaped(name);
    // Writing to memory cannot fail.
    let _ = write!(xml, "    <testcase classname=\"posthaste\" name=\"{name}\" time=\"{seconds}\">");
    let _ = writeln!(xml, "{inner}</testcase>");
}

fn events(run: &Run<'_>, is_bad: bool) -> String {
    let said = match run.bad_reset {
        0 => format!("{} of {} events are bad", run.bad_events, run.events),
        reset => format!("{} bad events came, {reset} of them reset since", run.bad_events),
    };
    let mut text = String::new();
    for event in run.bad {
        for Problem { path, problem, fix, .. } in &event.problems {
            let _ = writeln!(text, "{path}: {problem}; {fix}");
        }
    }
    let more = run.bad_events.saturating_sub(run.bad.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "and {more} more bad events");
    }
    match (is_bad, run.bad_events) {
        (true, _) => failure(&said, &text),
        (false, 0) => String::new(),
        (false, _) => format!("<system-out>{}</system-out>", escaped(&format!("{said}\n{text}"))),
    }
}

fn failure(message: &str, text: &str) -> String {
    format!("<failure message=\"{}\">{}</failure>", escaped(message), escaped(text))
}

/// Text of others: nothing of it is markup, and what XML cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(char),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            char if char.is_control() => escaped.push('\u{fffd}'),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: u8, bad_events: u64, no_bad: bool) -> String {
        let took = Duration::from_millis(1_500);
        xml(&Run {
            command: "npm test -- <\"a\">&\u{1}",
            code,
            took,
            events: 9,
            bad_events,
            bad_reset: 0,
            bad: &[],
            no_bad,
        })
    }

    #[test]
    fn what_failed_is_counted() {
        for (code, bad, no_bad, failures) in
            [(0, 0, true, 0), (3, 0, true, 1), (0, 2, true, 1), (3, 2, true, 2), (0, 2, false, 0)]
        {
            let xml = run(code, bad, no_bad);
            assert_eq!(xml.matches("<failure ").count(), failures, "{xml}");
            assert!(xml.contains(&format!("failures=\"{failures}\" time=\"1.500\"")), "{xml}");
            assert_eq!(xml.matches("<testcase ").count(), 2, "{xml}");
        }
        assert!(run(0, 2, false).contains("<system-out>2 of 9 events are bad"), "what is allowed is told");
    }

    #[test]
    fn no_text_becomes_markup() {
        assert!(run(0, 0, true).contains("name=\"command: npm test -- &lt;&quot;a&quot;&gt;&amp;\u{fffd}\""));
    }
}
