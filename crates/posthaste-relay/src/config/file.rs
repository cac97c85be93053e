//! The file: TOML, taken apart into keys and values, each with its line.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::value::Value;

/// A key and its value. The keys of tables stand before it: `limits.headers_max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) line: usize,
}

/// A `[[tenant]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
}

/// What a file says, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    /// The tables that fields are in, each with its line.
    pub(super) sections: Vec<(String, usize)>,
    pub(super) fields: Vec<Entry>,
    pub(super) tenants: Vec<Tenant>,
}

/// Why a text is no TOML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoToml {
    pub(super) line: usize,
    pub(super) problem: String,
}

/// Takes a text apart.
pub(super) fn entries(text: &str) -> Result<Entries, NoToml> {
    let lines = Lines(text);
    let table = DeTable::parse(text).map_err(|error| NoToml {
        line: error.span().map_or(0, |span| lines.at(span.start)),
        problem: error.message().lines().collect::<Vec<_>>().join("; "),
    })?;
    let mut found = Entries::default();
    for (key, value) in table.get_ref() {
        match (&**key.get_ref(), value.get_ref()) {
            ("tenant", DeValue::Array(tenants)) if tenants.iter().all(|one| one.get_ref().is_table()) => {
                found.tenants = tenants.iter().filter_map(|tenant| lines.tenant(tenant)).collect();
            }
            (section, DeValue::Table(table)) => {
                found.sections.push((section.to_owned(), lines.at(key.span().start)));
                found.fields.extend(lines.entries_of(table, &format!("{section}.")));
            }
            _ => found.fields.push(lines.entry("", key, value)),
        }
    }
    found.fields.sort_by_key(|entry| entry.line);
    Ok(found)
}

/// The lines of a text.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    /// The line, from 1, that this byte is in.
    fn at(&self, byte: usize) -> usize {
        1 + self.0.bytes().take(byte).filter(|byte| *byte == b'\n').count()
    }

    fn tenant(&self, tenant: &Spanned<DeValue<'_>>) -> Option<Tenant> {
        let table = tenant.get_ref().as_table()?;
        Some(Tenant { line: self.at(tenant.span().start), entries: self.entries_of(table, "") })
    }

    fn entries_of(&self, table: &DeTable<'_>, before: &str) -> Vec<Entry> {
        let mut entries: Vec<Entry> =
            table.iter().map(|(key, value)| self.entry(before, key, value)).collect();
        entries.sort_by_key(|entry| entry.line);
        entries
    }

    fn entry(
        &self,
        before: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Entry {
        Entry {
            key: format!("{before}{}", key.get_ref()),
            value: read(value.get_ref()),
            line: self.at(key.span().start),
        }
    }
}

fn read(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::text(&**text),
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Number(number),
            Err(_) if number.as_str().starts_with('-') => Value::Foreign("a negative number"),
            Err(_) => Value::Foreign("a number that is too large"),
        },
        DeValue::Float(_) => Value::Foreign("a number with a fraction"),
        DeValue::Datetime(_) => Value::Foreign("a date or a time"),
        DeValue::Table(_) => Value::Foreign("a table"),
        DeValue::Array(list) => {
            let words: Option<Vec<String>> = list.iter().map(|one| word(one.get_ref())).collect();
            words.map_or(Value::Foreign("a list of other things than texts"), Value::List)
        }
    }
}

/// Ids look like numbers, so a list may hold these as well.
fn word(value: &DeValue<'_>) -> Option<String> {
    match read(value) {
        Value::Text(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: Value, line: usize) -> Entry {
        Entry { key: key.to_owned(), value, line }
    }

    #[test]
    fn every_key_comes_with_its_line() {
        let text = "# relay\nstrict = true\n[limits]\nheaders_max = 1_0\nhead_timeout = '3s'\n\n[[tenant]]\nname = \
                    \"eu\"\naccounts = [\n 1,\n \"2\"]\n[[tenant]]\n[repeats]\nwindow=-1\n";
        let found = entries(text).unwrap();
        assert_eq!(
            found.fields,
            [
                entry("strict", Value::Truth(true), 2),
                entry("limits.headers_max", Value::Number(10), 4),
                entry("limits.head_timeout", Value::text("3s"), 5),
                entry("repeats.window", Value::Foreign("a negative number"), 14),
            ]
        );
        assert_eq!(found.sections, [("limits".to_owned(), 3), ("repeats".to_owned(), 13)]);
        let accounts = Value::List(vec!["1".to_owned(), "2".to_owned()]);
        let of_eu = vec![entry("name", Value::text("eu"), 8), entry("accounts", accounts, 9)];
        assert_eq!(
            found.tenants,
            [Tenant { line: 7, entries: of_eu }, Tenant { line: 12, entries: Vec::new() }]
        );
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        for (text, line) in [("a = 1\nb = \n", 2), ("a = 1\n\na = 2\n", 3), ("[x\n", 1), ("a = 'x\n", 1)] {
            let NoToml { line: at, problem } = entries(text).unwrap_err();
            assert!(
                at == line && !problem.is_empty() && !problem.contains('\n'),
                "{text:?}: {at}: {problem}"
            );
        }
        assert_eq!(entries("").unwrap(), Entries::default());
    }
}
