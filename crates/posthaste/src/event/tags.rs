//! Tags: what a program says about a conversion, as pairs of a key and any JSON value.
//!
//! They become JSON text at once, sorted by key: what the caller does to its map later changes no event.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::normalize;
use crate::{
    batch::{write_text, write_value},
    metrics::TAGS_UNUSABLE,
    project::Drops,
};

/// How many tags are sorted without memory from the heap.
const FEW: usize = 12;

/// What is wrong with tags that are too deep, and what to do: where, what, fix, as problems are written.
pub(crate) const TOO_DEEP: &str =
    "tags: nested deeper than the 120 levels that readers of requests take; flatten what is in them";

/// No tags: what to pass where a conversion has none. (A bare `[]` does not say of what.)
///
/// ```
/// use posthaste::{ProjectConfig, UserContext, event::NO_TAGS};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let event = config.conversion("newsletter_signup", &UserContext::new("visitor-1"), NO_TAGS)?;
/// assert!(event.conversion().unwrap().tags().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const NO_TAGS: [(&str, bool); 0] = [];

/// Something that can be a tag's value: text, numbers, booleans, lists, maps with text keys, options of these (`None`
/// is `null`), [`serde_json::Value`], and references to them. Your own types can be, too.
///
/// A number that JSON cannot write (not a number, infinity) is `null`.
///
/// ```
/// use std::borrow::Cow;
/// use posthaste::event::TagValue;
/// use serde_json::Value;
///
/// struct Cents(u32);
///
/// impl TagValue for Cents {
///     fn tag_value(&self) -> Cow<'_, Value> {
///         Cow::Owned(self.0.into())
///     }
/// }
///
/// assert_eq!(*[("revenue", Cents(4200))][0].1.tag_value(), 4200);
/// ```
pub trait TagValue {
    /// The value as JSON.
    fn tag_value(&self) -> Cow<'_, Value>;

    /// The value where it is text, which is then not copied first; `None` where it is not, or where the type does not
    /// say so.
    fn tag_text(&self) -> Option<&str> {
        None
    }
}

impl TagValue for Value {
    fn tag_value(&self) -> Cow<'_, Value> {
        Cow::Borrowed(self)
    }

    fn tag_text(&self) -> Option<&str> {
        self.as_str()
    }
}

macro_rules! text {
    ($($type:ty)*) => {$(
        impl TagValue for $type {
            fn tag_value(&self) -> Cow<'_, Value> {
                Cow::Owned((**self).into())
            }

            fn tag_text(&self) -> Option<&str> {
                Some(self)
            }
        }
    )*};
}

text!(String Cow<'_, str>);

impl TagValue for str {
    fn tag_value(&self) -> Cow<'_, Value> {
        Cow::Owned(self.into())
    }

    fn tag_text(&self) -> Option<&str> {
        Some(self)
    }
}

macro_rules! owned {
    ($($type:ty)*) => {$(
        impl TagValue for $type {
            fn tag_value(&self) -> Cow<'_, Value> {
                Cow::Owned(self.clone().into())
            }
        }
    )*};
}

owned!(bool i8 i16 i32 i64 isize u8 u16 u32 u64 usize f32 f64 Map<String, Value>);

impl<T: TagValue + ?Sized> TagValue for &T {
    fn tag_value(&self) -> Cow<'_, Value> {
        (**self).tag_value()
    }

    fn tag_text(&self) -> Option<&str> {
        (**self).tag_text()
    }
}

impl<T: TagValue> TagValue for Option<T> {
    fn tag_value(&self) -> Cow<'_, Value> {
        self.as_ref().map_or(Cow::Owned(Value::Null), T::tag_value)
    }

    fn tag_text(&self) -> Option<&str> {
        self.as_ref()?.tag_text()
    }
}

impl<T: TagValue> TagValue for [T] {
    fn tag_value(&self) -> Cow<'_, Value> {
        Cow::Owned(self.iter().map(|item| item.tag_value().into_owned()).collect())
    }
}

impl<T: TagValue> TagValue for Vec<T> {
    fn tag_value(&self) -> Cow<'_, Value> {
        self.as_slice().tag_value()
    }
}

impl<T: TagValue> TagValue for BTreeMap<String, T> {
    fn tag_value(&self) -> Cow<'_, Value> {
        Cow::Owned(object(self.iter()))
    }
}

impl<T: TagValue, S> TagValue for HashMap<String, T, S> {
    fn tag_value(&self) -> Cow<'_, Value> {
        Cow::Owned(object(self.iter()))
    }
}

fn object<'a, T: TagValue + 'a>(pairs: impl Iterator<Item = (&'a String, &'a T)>) -> Value {
    pairs.map(|(key, value)| (key.clone(), value.tag_value().into_owned())).collect()
}

