//! When to tick, and when a silent peer is gone.

/// Ticks in one net_ticktime, as OTP's net_tickintensity.
pub(crate) const INTENSITY: u32 = 4;

/// Looked at once each net_ticktime / 4 (kernel(6), net_ticktime): any byte
/// counts as life, in both directions.
///
/// A peer may have another net_ticktime than we, and change it at any time. So a tick is
/// answered with one where nothing else was sent: whoever ticks more often than we, since
/// it waits for less long, hears from us as often. BEAMs count on that: they tick a hidden
/// node whenever they heard nothing from it, whatever they have sent (dist_util.erl,
/// `send_tick`). And so do we, for peers that tick only when they are ticked, as those on
/// ei do.
#[derive(Debug)]
pub(crate) struct TickClock {
    last_reads: u64,
    last_writes: u64,
    writes_at_tick: u64,
    silent_intervals: u32,
}

/// What an interval without traffic asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TickDue {
    Nothing,
    Tick,
    PeerIsGone,
}

impl Default for TickClock {
    fn default() -> Self {
        Self {
            // The handshake was heard, and the first interval may be short.
            last_reads: u64::MAX,
            last_writes: 0,
            writes_at_tick: 0,
            silent_intervals: 0,
        }
    }
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
        if wrote && heard {
            return TickDue::Nothing;
        }
        // The tick itself is a write, and must not pass for traffic next time.
        self.last_writes += 1;
        TickDue::Tick
    }

    /// Looks at how often the link has been written when the peer has ticked. An answer is
    /// a write, too, so that of two ticks one is answered at most: enough for the peer,
    /// which waits for four, and among two who answer ticks the answers die out.
    pub(crate) fn on_tick(&mut self, writes: u64) -> TickDue {
        let wrote = writes != std::mem::replace(&mut self.writes_at_tick, writes);
        if wrote {
            TickDue::Nothing
        } else {
            TickDue::Tick
        }
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
    fn peer_that_says_nothing_is_ticked_whatever_we_write() {
        let mut clock = TickClock::default();
        assert_eq!(clock.on_interval(0, 5), TickDue::Nothing);
        assert_eq!(clock.on_interval(0, 9), TickDue::Tick);
        assert_eq!(clock.on_interval(1, 15), TickDue::Nothing);
        assert_eq!(clock.on_interval(1, 19), TickDue::Tick);
    }

    #[test]
    fn tick_is_answered_unless_something_was_written_since_the_last_one() {
        let mut clock = TickClock::default();
        assert_eq!(clock.on_tick(0), TickDue::Tick);
        assert_eq!(clock.on_tick(1), TickDue::Nothing, "the answer itself");
        assert_eq!(clock.on_tick(1), TickDue::Tick);
        assert_eq!(clock.on_tick(7), TickDue::Nothing);
    }

    #[test]
    fn answers_of_two_who_answer_die_out() {
        let mut sides = [(TickClock::default(), 0), (TickClock::default(), 0)];
        // Many at once, as after a time in which one of them could not run.
        let (mut under_way, mut to) = (1000, 0);
        for _ in 0..20 {
            let (clock, writes) = &mut sides[to];
            let before = *writes;
            for _ in 0..under_way {
                *writes += u64::from(clock.on_tick(*writes) == TickDue::Tick);
            }
            under_way = *writes - before;
            to = 1 - to;
        }
        assert_eq!(under_way, 0);
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
