//! What `PROMISES.md` says of itself: each promise stands where it says, each test is there.

use std::{fs, path::Path};

const TABLE: &str = include_str!("PROMISES.md");

/// A file of the repository.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Promise, where it stands, and what shows it.
fn rows() -> Vec<[&'static str; 3]> {
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let rows =
        cells.map(|cells| cells.try_into().unwrap_or_else(|cells| panic!("not three cells: {cells:?}")));
    rows.filter(|row: &[&str; 3]| row[1] != "where").collect()
}

/// However lines are broken, and whether they are a comment's.
fn words(text: &str) -> String {
    let plain = |line: &str| {
        let line = line.trim_start();
        ["//! ", "/// ", "// ", "# "]
            .iter()
            .find_map(|mark| line.strip_prefix(mark))
            .unwrap_or(line)
            .to_owned()
    };
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a file has a test of this name.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let at = lines
        .iter()
        .position(|line| line.strip_prefix("async ").unwrap_or(line).starts_with(&format!("fn {name}(")));
    // Whatever else it is marked with.
    at.is_some_and(|at| {
        let marks = lines.iter().take(at).rev().take_while(|line| line.starts_with("#["));
        marks.into_iter().any(|mark| mark.contains("test"))
    })
}

#[test]
fn each_promise_stands_where_the_table_says() {
    let rows = rows();
    assert!(rows.len() > 70, "{}", rows.len());
    for [promise, place, _] in rows {
        let text = words(&read(place.trim_matches('`')));
        assert!(text.contains(&words(promise)), "{place} does not say: {promise}");
    }
}

#[test]
fn each_test_is_in_the_tree() {
    for [promise, _, tests] in rows() {
        let names: Vec<&str> = tests.split('`').filter(|text| !text.trim().is_empty()).collect();
        assert!(!names.is_empty(), "nothing shows: {promise}");
        for name in names {
            let (file, test) = name.split_once("::").unwrap_or_else(|| panic!("no name of a test: {name}"));
            assert!(has_test(&read(&format!("crates/{file}")), test), "there is no test {name}");
        }
    }
}
