//! Pairs that are healed and apart again at once: whatever cuts them is stronger.
//!
//! OTP from 25 on cuts an edge itself when another node cannot reach the peer
//! (`prevent_overlapping_partitions`). To connect such a pair again and again without a
//! pause is work for everybody, and noise.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::Time;
use crate::introductions::Pair;

/// A pair that was linked for so long holds.
const STEADY: Duration = Duration::from_secs(5);
/// So many times in a row may be what one cut brings about: these are healed at once.
const AT_ONCE: u32 = 4;
const WAIT_FROM: Duration = Duration::from_millis(500);
const MAX_DOUBLINGS: u32 = 3;
/// Room for so many costs nothing.
const KEPT_ROOM: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Flapping {
    /// When each was healed, and how often in a row it did not hold before.
    healed: BTreeMap<Pair, (Time, u32)>,
    order: VecDeque<(Time, Pair)>,
}

impl Flapping {
    /// Notes that a pair that did not hold `flaps` times in a row is linked again.
    pub(crate) fn healed(&mut self, pair: &Pair, flaps: u32, now: Time) {
        self.healed.insert(pair.clone(), (now, flaps));
        self.order.push_back((now, pair.clone()));
    }

    /// How often in a row this pair, which is apart now, did not hold.
    pub(crate) fn lost(&mut self, pair: &Pair, now: Time) -> u32 {
        match self.healed.remove(pair) {
            Some((at, flaps)) if now.since(at) < STEADY => flaps.saturating_add(1),
            _ => 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn remembers(&self, pair: &Pair) -> bool {
        self.healed.contains_key(pair)
    }

    /// Forgets who has held for long enough. To be called again and again: of a mesh of a
    /// thousand that has just been made there are half a million pairs to forget.
    pub(crate) fn forget_steady(&mut self, now: Time) {
        while let Some((at, _)) = self.order.front()
            && now.since(*at) >= STEADY
            && let Some((at, pair)) = self.order.pop_front()
        {
            if self.healed.get(&pair).is_some_and(|(last, _)| *last == at) {
                self.healed.remove(&pair);
            }
        }
        let (len, room) = (self.order.len(), self.order.capacity());
        if room > KEPT_ROOM && len < room / 4 {
            self.order.shrink_to(KEPT_ROOM.max(2 * len));
        }
    }
}

/// How long to leave a pair apart that did not hold so often.
pub(crate) fn wait(flaps: u32) -> Duration {
    match flaps.checked_sub(AT_ONCE + 1) {
        None => Duration::ZERO,
        Some(more) => WAIT_FROM * (1 << more.min(MAX_DOUBLINGS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    fn pair(number: usize) -> Pair {
        let name = |alive: &str| format!("{alive}@h").parse().unwrap();
        Pair::new(&name("a"), &name(&format!("b{number}")))
    }

    #[test]
    fn whoever_does_not_hold_waits_ever_longer_and_whoever_holds_not_at_all() {
        let mut flapping = Flapping::default();
        let mut now = at(0);
        let mut flaps = flapping.lost(&pair(1), now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            flapping.healed(&pair(1), flaps, now);
            now = now + Duration::from_millis(1);
            flaps = flapping.lost(&pair(1), now);
            waits.push(wait(flaps).as_millis());
            now = now + wait(flaps);
        }
        assert_eq!(waits, [0, 0, 0, 0, 500, 1000, 2000, 4000, 4000]);
        flapping.healed(&pair(1), flaps, now);
        assert_eq!(flapping.lost(&pair(1), now + STEADY), 0);
    }

    #[test]
    fn what_holds_leaves_nothing() {
        let mut flapping = Flapping::default();
        for number in 0..100 {
            flapping.healed(&pair(number), 0, at(0));
        }
        flapping.healed(&pair(7), 0, at(4_000));
        flapping.forget_steady(at(4_999));
        assert_eq!((flapping.healed.len(), flapping.order.len()), (100, 101));
        flapping.forget_steady(at(5_000));
        assert_eq!((flapping.healed.len(), flapping.order.len()), (1, 1));
        assert!(flapping.order.capacity() <= KEPT_ROOM, "nor room for it");
        flapping.forget_steady(at(9_000));
        assert!(flapping.healed.is_empty() && flapping.order.is_empty());
    }
}
