//! When to tick, and when a silent peer is gone.

/// Ticks in one net_ticktime, as OTP's net_tickintensity.
pub(crate) const INTENSITY: u32 = 4;

/// Looked at once each net_ticktime / 4 (kernel(6), net_ticktime): any byte
/// counts as life, in both directions.
#[derive(Debug, Default)]
pub(crate) struct TickClock {
    last_reads: u64,
    last_writes: u64,
    silent_intervals: u32,
}

/// What an interval without traffic asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TickDue {
    Nothing,
    Tick,
    PeerIsGone,
}

impl TickClock {
    /// Looks at how often the link has been read and written so far.
    pub(crate) fn on_interval(&mut self, reads: u64, writes: u64) -> TickDue {
        let heard = reads != std::mem::replace(&mut self.last_reads, reads);
        self.silent_intervals = if heard { 0 } else { self.silent_intervals + 1 };
        if self.silent_intervals >= INTENSITY {
            return TickDue::PeerIsGone;
        }
        let wrote = writes != std::mem::replace(&mut self.last_writes, writes);
        // The tick itself is a write, and must not pass for traffic next time.
        if wrote {
            return TickDue::Nothing;
        }
        self.last_writes += 1;
        TickDue::Tick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_whenever_an_interval_had_no_write() {
        let mut clock = TickClock::default();
        let mut writes = 0;
        for reads in 1..50 {
            assert_eq!(clock.on_interval(reads, writes), TickDue::Tick);
            writes += 1;
        }
        writes += 1;
        assert_eq!(clock.on_interval(50, writes), TickDue::Nothing);
        assert_eq!(clock.on_interval(51, writes), TickDue::Tick);
    }

    #[test]
    fn silent_peer_is_gone_within_ticktime_and_a_quarter() {
        let mut clock = TickClock::default();
        let mut intervals = 0;
        while clock.on_interval(7, 0) != TickDue::PeerIsGone {
            intervals += 1;
        }
        // The first interval saw the last read, at some moment before its end: the
        // peer was silent for four to five intervals when the fifth ends.
        assert_eq!(intervals, 4);
    }
}
