//! A project's context several times over: threads that make events of it at the same time count their references in
//! different places, so that none waits for another's cache line.

use std::sync::Arc;

use super::context::Context;
use crate::threads;

/// At most how many; beyond, threads share.
const STRIPES_MAX: usize = 16;

/// The same context, for each of several threads.
#[derive(Debug, Clone)]
pub(super) struct Stripes {
    first: Arc<Context>,
    all: Arc<[Arc<Context>]>,
}

impl Stripes {
    #[expect(clippy::needless_pass_by_value, reason = "it is the project's from then on")]
    pub(super) fn new(context: Context) -> Self {
        let all: Arc<[_]> =
            (0..STRIPES_MAX.min(threads::cores())).map(|_| Arc::new(context.clone())).collect();
        Self { first: all.first().map_or_else(|| Arc::new(context.clone()), Arc::clone), all }
    }

    /// The one that callers see.
    pub(super) fn first(&self) -> &Arc<Context> {
        &self.first
    }

    /// The calling thread's own, unless there are more threads than stripes.
    #[inline]
    pub(super) fn of_this_thread(&self) -> &Arc<Context> {
        let at = threads::number() % self.all.len().max(1);
        self.all.get(at).unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_count_in_places_of_their_own_and_a_thread_in_one() {
        let stripes = Stripes::new(Context::new("1", "2", "3"));
        let address = || Arc::as_ptr(stripes.of_this_thread()).addr();
        let of_each: Vec<usize> = thread::scope(|scope| {
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(|| (address(), address()))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .map(|(a, b)| (a == b).then_some(a).unwrap())
                .collect()
        });
        let mut places = of_each;
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), stripes.all.len());
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 128), "{places:?}");
        assert!(stripes.of_this_thread().can_batch(stripes.first()));
    }
}
