//! Which of the unproven names is dialled now, and which waits.
//!
//! Any database role can put names on the channel by the thousand, so that dials
//! to names nobody has proven are bounded, and fair by host: a free place goes to
//! the host that has fewest, and a dial that others wait for has to make room once
//! it had time enough for an honest answer. An honest dial needs milliseconds, a
//! silent address seconds, so what makes room is almost never the honest one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use pgmesh_name::NodeName;

use crate::{DialId, Time};

/// How many unproven names are dialled at one time.
pub(crate) const MAX_DIALS: usize = 256;
/// What a dial may take while others wait: twice what the last honest one took, but
/// neither less nor more than this.
const LEAST_TIME: Duration = Duration::from_millis(25);
const MOST_TIME: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) struct Turns {
    dials: BTreeMap<DialId, Dial>,
    hosts: BTreeMap<String, Host>,
    /// The hosts that are dialled, the busiest last, between equals the one whose
    /// dial is the oldest.
    loads: BTreeSet<(usize, Reverse<DialId>, String)>,
    /// The hosts for which names wait, the next to be served first.
    queue: BTreeSet<Place>,
    waiting: BTreeSet<NodeName>,
    served: u64,
    patience: Duration,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            dials: BTreeMap::new(),
            hosts: BTreeMap::new(),
            loads: BTreeSet::new(),
            queue: BTreeSet::new(),
            waiting: BTreeSet::new(),
            served: 0,
            patience: LEAST_TIME,
        }
    }
}

#[derive(Debug)]
struct Dial {
    name: NodeName,
    started_at: Time,
}

#[derive(Debug, Default)]
struct Host {
    // Dial ids grow, so the first is the oldest.
    dials: BTreeSet<DialId>,
    waiting: VecDeque<NodeName>,
    last_served: u64,
}

/// Hosts with fewer dials come first, then those served longest ago.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    dials: usize,
    last_served: u64,
    host: String,
}

/// Whose turn it is, and whose dial is to be given up for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) name: NodeName,
    pub(crate) give_up: Option<(DialId, NodeName)>,
}

impl Turns {
    /// Lets a name wait for its turn; once is enough.
    pub(crate) fn wait(&mut self, name: &NodeName) {
        if self.waiting.insert(name.clone()) {
            self.change(name.host(), |host| host.waiting.push_back(name.clone()));
        }
    }

    pub(crate) fn has_waiting(&self, name: &NodeName) -> bool {
        self.waiting.contains(name)
    }

    /// Takes a name off: it is proven, dropped, or dialled otherwise.
    pub(crate) fn leave(&mut self, name: &NodeName) {
        if self.waiting.remove(name) {
            self.change(name.host(), |host| {
                host.waiting.retain(|other| other != name);
            });
        }
    }

    /// Whose turn it is now, if anybody's; the name waits no longer.
    pub(crate) fn next(&mut self, now: Time) -> Option<Turn> {
        let place = self.queue.first()?;
        let give_up = if self.dials.len() < MAX_DIALS {
            None
        } else {
            Some(self.who_makes_room(place, now)?)
        };
        let host = place.host.clone();
        let name = self.hosts.get(&host)?.waiting.front()?.clone();
        if let Some((dial, _)) = &give_up {
            self.ended(*dial);
        }
        self.served += 1;
        let served = self.served;
        self.waiting.remove(&name);
        self.change(&host, |host| {
            host.waiting.pop_front();
            host.last_served = served;
        });
        Some(Turn { name, give_up })
    }

    /// When [`next`](Self::next) is worth asking without anything else happening.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.queue.first()?;
        let (_, oldest) = self.oldest_of_busiest_host()?;
        Some(oldest.started_at + self.patience)
    }

    /// Notes a dial.
    pub(crate) fn started(&mut self, name: &NodeName, dial: DialId, now: Time) {
        let entry = Dial {
            name: name.clone(),
            started_at: now,
        };
        self.dials.insert(dial, entry);
        self.change(name.host(), |host| {
            host.dials.insert(dial);
        });
    }

    /// Notes that a dial has brought a link.
    pub(crate) fn proven(&mut self, dial: DialId, now: Time) {
        if let Some(proven) = self.dials.get(&dial) {
            let took = now.since(proven.started_at);
            self.patience = (took * 2).clamp(LEAST_TIME, MOST_TIME);
        }
        self.ended(dial);
    }

    /// Notes that a dial is over; unknown ones are proven names' dials.
    pub(crate) fn ended(&mut self, dial: DialId) {
        if let Some(ended) = self.dials.remove(&dial) {
            self.change(ended.name.host(), |host| {
                host.dials.remove(&dial);
            });
        }
    }

    fn who_makes_room(&self, place: &Place, now: Time) -> Option<(DialId, NodeName)> {
        let (dial, oldest) = self.oldest_of_busiest_host()?;
        let had_time = now >= oldest.started_at + self.patience;
        let hogs = self.dials_of(oldest.name.host()) > place.dials + 1;
        (had_time || hogs).then(|| (dial, oldest.name.clone()))
    }

    fn oldest_of_busiest_host(&self) -> Option<(DialId, &Dial)> {
        let (_, Reverse(dial), _) = self.loads.last()?;
        Some((*dial, self.dials.get(dial)?))
    }

    fn dials_of(&self, host: &str) -> usize {
        self.hosts.get(host).map_or(0, |host| host.dials.len())
    }

    /// Changes a host and keeps its places in the queue and among the loads.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Host)) {
        let host = self.hosts.entry(name.to_owned()).or_default();
        if let Some(place) = host.place(name) {
            self.queue.remove(&place);
        }
        if let Some(load) = host.load(name) {
            self.loads.remove(&load);
        }
        change(host);
        self.queue.extend(host.place(name));
        self.loads.extend(host.load(name));
        if host.waiting.is_empty() && host.dials.is_empty() {
            self.hosts.remove(name);
        }
    }
}

