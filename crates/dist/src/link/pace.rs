//! Whether a link is woken for what comes, or looks by the clock.
//!
//! Whoever sends one small message after another wakes a fast reader for each of them, and
//! falling asleep and waking cost both sides more than the messages do. So a link on which
//! many come and nothing goes is not woken any more, but looks every millisecond, as network
//! cards do it under load (interrupt coalescing). Measured on loopback with 100 bytes each,
//! that is an eighth of the reader's time, and four times as many messages a second.
//!
//! Pure.

use std::time::Duration;

use tokio::time::Instant;

/// So many wake-ups in a row that brought little, and after none of which anything was
/// written: nobody waits for answers.
const STREAK: u32 = 64;
/// Within this time: eight of them in each of the looks that there would be.
const STREAK_LASTS: Duration = Duration::from_millis(8);
/// More than this in one wake-up was worth it.
const LITTLE: usize = 16 * 1024;
/// Fewer messages in one look are had by waking at the same cost.
const FEW: usize = 4;
/// More than this in one look: the peer's system may have had to wait for us.
const MUCH: usize = 2 * 1024 * 1024;

/// How a link comes to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is woken as soon as there is something.
    Woken,
    /// It looks every millisecond.
    Looks,
}

/// Decides it from how reads and writes follow each other.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// Since all was read for the last time.
    bytes: usize,
    messages: usize,
    /// Made until then.
    writes: u64,
    streak: u32,
    streak_began: Option<Instant>,
}

impl Default for Pacer {
    fn default() -> Self {
        Self {
            pace: Pace::Woken,
            bytes: 0,
            messages: 0,
            writes: 0,
            streak: 0,
            streak_began: None,
        }
    }
}

impl Pacer {
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// A read brought this.
    pub(super) fn on_read(&mut self, bytes: usize, messages: usize) {
        self.bytes += bytes;
        self.messages += messages;
    }

    /// All that was there has been read, and so many writes were made in the link's life.
    /// Returns the pace if that changes it.
    pub(super) fn on_all_read(&mut self, writes: u64, now: impl Fn() -> Instant) -> Option<Pace> {
        if self.pace == Pace::Woken && self.bytes == 0 {
            return None;
        }
        let is_alone = writes == std::mem::replace(&mut self.writes, writes);
        let bytes = std::mem::take(&mut self.bytes);
        let messages = std::mem::take(&mut self.messages);
        let goes_on = match self.pace {
            Pace::Woken => is_alone && bytes <= LITTLE,
            Pace::Looks => is_alone && bytes <= MUCH && messages >= FEW,
        };
        let before = self.pace;
        self.pace = match before {
            Pace::Woken if goes_on => self.count(now),
            Pace::Looks if goes_on => Pace::Looks,
            _ => {
                self.streak = 0;
                Pace::Woken
            }
        };
        (self.pace != before).then_some(self.pace)
    }

    /// The clock is read at the ends of a streak alone.
    fn count(&mut self, now: impl Fn() -> Instant) -> Pace {
        if self.streak == 0 {
            self.streak_began = Some(now());
        }
        self.streak += 1;
        if self.streak < STREAK {
            return Pace::Woken;
        }
        self.streak = 0;
        match self.streak_began {
            Some(began) if now() - began <= STREAK_LASTS => Pace::Looks,
            _ => Pace::Woken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link on which so many bytes come each so many microseconds.
    struct Run {
        pacer: Pacer,
        now: Instant,
        writes: u64,
    }

    impl Run {
        fn new() -> Self {
            Self {
                pacer: Pacer::default(),
                now: Instant::now(),
                writes: 0,
            }
        }

        fn read(&mut self, after_us: u64, bytes: usize, messages: usize) -> Option<Pace> {
            self.now += Duration::from_micros(after_us);
            self.pacer.on_read(bytes, messages);
            self.pacer.on_all_read(self.writes, || self.now)
        }

        /// Whether it looks by the clock after a hundred such reads.
        fn looks_after_100(mut self, after_us: u64, bytes: usize) -> bool {
            (0..100).any(|_| self.read(after_us, bytes, 1) == Some(Pace::Looks))
        }
    }

    fn looking() -> Run {
        let mut run = Run::new();
        assert!((0..64).any(|_| run.read(50, 100, 1) == Some(Pace::Looks)));
        run
    }

    #[test]
    fn stream_of_small_messages_is_looked_at_by_the_clock() {
        assert!(Run::new().looks_after_100(50, 100));
        assert!(!Run::new().looks_after_100(150, 100), "waking costs little");
        assert!(!Run::new().looks_after_100(50, 64 * 1024), "worth it");
    }

    #[test]
    fn dialogue_is_never_kept_waiting() {
        let mut run = Run::new();
        for _ in 0..1000 {
            assert_eq!(run.read(50, 100, 1), None);
            // Sent by somebody after it was read: the link's task is woken for that.
            run.writes += 1;
            assert_eq!(run.pacer.on_all_read(run.writes, || run.now), None);
        }
    }

    #[test]
    fn stream_that_ends_thins_out_or_swells_is_woken_again() {
        let after = |bytes, messages| looking().read(1000, bytes, messages);
        assert_eq!(after(30_000, 300), None);
        assert_eq!(after(0, 0), Some(Pace::Woken));
        assert_eq!(after(300, 3), Some(Pace::Woken));
        assert_eq!(after(MUCH + 1, 300), Some(Pace::Woken));
    }

    #[test]
    fn answer_of_ours_has_the_link_woken_again() {
        let mut run = looking();
        run.writes += 1;
        assert_eq!(run.read(1000, 30_000, 300), Some(Pace::Woken));
        let again = (0..64).filter_map(|_| run.read(50, 100, 1)).last();
        assert_eq!(again, Some(Pace::Looks));
    }
}
