//! Names in errors. They may come from anywhere, so what is said of them is bounded and quoted.

use std::fmt;

/// At most so many names are listed.
const LISTED_MAX: usize = 10;
/// At most so many letters of a name are shown.
const SHOWN_MAX: usize = 100;

/// Names for an error: at most ten, and how many more there are. As text: `"a", "b" and 3 more`, or `none`.
///
/// ```
/// use posthaste::{ImpressionError, ProjectConfig, UserContext};
///
/// # let datafile = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/larkspur.json"));
/// let config = ProjectConfig::from_datafile(datafile)?;
/// let error = config.impression("checkout_button", "red", &UserContext::new("visitor-1")).unwrap_err();
/// let ImpressionError::UnknownVariation { variations, .. } = error else { unreachable!() };
/// assert_eq!(variations.to_string(), r#""control", "green_button""#);
/// # Ok::<(), posthaste::DatafileError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    names: Vec<String>,
    more: usize,
}

impl Listed {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = names.into_iter();
        Self { names: names.by_ref().take(LISTED_MAX).map(str::to_owned).collect(), more: names.count() }
    }

    /// The names, at most ten.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// How many more there are.
    pub fn more(&self) -> usize {
        self.more
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.names.split_first() else { return f.write_str("none") };
        write!(f, "{}", Quoted(first))?;
        others.iter().try_for_each(|name| write!(f, ", {}", Quoted(name)))?;
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}

/// A name in quotes, escaped so that it cannot drive a terminal, and cut where it is very long.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_MAX) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", self.0.get(..end).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_bounded() {
        let names: Vec<String> = (0..13).map(|n| format!("v{n}")).collect();
        let text = |count| Listed::new(names.iter().take(count).map(String::as_str)).to_string();
        assert_eq!(text(0), "none");
        assert_eq!(text(2), r#""v0", "v1""#);
        assert!(text(10).ends_with(r#", "v9""#) && text(13).ends_with(r#", "v9" and 3 more"#));
    }

    #[test]
    fn names_are_escaped_and_cut() {
        assert_eq!(Quoted("a\u{1b}[2J\"").to_string(), r#""a\u{1b}[2J\"""#);
        assert_eq!(Quoted(&"é".repeat(101)).to_string(), format!("\"{}\"…", "é".repeat(100)));
    }
}
