//! What a body is judged against: a datafile and the time, each only where it is known.

use crate::project::ProjectConfig;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Against<'a> {
    /// Without one, ids are not looked up.
    pub(super) config: Option<&'a ProjectConfig>,
    /// In milliseconds since 1970, UTC. Without it, no time is in the future.
    pub(super) now_ms: Option<i64>,
}