/// Adds the tags as a JSON object, nothing where there are none, and says which revenue and value they state. Of two with
/// the same key, the later one counts. A `revenue` or `value` that does not say what it should is counted; it is sent
/// all the same.
pub(super) fn put<K: AsRef<str>, V: TagValue>(
    out: &mut Vec<u8>,
    tags: impl IntoIterator<Item = (K, V)>,
    drops: &Drops,
) -> (Option<i64>, Option<f64>) {
    let mut tags: SmallVec<[(K, V); FEW]> = tags.into_iter().collect();
    if tags.is_empty() {
        return (None, None);
    }
    // Stable, so that the later of two comes later.
    tags.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
    write(out, &tags, drops)
}

/// Writes sorted tags, and says what they state.
fn write<K: AsRef<str>, V: TagValue>(
    out: &mut Vec<u8>,
    tags: &[(K, V)],
    drops: &Drops,
) -> (Option<i64>, Option<f64>) {
    let (mut revenue, mut value) = (None, None);
    let (mut rest, mut before) = (tags.iter().peekable(), b'{');
    while let Some((key, tag)) = rest.next() {
        let key = key.as_ref();
        if rest.peek().is_some_and(|(next, _)| next.as_ref() == key) {
            continue;
        }
        out.push(before);
        before = b',';
        write_text(out, key);
        out.push(b':');
        let tag = if let Some(text) = tag.tag_text() {
            write_text(out, text);
            // It states as little.
            Cow::Owned(Value::Null)
        } else {
            let tag = tag.tag_value();
            write_value(out, &*tag);
            tag
        };
        match key {
            "revenue" => {
                revenue = normalize::revenue(&tag);
                if !normalize::is_whole_revenue(&tag) {
                    drops.revenue();
                    count("revenue");
                }
            }
            "value" => {
                value = normalize::value(&tag);
                if value.is_none() {
                    drops.value();
                    count("value");
                }
            }
            _ => {}
        }
    }
    out.push(b'}');
    (revenue, value)
}

fn count(tag: &'static str) {
    metrics::counter!(TAGS_UNUSABLE, "tag" => tag).increment(1);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text<K: AsRef<str>, V: TagValue>(tags: impl IntoIterator<Item = (K, V)>) -> String {
        stated(tags).0
    }

    type Stated = (Option<i64>, Option<f64>);

    fn stated<K: AsRef<str>, V: TagValue>(tags: impl IntoIterator<Item = (K, V)>) -> (String, Stated) {
        let mut out = Vec::new();
        let stated = put(&mut out, tags, &Drops::default());
        (String::from_utf8(out).unwrap(), stated)
    }

    #[test]
    fn any_iterator_of_pairs_will_do() {
        let map = Map::from_iter([("b".to_owned(), json!([1, null])), ("a".to_owned(), json!("x"))]);
        let expected = r#"{"a":"x","b":[1,null]}"#;
        assert_eq!(text(&map), expected);
        assert_eq!(text(map.clone()), expected);
        assert_eq!(text(map.iter().filter(|(key, _)| *key == "a")), r#"{"a":"x"}"#);
        assert_eq!(text([("revenue", 4200)]), r#"{"revenue":4200}"#);
        assert_eq!(text([("sku", json!("A1")), ("revenue", json!(4.5))]), r#"{"revenue":4.5,"sku":"A1"}"#);
        assert_eq!(
            text(vec![(String::from("k"), Some("v")), (String::from("n"), None)]),
            r#"{"k":"v","n":null}"#
        );
        assert_eq!(text(&HashMap::from([("k", 1.5)])), r#"{"k":1.5}"#);
        assert_eq!(text(BTreeMap::from([("k", vec![1, 2])])), r#"{"k":[1,2]}"#);
        assert_eq!(text([("m", BTreeMap::from([("k".to_owned(), true)]))]), r#"{"m":{"k":true}}"#);
        assert_eq!(text([("not a number", f64::NAN)]), r#"{"not a number":null}"#);
        assert_eq!(text([(Cow::from("é\""), Cow::from("☕"))]), r#"{"é\"":"☕"}"#);
    }

    #[test]
    fn nothing_is_no_details() {
        let nothing = (String::new(), (None, None));
        assert_eq!(stated(NO_TAGS), nothing);
        assert_eq!(stated(&Map::new()), nothing);
        assert_eq!(stated(None::<(&str, Value)>), nothing);
    }

    /// A value that makes an event while one is being made.
    struct Nesting;

    impl TagValue for Nesting {
        fn tag_value(&self) -> Cow<'_, Value> {
            Cow::Owned(text([("inner", 1)]).into())
        }
    }

    #[test]
    fn a_value_may_make_other_tags_meanwhile() {
        assert_eq!(text([("outer", Nesting)]), r#"{"outer":"{\"inner\":1}"}"#);
    }

    #[test]
    fn the_later_of_two_values_counts() {
        let stated = stated([("revenue", 1), ("a", 0), ("revenue", 2)]);
        assert_eq!(stated, (r#"{"a":0,"revenue":2}"#.to_owned(), (Some(2), None)));
    }
}
