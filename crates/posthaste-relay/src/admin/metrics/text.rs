//! Prometheus' text exposition format, version 0.0.4: each family with its HELP, TYPE and samples, in one piece.

use std::fmt::{Display, Write as _};

/// What goes before every name.
const PREFIX: &str = "posthaste_relay_";

#[derive(Debug, Default)]
pub(super) struct Text(String);

/// One family, to which samples are added.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Text {
    /// Only goes up; its name ends in `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// Goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        write(&mut self.0, format_args!("# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}\n"));
        Family { text: &mut self.0, name }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        write(self.text, format_args!("{PREFIX}{}", self.name));
        for (at, (name, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            write(self.text, format_args!("{before}{name}=\"{}\"", escaped(value)));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        write(self.text, format_args!("{after} {value}\n"));
        self
    }
}

fn write(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("memory takes everything");
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The escapes are those of the format's description.
    #[test]
    fn families_are_written_as_the_format_says() {
        let mut text = Text::default();
        text.counter("requests_total", "Requests\nby \\ reason")
            .sample(&[("reason", "a\"b\\c\nd"), ("status", "204")], 3);
        text.gauge("age_seconds", "Age").sample(&[], 0.5);
        assert_eq!(
            text.finish(),
            concat!(
                "# HELP posthaste_relay_requests_total Requests\\nby \\\\ reason\n",
                "# TYPE posthaste_relay_requests_total counter\n",
                "posthaste_relay_requests_total{reason=\"a\\\"b\\\\c\\nd\",status=\"204\"} 3\n",
                "# HELP posthaste_relay_age_seconds Age\n",
                "# TYPE posthaste_relay_age_seconds gauge\n",
                "posthaste_relay_age_seconds 0.5\n",
            )
        );
    }
}
