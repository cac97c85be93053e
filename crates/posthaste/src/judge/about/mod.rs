//! What there is to say of each kind of problem: an example, what the API does, what to do, and where that is known from.
//! docs/PROBLEMS.md is made of it, and a test judges each example.

pub(super) mod across;
pub(super) mod body;
pub(super) mod datafile;
pub(super) mod envelope;
pub(super) mod event;

/// What there is to say of a kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// Something that has the problem, and no other.
    pub example: Example,
    /// What the API makes of it.
    pub api: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Where that is known from.
    pub source: &'static str,
}

/// Something that has a problem. The frame around a part of a body has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Example {
    /// A whole body.
    Body(&'static str),
    /// A visitor of one.
    Visitor(&'static str),
    /// A snapshot of a visitor.
    Snapshot(&'static str),
    /// A conversion of a snapshot.
    Event(&'static str),
    /// What would be long or is no text, in words.
    Told(&'static str),
}
