//! When a request was taken, in as few bytes as a time has: many requests wait in memory.

use std::num::NonZeroI64;

/// Milliseconds since 1970. The least of them stands for no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken(NonZeroI64);

impl Taken {
    pub(super) fn at(ms: i64) -> Option<Self> {
        NonZeroI64::new(ms ^ i64::MIN).map(Self)
    }

    pub(super) fn ms(self) -> i64 {
        self.0.get() ^ i64::MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_but_the_least_is_kept() {
        for ms in [i64::MIN + 1, -1, 0, 1, 1_795_500_003_394, i64::MAX] {
            assert_eq!(Taken::at(ms).map(Taken::ms), Some(ms));
        }
        assert_eq!(Taken::at(i64::MIN), None);
        assert_eq!(size_of::<Option<Taken>>(), 8);
    }
}
