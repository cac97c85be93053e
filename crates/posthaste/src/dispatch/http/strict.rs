//! How many requests ask the API to refuse bad events.

/// Whether the API is asked to refuse bad events (`X-Optimizely-Strict: true`) instead of throwing them away with a
/// 204.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Strict {
    /// Never, as the official SDKs.
    #[default]
    Off,
    /// With every request.
    On,
    /// With this share of requests, chosen at random: enough to notice, without making the API check everything.
    ///
    /// ```
    /// use posthaste::{Strict, dispatch::Share};
    ///
    /// let one_in_a_hundred = Strict::Sampled(Share::new(0.01)?);
    /// # Ok::<(), posthaste::dispatch::ShareError>(())
    /// ```
    Sampled(Share),
}

/// A part of a whole, from 0 (none of it) to 1 (all of it).
///
/// ```
/// use posthaste::dispatch::Share;
///
/// assert_eq!(Share::new(0.01)?.get(), 0.01);
/// assert_eq!(Share::new(1.5).unwrap_err().to_string(), "1.5 is no share of a whole; give a number from 0 to 1");
/// # Ok::<(), posthaste::dispatch::ShareError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

/// A number that is no [`Share`].
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no share of a whole; give a number from 0 to 1")]
pub struct ShareError(f64);

impl Share {
    /// This share; an error for anything but a number from 0 to 1.
    pub fn new(share: f64) -> Result<Self, ShareError> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(ShareError(share)) }
    }

    /// The number, from 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Strict {
    /// Whether the next request is to be a strict one.
    pub(super) fn is_due(self) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::Sampled(Share(share)) => fastrand::f64() < share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_part_of_a_whole_is_a_share() {
        for good in [0.0, -0.0, f64::MIN_POSITIVE, 0.1, 1.0 - f64::EPSILON, 1.0] {
            assert_eq!(Share::new(good).map(Share::get), Ok(good));
        }
        for bad in
            [-f64::MIN_POSITIVE, -1.0, 1.0 + f64::EPSILON, 7.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]
        {
            let text = Share::new(bad).unwrap_err().to_string();
            assert_eq!(text, format!("{bad} is no share of a whole; give a number from 0 to 1"));
        }
    }

    #[test]
    fn no_share_is_never_due_and_the_whole_always() {
        assert!((0..1_000).all(|_| !Strict::Sampled(Share(0.0)).is_due() && !Strict::Off.is_due()));
        assert!((0..1_000).all(|_| Strict::Sampled(Share(1.0)).is_due() && Strict::On.is_due()));
    }
}
