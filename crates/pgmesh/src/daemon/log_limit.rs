//! How often one kind of line is written: anybody can cause some of them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);

/// Lets so many lines of each kind through in a minute, and counts the others.
#[derive(Debug)]
pub(super) struct LogLimit {
    per_window: u32,
    kinds: HashMap<&'static str, Window>,
}

#[derive(Debug)]
struct Window {
    began_at: Instant,
    written: u32,
    left_out: u64,
}

impl LogLimit {
    pub(super) fn per_minute(lines: u32) -> Self {
        Self {
            per_window: lines,
            kinds: HashMap::new(),
        }
    }

    /// Whether to write this line. What is left out is summed up at the end of its
    /// minute: see [`sum_up`](Self::sum_up).
    pub(super) fn ask(&mut self, kind: &'static str, now: Instant) -> bool {
        let window = self.kinds.entry(kind).or_insert(Window {
            began_at: now,
            written: 0,
            left_out: 0,
        });
        let over = now.duration_since(window.began_at) >= WINDOW;
        if over && window.left_out == 0 {
            window.began_at = now;
            window.written = 0;
        }
        if window.written == self.per_window {
            window.left_out += 1;
            return false;
        }
        window.written += 1;
        true
    }

    /// When there is something to sum up.
    pub(super) fn sum_up_at(&self) -> Option<Instant> {
        let waiting = self.kinds.values().filter(|window| window.left_out > 0);
        waiting.map(|window| window.began_at + WINDOW).min()
    }

    /// How many lines of which kinds were left out in the minutes that ended by now.
    pub(super) fn sum_up(&mut self, now: Instant) -> Vec<(&'static str, u64)> {
        let is_over = |window: &Window| now.duration_since(window.began_at) >= WINDOW;
        let ended = self.kinds.extract_if(|_, window| is_over(window));
        let left_out = ended.map(|(kind, window)| (kind, window.left_out));
        let mut left_out: Vec<_> = left_out.filter(|(_, count)| *count > 0).collect();
        left_out.sort_unstable();
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_summed_up_when_its_minute_ends() {
        let mut limit = LogLimit::per_minute(2);
        let start = Instant::now();
        assert!(limit.ask("a", start));
        assert!(limit.ask("a", start));
        assert_eq!(limit.sum_up_at(), None);
        assert!(!limit.ask("a", start));
        assert!(!limit.ask("a", start + WINDOW / 2));
        assert!(limit.ask("b", start + WINDOW / 2), "another kind");
        assert_eq!(limit.sum_up_at(), Some(start + WINDOW));
        assert_eq!(limit.sum_up(start + WINDOW / 2), []);
        assert!(
            !limit.ask("a", start + WINDOW),
            "not before it is summed up"
        );
        assert_eq!(limit.sum_up(start + WINDOW), [("a", 3)]);
        assert!(limit.ask("a", start + WINDOW));
        assert_eq!(limit.sum_up_at(), None);
        assert_eq!(limit.sum_up(start + 2 * WINDOW), []);
    }
}
