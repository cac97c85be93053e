//! The table in docs/PARITY.md, "Datafiles: what is accepted", as the test reads it.
//!
//! A row says where (places, `*` for anything), which changes, and what each SDK does that posthaste does not. Whatever
//! a row names must have been seen, so that no row outlives its reason.

use std::collections::BTreeSet;

use crate::differences::{Difference, Differences, Sdk};

struct Row {
    name: String,
    places: Vec<String>,
    changes: Vec<String>,
    python: Vec<String>,
    javascript: Vec<String>,
}

pub(crate) struct Rows(Vec<Row>);

impl Rows {
    pub(crate) fn of_parity() -> Self {
        let parity = include_str!("../../../../docs/PARITY.md");
        let section =
            parity.split("\n## ").find(|section| section.starts_with("Datafiles: what is accepted"));
        let lines = section.unwrap_or_default().lines().filter(|line| line.starts_with("| D"));
        Self(lines.map(Row::read).collect())
    }

    /// A sentence for each difference that no row tells of, and for each part of a row that was not seen.
    pub(crate) fn compare(&self, differences: &Differences) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        for (difference, example) in differences.iter() {
            let rows: Vec<&Row> = self.0.iter().filter(|row| row.tells_of(difference)).collect();
            if rows.is_empty() {
                wrong.push(format!(
                    "no row: {difference:?}: {}",
                    example.chars().take(300).collect::<String>()
                ));
            }
            seen.extend(rows.iter().flat_map(|row| row.parts_of(difference)));
        }
        let parts = self.0.iter().flat_map(Row::parts);
        wrong.extend(parts.filter(|part| !seen.contains(part)).map(|part| format!("not seen: {part}")));
        wrong
    }
}

impl Row {
    fn read(line: &str) -> Self {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "a row has six cells: {line}");
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Self {
            name: cells[1].to_owned(),
            places: quoted(cells[2]),
            changes: quoted(cells[3]),
            python: quoted(cells[4]),
            javascript: quoted(cells[5]),
        }
    }

    fn kinds(&self, sdk: Sdk) -> &[String] {
        match sdk {
            Sdk::Python => &self.python,
            Sdk::JavaScript => &self.javascript,
        }
    }

    fn tells_of(&self, difference: &Difference) -> bool {
        self.places.iter().any(|place| matches(place, &difference.place))
            && self.changes.iter().any(|change| matches(change, &difference.change))
            && self.kinds(difference.sdk).contains(&difference.kind)
    }

    /// What of the row this difference shows.
    fn parts_of(&self, difference: &Difference) -> Vec<String> {
        let places = self.places.iter().filter(|place| matches(place, &difference.place));
        let changes = self.changes.iter().filter(|change| matches(change, &difference.change));
        let kind = self.part(&format!("{:?}", difference.sdk), &difference.kind);
        let places = places.map(|place| self.part("where", place));
        places.chain(changes.map(|change| self.part("change", change))).chain([kind]).collect()
    }

    fn parts(&self) -> Vec<String> {
        let columns = [
            ("where", &self.places),
            ("change", &self.changes),
            ("Python", &self.python),
            ("JavaScript", &self.javascript),
        ];
        let part = |(column, names): (&str, &Vec<String>)| {
            names.iter().map(|name| self.part(column, name)).collect::<Vec<_>>()
        };
        columns.into_iter().flat_map(part).collect()
    }

    fn part(&self, column: &str, name: &str) -> String {
        format!("{}, {column}: {name}", self.name)
    }
}

/// Whether a name is of this pattern; `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..]))
        }),
    }
}
