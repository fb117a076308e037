//! Pairs that are apart, and when they are told to connect.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use pgmesh_name::NodeName;

use crate::Time;
use crate::action::IntroductionId;
use crate::backoff::jittered;
use crate::flapping::{self, Flapping};

/// Introductions under way at one time, in all and at one node: each is a process
/// on a node that may wait seven seconds for a silent address.
const MAX_OUTSTANDING: usize = 512;
const MAX_AT_ONE_NODE: usize = 16;
/// Both nodes are being asked for as many as they may be: one of those will end.
const NO_ROOM: Duration = Duration::from_millis(50);
/// A first failure may be bad luck: the other node is asked soon after.
const SECOND_TRY: Duration = Duration::from_millis(100);
const BACKOFF_FROM: Duration = Duration::from_millis(500);
/// With many pairs that fail, all of them together are asked for so often a second.
const MAX_RETRIES_A_SECOND: u32 = 100;
/// Between two times that one success makes all others due.
const HURRY_GAP: Duration = Duration::from_secs(2);
/// How long a pair that was told to connect may take to be seen connected.
const CONFIRMATION: Duration = Duration::from_secs(2);

/// Two names in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair(pub(crate) NodeName, pub(crate) NodeName);

impl Pair {
    pub(crate) fn new(a: &NodeName, b: &NodeName) -> Self {
        let (first, second) = if a <= b { (a, b) } else { (b, a) };
        Self(first.clone(), second.clone())
    }
}

/// A pair that should be linked and is not.
#[derive(Clone, Debug)]
pub(crate) struct Apart {
    pub(crate) since: Time,
    /// Introductions in a row that brought nothing.
    pub(crate) failures: u32,
    /// How often in a row it was healed and did not hold.
    flaps: u32,
    /// Whether one was made at all.
    pub(crate) was_introduced: bool,
    /// Whether they were linked before.
    pub(crate) was_linked: bool,
    /// Whether it is ours to introduce.
    is_ours: bool,
    /// When it is introduced; `None` if it is not ours, or while it is asked for.
    due_at: Option<Time>,
}

/// A question that is under way, also when its pair is settled meanwhile: no pair is
/// asked for twice at once.
#[derive(Debug)]
struct Asked {
    pair: Pair,
    to: NodeName,
}

/// What is to be done: tell `to` to connect to `peer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) id: IntroductionId,
    pub(crate) to: NodeName,
    pub(crate) peer: NodeName,
}

#[derive(Debug, Default)]
pub(crate) struct Introductions {
    apart: BTreeMap<Pair, Apart>,
    due: BTreeMap<Time, BTreeSet<Pair>>,
    asked: BTreeMap<IntroductionId, Asked>,
    asked_pairs: BTreeSet<Pair>,
    busy: BTreeMap<NodeName, usize>,
    last_id: u64,
    hurried_at: Option<Time>,
    flapping: Flapping,
}

impl Introductions {
    /// Notes that a pair is apart. It is introduced at `due_at`, unless `None`; a
    /// time that was set before stands if it is earlier.
    pub(crate) fn apart(&mut self, pair: &Pair, now: Time, due_at: Option<Time>) {
        let flapping = &mut self.flapping;
        let entry = self.apart.entry(pair.clone()).or_insert_with(|| Apart {
            since: now,
            failures: 0,
            flaps: flapping.lost(pair, now),
            was_introduced: false,
            was_linked: false,
            is_ours: false,
            due_at: None,
        });
        entry.is_ours |= due_at.is_some();
        let due_at = due_at.map(|at| at.max(entry.since + flapping::wait(entry.flaps)));
        let is_sooner = match (entry.due_at, due_at) {
            (None, Some(_)) => true,
            (Some(planned), Some(at)) => entry.failures == 0 && at < planned,
            (_, None) => false,
        };
        if is_sooner && !self.asked_pairs.contains(pair) {
            self.set_due(pair, due_at);
        }
    }

    /// Notes that a pair that is apart was linked a moment ago.
    pub(crate) fn lost(&mut self, pair: &Pair) {
        if let Some(apart) = self.apart.get_mut(pair) {
            apart.was_linked = true;
        }
    }

    /// Makes every pair nobody's, until [`apart`](Self::apart) says otherwise. What is
    /// asked for already comes to its end.
    pub(crate) fn unplan(&mut self) {
        self.due.clear();
        for apart in self.apart.values_mut() {
            apart.due_at = None;
            apart.is_ours = false;
        }
    }

    /// Takes a pair off: it is linked, or need not be.
    pub(crate) fn settle(&mut self, pair: &Pair, linked: bool, now: Time) -> Option<Apart> {
        self.set_due(pair, None);
        let apart = self.apart.remove(pair)?;
        if linked && (apart.was_introduced || apart.flaps > 0) {
            self.flapping.healed(pair, apart.flaps, now);
        }
        Some(apart)
    }

