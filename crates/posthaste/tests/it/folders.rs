//! The folders of the library stand as docs/ARCHITECTURE.md draws them.

use std::{collections::BTreeSet, fs, path::Path};

/// What each folder may use, besides itself: those to its right.
const FOLDERS: [(&str, &[&str]); 9] = [
    ("processor", &["delivery", "queue", "dispatch", "outcome", "event", "project", "batch"]),
    ("delivery", &["queue", "dispatch", "outcome", "event", "project", "batch"]),
    ("queue", &["outcome", "event", "project", "batch"]),
    ("dispatch", &["outcome", "event", "project", "batch"]),
    ("judge", &["event", "project", "batch"]),
    ("outcome", &["event", "project", "batch"]),
    ("event", &["project", "batch"]),
    ("project", &["batch"]),
    ("batch", &[]),
];

/// The code below a folder, without comments and what is for tests only.
fn code(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&code(&path));
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines.for_each(|line| all.extend([line, "\n"]));
        }
    }
    all
}

/// The names that stand directly behind `crate::`, alone or in braces.
fn used(code: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.extend(rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next());
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    names.extend(list[start..at].trim().split("::").next());
                    start = at + 1;
                }
                _ => {}
            }
            if letter == '}' && depth == 0 && start == at + 1 {
                break;
            }
        }
    }
    names
}

#[test]
fn a_folder_uses_what_stands_to_its_right_and_nothing_to_its_left() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, right) in FOLDERS {
        let code = code(&source.join(folder));
        let found: BTreeSet<&str> = used(&code)
            .into_iter()
            .filter(|name| *name != folder && FOLDERS.iter().any(|(other, _)| other == name))
            .collect();
        let allowed: BTreeSet<&str> = right.iter().copied().collect();
        assert!(found.is_subset(&allowed), "{folder} uses {:?}", found.difference(&allowed));
    }
}

#[test]
fn what_is_used_is_found_however_it_is_written() {
    let code = "use crate::{\n a::{B, C},\n d,\n};\nuse crate::e::F; fn g(h: crate::i_j::K) {}";
    assert_eq!(used(code), BTreeSet::from(["", "a", "d", "e", "i_j"]));
}
