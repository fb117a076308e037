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
    suppressed: u64,
}

/// Write the line, and say how many were left out before it, if any were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) left_out: Option<u64>,
}

impl LogLimit {
    pub(super) fn per_minute(lines: u32) -> Self {
        Self {
            per_window: lines,
            kinds: HashMap::new(),
        }
    }

    /// `None`: leave this line out.
    pub(super) fn ask(&mut self, kind: &'static str, now: Instant) -> Option<Write> {
        let window = self.kinds.entry(kind).or_insert(Window {
            began_at: now,
            written: 0,
            suppressed: 0,
        });
        if now.duration_since(window.began_at) >= WINDOW {
            window.began_at = now;
            window.written = 0;
        }
        if window.written == self.per_window {
            window.suppressed += 1;
            return None;
        }
        window.written += 1;
        let left_out = std::mem::take(&mut window.suppressed);
        let left_out = (left_out > 0).then_some(left_out);
        Some(Write { left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_leaves_out() {
        let mut limit = LogLimit::per_minute(2);
        let start = Instant::now();
        let write = |count| {
            let left_out = (count > 0).then_some(count);
            Some(Write { left_out })
        };
        assert_eq!(limit.ask("a", start), write(0));
        assert_eq!(limit.ask("a", start), write(0));
        assert_eq!(limit.ask("a", start), None);
        assert_eq!(limit.ask("a", start), None);
        assert_eq!(limit.ask("b", start), write(0), "another kind");
        assert_eq!(limit.ask("a", start + WINDOW), write(2));
        assert_eq!(limit.ask("a", start + WINDOW), write(0));
    }
}