    /// The next pair to introduce, by the node that is asked for less; between equals
    /// by the smaller name, and after a failure by the other one.
    ///
    /// Asked after whatever happens, it also forgets the pairs that have held since.
    pub(crate) fn next(&mut self, now: Time) -> Option<Introduction> {
        self.flapping.forget_steady(now);
        if self.asked.len() >= MAX_OUTSTANDING {
            return None;
        }
        let (pair, to, peer) = self.next_with_room(now)?;
        self.set_due(&pair, None);
        self.last_id += 1;
        let id = IntroductionId(self.last_id);
        *self.busy.entry(to.clone()).or_default() += 1;
        if let Some(apart) = self.apart.get_mut(&pair) {
            apart.was_introduced = true;
        }
        self.asked_pairs.insert(pair.clone());
        let asked = Asked {
            pair,
            to: to.clone(),
        };
        self.asked.insert(id, asked);
        Some(Introduction { id, to, peer })
    }

    fn next_with_room(&mut self, now: Time) -> Option<(Pair, NodeName, NodeName)> {
        loop {
            let (at, pairs) = self.due.first_key_value()?;
            let pair = pairs.first().filter(|_| *at <= now)?.clone();
            match self.who(&pair) {
                Some((to, peer)) => return Some((pair, to, peer)),
                None => self.set_due(&pair, Some(now + NO_ROOM)),
            }
        }
    }

    /// Notes an answer: whose it is, and whom that node was told to connect to.
    pub(crate) fn answered(
        &mut self,
        id: IntroductionId,
        connected: bool,
        now: Time,
        longest_wait: Duration,
        rng: &mut fastrand::Rng,
    ) -> Option<(NodeName, NodeName)> {
        let Asked { pair, to } = self.asked.remove(&id)?;
        self.asked_pairs.remove(&pair);
        self.free(&to);
        let longest_wait = longest_wait.max(self.fair_wait());
        if let Some(apart) = self.apart.get_mut(&pair).filter(|apart| apart.is_ours) {
            let wait = if connected {
                CONFIRMATION
            } else {
                apart.failures = apart.failures.saturating_add(1);
                wait_after(apart.failures, longest_wait, rng)
            };
            self.set_due(&pair, Some(now + wait));
        }
        let peer = if to == pair.0 { pair.1 } else { pair.0 };
        Some((to, peer))
    }

    /// So long that all pairs together are not asked for too often.
    fn fair_wait(&self) -> Duration {
        let pairs = u32::try_from(self.apart.len()).unwrap_or(u32::MAX);
        Duration::from_secs(1).saturating_mul(pairs) / MAX_RETRIES_A_SECOND
    }

    /// Asks soon for every pair that failed: what kept them apart may be over.
    pub(crate) fn hurry(&mut self, now: Time) {
        if self.hurried_at.is_some_and(|at| now.since(at) < HURRY_GAP) {
            return;
        }
        self.hurried_at = Some(now);
        let failed = |(pair, apart): (&Pair, &Apart)| {
            let waits = apart.due_at.is_some_and(|at| at > now);
            (waits && apart.failures > 0).then(|| pair.clone())
        };
        let failed: Vec<_> = self.apart.iter().filter_map(failed).collect();
        for pair in failed {
            self.set_due(&pair, Some(now));
        }
    }

    /// When [`next`](Self::next) is to be asked, unless something else happens. What
    /// is due and finds no room waits for an answer.
    pub(crate) fn next_at(&self, now: Time) -> Option<Time> {
        let later = (Bound::Excluded(now), Bound::Unbounded);
        self.due.range(later).next().map(|(at, _)| *at)
    }

    pub(crate) fn get(&self, pair: &Pair) -> Option<&Apart> {
        self.apart.get(pair)
    }

    fn who(&self, pair: &Pair) -> Option<(NodeName, NodeName)> {
        let load = |name: &NodeName| self.busy.get(name).copied().unwrap_or_default();
        let apart = self.apart.get(pair)?;
        let other_first = apart.failures % 2 == 1;
        let (first, second) = if other_first {
            (&pair.1, &pair.0)
        } else {
            (&pair.0, &pair.1)
        };
        let (to, peer) = if load(second) < load(first) && apart.failures == 0 {
            (second, first)
        } else {
            (first, second)
        };
        (load(to) < MAX_AT_ONE_NODE).then(|| (to.clone(), peer.clone()))
    }

    fn free(&mut self, to: &NodeName) {
        if let Some(busy) = self.busy.get_mut(to) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(to);
            }
        }
    }

    fn set_due(&mut self, pair: &Pair, at: Option<Time>) {
        let Some(apart) = self.apart.get_mut(pair) else {
            return;
        };
        if let Some(old) = apart.due_at.take() {
            let pairs = self.due.entry(old).or_default();
            pairs.remove(pair);
            if pairs.is_empty() {
                self.due.remove(&old);
            }
        }
        if let Some(at) = at {
            apart.due_at = Some(at);
            self.due.entry(at).or_default().insert(pair.clone());
        }
    }
}

