//! An answer that is there at once, or comes later.

use std::{fmt, future::Future, pin::Pin};

use super::receipt::block_on;

/// What a queue answers: at once where its items are in memory or on a local disk, later where they are elsewhere.
/// Delivery polls the future on its own thread and drops it at the end of its time.
///
/// ```
/// use posthaste::queue::Eventually;
///
/// assert_eq!(Eventually::Now(7).wait(), 7);
/// assert_eq!(Eventually::later(async { 8 }).wait(), 8);
/// ```
#[must_use = "an answer that comes later is lost unless somebody waits for it"]
pub enum Eventually<T> {
    /// It is there.
    Now(T),
    /// It comes.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Eventually<T> {
    /// It comes once this future resolves.
    pub fn later(answer: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Later(Box::pin(answer))
    }
}

impl<T> Eventually<T> {
    /// Blocks this thread until the answer is there.
    pub fn wait(self) -> T {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => block_on(answer),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Eventually<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}
