//! What an input answers when it is asked for more.

use crate::lines::Size;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A line, to be dealt with.
    Line(Size),
    /// What has been added to a line that was taken without its end: no more than the end is to be there.
    Rest(Size),
    /// Lines of another file follow, or of the same from its start. For people: why.
    Begin(String),
    /// Lines of the next one of several files follow.
    Next,
    /// Nothing more for now: ask again in a while.
    Wait,
    /// Nothing more.
    End,
    /// Nothing more but a line without its end, which has this number.
    Unfinished(u64),
}