fn wait_after(failures: u32, longest: Duration, rng: &mut fastrand::Rng) -> Duration {
    if failures < 2 {
        return SECOND_TRY;
    }
    let wait = BACKOFF_FROM.saturating_mul(1 << (failures - 2).min(16));
    jittered(wait.min(longest), rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn pair(a: &str, b: &str) -> Pair {
        Pair::new(&name(a), &name(b))
    }

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    const LONGEST: Duration = Duration::from_secs(4);

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(1)
    }

    #[test]
    fn the_smaller_is_asked_first_and_the_other_after_a_failure() {
        let mut introductions = Introductions::default();
        let pair = pair("b@h", "a@h");
        introductions.apart(&pair, at(0), Some(at(0)));
        let first = introductions.next(at(0)).unwrap();
        assert_eq!((first.to, first.peer), (name("a@h"), name("b@h")));
        assert_eq!(introductions.next(at(0)), None, "never twice at once");
        introductions.apart(&pair, at(1), Some(at(1)));
        assert_eq!(introductions.next(at(1)), None);
        introductions.answered(first.id, false, at(2), LONGEST, &mut rng());
        assert_eq!(introductions.next_at(at(2)), Some(at(102)));
        let second = introductions.next(at(102)).unwrap();
        assert_eq!((second.to, second.peer), (name("b@h"), name("a@h")));
        assert_eq!(
            introductions.answered(first.id, true, at(103), LONGEST, &mut rng()),
            None
        );
    }

    #[test]
    fn pair_that_holds_leaves_nothing_though_no_other_is_healed() {
        let mut introductions = Introductions::default();
        let pair = pair("a@h", "b@h");
        introductions.apart(&pair, at(0), Some(at(0)));
        introductions.next(at(0)).unwrap();
        introductions.settle(&pair, true, at(1));
        introductions.next(at(5_000));
        assert!(introductions.flapping.remembers(&pair), "it may flap yet");
        introductions.next(at(5_001));
        assert!(!introductions.flapping.remembers(&pair));
    }

    #[test]
    fn backoff_begins_at_the_second_failure_and_ends_with_the_pair() {
        let mut introductions = Introductions::default();
        let pair = pair("a@h", "b@h");
        introductions.apart(&pair, at(0), Some(at(0)));
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let asked = introductions.next(now).unwrap();
            introductions.answered(asked.id, false, now, LONGEST, &mut rng());
            let next = introductions.next_at(now).unwrap();
            waits.push(next.since(now));
            now = next;
        }
        assert_eq!(waits[0], SECOND_TRY);
        assert!(waits[1] < waits[4] && waits[11] <= LONGEST.mul_f64(1.2));
        introductions.settle(&pair, true, now);
        introductions.apart(&pair, now, Some(now));
        assert!(
            introductions.next(now).is_some(),
            "a lost edge is no failure"
        );
    }

    #[test]
    fn what_finds_no_room_delays_nobody() {
        let mut introductions = Introductions::default();
        for n in 0..100 {
            introductions.apart(&pair("a@h", &format!("b{n}@h")), at(0), Some(at(0)));
        }
        let mut asked = BTreeMap::<NodeName, usize>::new();
        while let Some(next) = introductions.next(at(0)) {
            *asked.entry(next.to).or_default() += 1;
        }
        assert!(asked.values().all(|count| *count <= MAX_AT_ONE_NODE));
        assert_eq!(asked.values().sum::<usize>(), 100);
        introductions.apart(&pair("x@h", "y@h"), at(1), Some(at(1)));
        assert_eq!(introductions.next(at(1)).unwrap().to, name("x@h"));
    }

    #[test]
    fn one_success_is_hope_for_all_that_failed() {
        let mut introductions = Introductions::default();
        let pairs = [pair("a@h", "x@h"), pair("a@h", "y@h")];
        for pair in &pairs {
            introductions.apart(pair, at(0), Some(at(0)));
            for _ in 0..8 {
                let now = introductions.next_at(at(0)).unwrap_or(at(0));
                let asked = introductions.next(now).unwrap();
                introductions.answered(asked.id, false, now, LONGEST, &mut rng());
            }
        }
        let now = at(20_000);
        assert!(introductions.next_at(at(1)).is_some());
        introductions.settle(&pairs[0], true, now);
        introductions.hurry(now);
        assert!(introductions.next(now).is_some());
    }

    #[test]
    fn settled_pairs_leave_nothing() {
        let mut introductions = Introductions::default();
        let pair = pair("a@h", "b@h");
        introductions.apart(&pair, at(0), Some(at(0)));
        introductions.next(at(0)).unwrap();
        assert!(
            introductions
                .settle(&pair, false, at(0))
                .unwrap()
                .was_introduced
        );
        introductions.apart(&pair, at(1), Some(at(1)));
        assert_eq!(
            introductions.next(at(1)),
            None,
            "the first is still under way"
        );
        introductions.answered(IntroductionId(1), true, at(1), LONGEST, &mut rng());
        introductions.settle(&pair, false, at(1));
        let Introductions {
            apart,
            due,
            asked,
            busy,
            asked_pairs,
            ..
        } = introductions;
        assert!(asked_pairs.is_empty());
        assert!(apart.is_empty() && due.is_empty() && asked.is_empty() && busy.is_empty());
    }
}