impl Host {
    /// In the queue, if somebody waits.
    fn place(&self, name: &str) -> Option<Place> {
        (!self.waiting.is_empty()).then(|| Place {
            dials: self.dials.len(),
            last_served: self.last_served,
            host: name.to_owned(),
        })
    }

    /// Among the loads, if somebody is dialled.
    fn load(&self, name: &str) -> Option<(usize, Reverse<DialId>, String)> {
        let oldest = *self.dials.first()?;
        Some((self.dials.len(), Reverse(oldest), name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    /// Names wait, and are dialled as long as it is somebody's turn.
    fn serve(turns: &mut Turns, now: Time, last: &mut u64) -> Vec<Turn> {
        let mut served = Vec::new();
        while let Some(turn) = turns.next(now) {
            *last += 1;
            turns.started(&turn.name, DialId(*last), now);
            served.push(turn);
        }
        served
    }

    #[test]
    fn other_host_gets_its_turn_at_once() {
        let (mut turns, mut last) = (Turns::default(), 0);
        (0..1000).for_each(|n| turns.wait(&name(&format!("x{n}@b"))));
        assert_eq!(serve(&mut turns, at(0), &mut last).len(), MAX_DIALS);
        turns.wait(&name("honest@a"));
        let served = serve(&mut turns, at(1), &mut last);
        let expected = Turn {
            name: name("honest@a"),
            give_up: Some((DialId(1), name("x0@b"))),
        };
        assert_eq!(served, [expected]);
    }

    #[test]
    fn name_of_the_busiest_host_waits_for_an_end_or_for_time() {
        let (mut turns, mut last) = (Turns::default(), 0);
        (0..MAX_DIALS).for_each(|n| turns.wait(&name(&format!("x{n}@b"))));
        serve(&mut turns, at(0), &mut last);
        turns.wait(&name("honest@b"));
        assert_eq!(turns.next(at(24)), None);
        assert_eq!(turns.next_at(), Some(at(25)));
        turns.ended(DialId(77));
        let turn = turns.next(at(24)).unwrap();
        assert_eq!((turn.name, turn.give_up), (name("honest@b"), None));
        turns.started(&name("honest@b"), DialId(1000), at(24));
        turns.wait(&name("late@b"));
        let turn = turns.next(at(25)).unwrap();
        assert_eq!(turn.give_up, Some((DialId(1), name("x0@b"))));
    }

    #[test]
    fn honest_dials_say_how_long_others_may_take() {
        let (mut turns, mut last) = (Turns::default(), 0);
        (0..MAX_DIALS + 9).for_each(|n| turns.wait(&name(&format!("x{n}@b"))));
        serve(&mut turns, at(0), &mut last);
        assert_eq!(turns.next_at(), Some(at(25)));
        turns.proven(DialId(1), at(20));
        assert_eq!(serve(&mut turns, at(20), &mut last).len(), 1);
        assert_eq!(turns.next_at(), Some(at(40)));
        turns.proven(DialId(2), at(10_000));
        assert_eq!(turns.next_at(), Some(at(250)));
        turns.ended(DialId(3));
        turns.proven(DialId(257), at(21));
        assert_eq!(turns.next_at(), Some(at(25)));
    }

    #[test]
    fn names_that_leave_leave_no_trace() {
        let mut turns = Turns::default();
        for n in 0..100 {
            let name = name(&format!("x{n}@h{}", n % 7));
            turns.wait(&name);
            turns.wait(&name);
            turns.leave(&name);
        }
        assert!(turns.hosts.is_empty() && turns.queue.is_empty() && turns.waiting.is_empty());
        assert!(turns.loads.is_empty());
        assert_eq!(turns.next(at(0)), None);
        assert_eq!(turns.next_at(), None);
    }
}
