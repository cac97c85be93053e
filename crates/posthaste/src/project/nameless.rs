//! Ids and keys of a datafile that are empty, or only blanks: what becomes of the events that use them.
//!
//! The SDKs take such a datafile, and the rest of it is as good as any. So it is a warning, and whoever uses the one in
//! question hears it once more: an event that would go out without an id is refused where it is handed over.

use serde_json::{Map, Value};

use super::tree::{Object, Path};

const OF_EVENT: &str = "conversions of it are refused, as nobody could count them";
const OF_EXPERIMENT: &str = "nobody can count its impressions";
const OF_VARIATION: &str = "its impressions are reported as of no variation";
const OF_ATTRIBUTE: &str = "the attribute is left out of events";
const OF_KEY: &str = "nothing can be named by it";

/// A sentence for each.
pub(super) fn warnings(root: &Object<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["experiments", "holdouts", "localHoldouts"] {
        experiments(root.map, &root.path, key, &mut found);
    }
    for key in ["groups", "rollouts"] {
        each(root.map, &root.path, key, |holder, path| experiments(holder, path, "experiments", &mut found));
    }
    each(root.map, &root.path, "events", |event, path| {
        look(event, path, [("id", OF_EVENT), ("key", OF_KEY)], &mut found);
    });
    each(root.map, &root.path, "attributes", |attribute, path| {
        look(attribute, path, [("id", OF_ATTRIBUTE), ("key", OF_ATTRIBUTE)], &mut found);
    });
    found
}

/// Whether a text says nothing.
pub(crate) fn is_nameless(text: &str) -> bool {
    text.trim_ascii().is_empty()
}

fn experiments(holder: &Map<String, Value>, path: &Path<'_>, key: &str, found: &mut Vec<String>) {
    each(holder, path, key, |experiment, path| {
        look(experiment, path, [("id", OF_EXPERIMENT), ("key", OF_KEY)], found);
        each(experiment, path, "variations", |variation, path| {
            look(variation, path, [("id", OF_VARIATION), ("key", OF_KEY)], found);
        });
    });
}

/// The objects of a list, if it is one.
fn each(
    holder: &Map<String, Value>,
    path: &Path<'_>,
    key: &str,
    mut with: impl FnMut(&Map<String, Value>, &Path<'_>),
) {
    let list = Path::Key(path, key);
    for (at, item) in holder.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(item) = item.as_object() {
            with(item, &Path::Item(&list, at));
        }
    }
}

fn look(object: &Map<String, Value>, path: &Path<'_>, fields: [(&str, &str); 2], found: &mut Vec<String>) {
    for (key, what_follows) in fields {
        let Some(text) = object.get(key).and_then(Value::as_str).filter(|text| is_nameless(text)) else {
            continue;
        };
        let what = if text.is_empty() { "empty" } else { "only blanks" };
        found.push(format!("{}: {what}: {what_follows}; copy the datafile again", Path::Key(path, key)));
    }
}
