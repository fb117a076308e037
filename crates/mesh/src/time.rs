//! Moments, as the mesh counts them.

use std::ops::Add;
use std::time::Duration;

/// A moment: the time since some start that the caller chose.
///
/// Must come from a clock that never goes back; the mesh ignores one that does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The caller's start.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment `since_start` after the start.
    pub const fn from_start(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long after the start this is.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// The beginning of the stretch of this length that the moment is in, where such
    /// stretches follow each other from the start on.
    pub(crate) fn beginning_of(self, stretch: Duration) -> Self {
        let into = self.0.as_nanos().checked_rem(stretch.as_nanos());
        let into = into.and_then(|into| u64::try_from(into).ok());
        Self(
            self.0
                .saturating_sub(Duration::from_nanos(into.unwrap_or_default())),
        )
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_one_stretch_begin_together() {
        let at = |ms| Time::from_start(Duration::from_millis(ms));
        let beginning = |ms| at(ms).beginning_of(Duration::from_millis(250));
        assert_eq!(
            [0, 249, 250, 1001].map(beginning),
            [0, 0, 250, 1000].map(at)
        );
        assert_eq!(at(7).beginning_of(Duration::ZERO), at(7));
    }
}
