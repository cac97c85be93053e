//! Keys that look like one which does not exist: what somebody may have meant.

use std::fmt;

use super::listed::Quoted;

/// At most so many are named.
const NAMED_MAX: usize = 3;
/// At most so many keys are compared: an error must not take longer the more a project has.
const COMPARED_MAX: usize = 2_000;
/// Longer keys are not compared letter by letter.
const LETTERS_MAX: usize = 64;
/// What begins like the key, from so many letters on, is near too.
const PREFIX_MIN: usize = 3;

/// At most three keys that look like an unknown one, the nearest first. As text: `: did you mean "a" or "b"?`, or
/// nothing.
///
/// ```
/// use posthaste::{ExperimentKeyError, ProjectConfig};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let error = config.experiment_by_key("grouped_home").unwrap_err();
/// let ExperimentKeyError::Unknown { near, .. } = error else { unreachable!() };
/// assert_eq!(near.keys().collect::<Vec<_>>(), ["grouped_home_a", "grouped_home_b"]);
/// # Ok::<(), posthaste::DatafileError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NearMisses(Vec<String>);

impl NearMisses {
    /// Of these candidates: the first two thousand are looked at.
    ///
    /// ```
    /// use posthaste::project::NearMisses;
    ///
    /// let near = NearMisses::of("experment", ["event", "experiment", "tags"].into_iter());
    /// assert_eq!(near.to_string(), r#": did you mean "experiment"?"#);
    /// ```
    pub fn of<'a>(key: &str, candidates: impl Iterator<Item = &'a str>) -> Self {
        let wanted = Wanted::new(key);
        let ranked = candidates.take(COMPARED_MAX).filter_map(|key| Some((wanted.distance(key)?, key)));
        let mut near: Vec<(usize, &str)> = ranked.collect();
        near.sort_unstable();
        near.dedup();
        Self(near.into_iter().take(NAMED_MAX).map(|(_, key)| key.to_owned()).collect())
    }

    /// The keys.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for NearMisses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.0.split_first() else { return Ok(()) };
        write!(f, ": did you mean {}", Quoted(first))?;
        others.iter().try_for_each(|key| write!(f, " or {}", Quoted(key)))?;
        f.write_str("?")
    }
}

/// A key as somebody wrote it, in the form in which it is compared.
struct Wanted {
    letters: Vec<char>,
    /// How many letters may differ: one of three, three at most.
    limit: usize,
}

impl Wanted {
    fn new(key: &str) -> Self {
        let letters = letters(key);
        Self { limit: (letters.len() / 3).clamp(1, 3), letters }
    }

    /// How far the candidate is from it; `None` where it is too far.
    fn distance(&self, candidate: &str) -> Option<usize> {
        let other = letters(candidate);
        let (short, long) = (self.letters.len().min(other.len()), self.letters.len().max(other.len()));
        if long <= LETTERS_MAX && long - short <= self.limit {
            let distance = edits(&self.letters, &other);
            if distance <= self.limit && distance < long {
                return Some(distance);
            }
        }
        let alike = self.letters.iter().zip(&other).take_while(|(a, b)| a == b).count();
        (alike == short && short >= PREFIX_MIN).then_some(self.limit + 1)
    }
}

/// Case and the kind of separator do not count.
fn letters(key: &str) -> Vec<char> {
    let plain = |letter: char| if matches!(letter, '-' | ' ' | '.') { '_' } else { letter };
    key.trim().chars().take(LETTERS_MAX + 1).flat_map(char::to_lowercase).map(plain).collect()
}

/// How many letters must be added, left out or replaced to make one of the other (Levenshtein).
fn edits(from: &[char], to: &[char]) -> usize {
    // What it takes from each beginning of `from` to each of `to`, one row at a time.
    let mut row: Vec<usize> = (1..=to.len()).collect();
    let mut whole = to.len();
    for (at, letter) in from.iter().enumerate() {
        let (mut diagonal, mut left) = (at, at + 1);
        for (cell, other) in row.iter_mut().zip(to) {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        whole = left;
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 6] =
        ["checkout_button", "free_shipping_banner", "signup_copy", "grouped_home_a", "grouped_home_b", "on"];

    #[test]
    fn what_was_meant_is_named() {
        for (key, meant) in [
            ("chekout_button", r#": did you mean "checkout_button"?"#),
            ("checkout-button", r#": did you mean "checkout_button"?"#),
            ("Checkout Button", r#": did you mean "checkout_button"?"#),
            ("checkout_button ", r#": did you mean "checkout_button"?"#),
            ("checkout", r#": did you mean "checkout_button"?"#),
            ("checkout_button_colour", r#": did you mean "checkout_button"?"#),
            ("grouped_home", r#": did you mean "grouped_home_a" or "grouped_home_b"?"#),
            ("no", ""),
            ("in", r#": did you mean "on"?"#),
            ("", ""),
            ("x", ""),
            ("pricing", ""),
        ] {
            assert_eq!(NearMisses::of(key, KEYS.into_iter()).to_string(), meant, "{key:?}");
        }
    }

    #[test]
    fn many_and_long_keys_are_no_work() {
        let keys: Vec<String> = (0..20_000).map(|n| format!("{}{n}", "k".repeat(500))).collect();
        let near = NearMisses::of(&"k".repeat(1 << 20), keys.iter().map(String::as_str));
        assert!(near.keys().len() <= NAMED_MAX && near.to_string().len() < 1_000, "{near}");
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("abc", "abc", 0),
        ] {
            assert_eq!(edits(&letters(a), &letters(b)), expected, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn edits_are_a_distance(a in "[ab]{0,8}", b in "[ab]{0,8}", c in "[ab]{0,8}") {
            let (a, b, c) = (letters(&a), letters(&b), letters(&c));
            prop_assert_eq!(edits(&a, &b), edits(&b, &a));
            prop_assert_eq!(edits(&a, &b) == 0, a == b);
            prop_assert!(edits(&a, &c) <= edits(&a, &b) + edits(&b, &c));
        }

        /// One letter changed, added or left out of a key of some length: the key is named.
        #[test]
        fn one_slip_is_always_found(key in "[a-z_]{4,30}", at in 0_usize..30, letter in "[a-z]", kind in 0..3) {
            let mut slip: Vec<char> = key.chars().collect();
            let at = at % slip.len();
            let letter = letter.chars().next().unwrap();
            match kind {
                0 => slip[at] = letter,
                1 => slip.insert(at, letter),
                _ => drop(slip.remove(at)),
            }
            let slip: String = slip.into_iter().collect();
            let near = NearMisses::of(&slip, std::iter::once(key.as_str()));
            prop_assert_eq!(near.keys().next(), Some(key.as_str()));
        }
    }
}
