//! Whether we still hear: our own words come back, or we are deaf.

use std::time::Duration;

use tokio::time::Instant;

/// However short the interval, a busy host gets this long.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// When no echo means that we no longer hear.
pub(crate) struct Ears {
    patience: Duration,
    deaf_at: Instant,
    second_chance: bool,
    /// When our own words went out that have not come back yet.
    said_at: Option<Instant>,
}

impl Ears {
    /// Two intervals: an announcement is said after one and a fifth at the latest,
    /// and has the rest of the time to come back.
    pub(crate) fn new(announce_interval: Duration) -> Self {
        Self::with_patience((announce_interval * 2).max(LEAST_PATIENCE))
    }

    fn with_patience(patience: Duration) -> Self {
        Self {
            patience,
            deaf_at: Instant::now() + patience,
            second_chance: true,
            said_at: None,
        }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// When [`is_deaf`](Self::is_deaf) is to be asked.
    pub(crate) fn deaf_at(&self) -> Instant {
        self.deaf_at
    }

    /// Our own words go out.
    pub(crate) fn on_said(&mut self) {
        self.said_at.get_or_insert_with(Instant::now);
    }

    /// How long they took to come back; `None` if others said our name.
    pub(crate) fn on_echo(&mut self) -> Option<Duration> {
        let after = self.said_at.map(|at| at.elapsed());
        *self = Self::with_patience(self.patience);
        after
    }

    /// Asked when the time is over. After a pause of the whole process it is over
    /// before what waited in the socket could be read: once, a moment is given for
    /// that.
    pub(crate) fn is_deaf(&mut self) -> bool {
        self.deaf_at = Instant::now() + LEAST_PATIENCE / 4;
        !std::mem::take(&mut self.second_chance)
    }
}
