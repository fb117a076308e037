//! Names that no handshake has proven, kept within bounds.
//!
//! Any database role can put names on the channel, as many as it likes. So the
//! names nobody has proven live in a bounded list in order of being heard, and
//! their dials in flight are bounded too. A newcomer never waits for a free
//! place: the oldest name, and the oldest dial of the host that has most of
//! them, make room. An honest dial needs milliseconds, a silent address seconds,
//! so what makes room is almost never the honest one.

use std::collections::BTreeMap;

use pgmesh_name::NodeName;

use crate::DialId;

/// How many unproven names are kept.
pub(crate) const MAX_NAMES: usize = 4096;
/// How many of them are dialled at one time.
pub(crate) const MAX_DIALS: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    clock: u64,
    heard_order: BTreeMap<u64, NodeName>,
    stamps: BTreeMap<NodeName, u64>,
    // Dial ids grow, so the first of a host is its oldest.
    dials: BTreeMap<DialId, NodeName>,
    dials_per_host: BTreeMap<String, usize>,
}

impl Newcomers {
    /// Notes that `name` was heard; returns a name to drop in its favour.
    pub(crate) fn heard(&mut self, name: &NodeName) -> Option<NodeName> {
        self.forget_name(name);
        self.clock += 1;
        self.heard_order.insert(self.clock, name.clone());
        self.stamps.insert(name.clone(), self.clock);
        if self.stamps.len() <= MAX_NAMES {
            return None;
        }
        let (_, oldest) = self.heard_order.pop_first()?;
        self.stamps.remove(&oldest);
        Some(oldest)
    }

    /// Takes `name` off the list: proven, or forgotten.
    pub(crate) fn forget_name(&mut self, name: &NodeName) {
        if let Some(stamp) = self.stamps.remove(name) {
            self.heard_order.remove(&stamp);
        }
    }

    /// Notes a dial; returns one to cancel in its favour.
    pub(crate) fn dial_started(
        &mut self,
        name: &NodeName,
        dial: DialId,
    ) -> Option<(DialId, NodeName)> {
        let cancelled = (self.dials.len() >= MAX_DIALS).then(|| self.oldest_of_busiest_host());
        let cancelled = cancelled.flatten();
        if let Some((old, _)) = &cancelled {
            self.dial_ended(*old);
        }
        self.dials.insert(dial, name.clone());
        *self
            .dials_per_host
            .entry(name.host().to_owned())
            .or_default() += 1;
        cancelled
    }

    /// Notes that a dial is over; unknown ones are proven names' dials.
    pub(crate) fn dial_ended(&mut self, dial: DialId) {
        let Some(name) = self.dials.remove(&dial) else {
            return;
        };
        if let Some(count) = self.dials_per_host.get_mut(name.host()) {
            *count -= 1;
            if *count == 0 {
                self.dials_per_host.remove(name.host());
            }
        }
    }

    fn oldest_of_busiest_host(&self) -> Option<(DialId, NodeName)> {
        let most = self.dials_per_host.values().max()?;
        let is_busiest = |name: &NodeName| self.dials_per_host.get(name.host()) == Some(most);
        self.dials
            .iter()
            .find(|(_, name)| is_busiest(name))
            .map(|(dial, name)| (*dial, name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    #[test]
    fn the_name_heard_longest_ago_makes_room() {
        let mut newcomers = Newcomers::default();
        for n in 0..MAX_NAMES {
            assert_eq!(newcomers.heard(&name(&format!("n{n}@h"))), None);
        }
        assert_eq!(newcomers.heard(&name("n0@h")), None, "heard again");
        assert_eq!(newcomers.heard(&name("new@h")), Some(name("n1@h")));
    }

    #[test]
    fn the_busiest_host_makes_room_for_a_dial() {
        let mut newcomers = Newcomers::default();
        assert_eq!(newcomers.dial_started(&name("honest@a"), DialId(0)), None);
        for n in 1..MAX_DIALS {
            let flood = name(&format!("x{n}@b"));
            assert_eq!(newcomers.dial_started(&flood, DialId(n as u64)), None);
        }
        let cancelled = newcomers.dial_started(&name("other@c"), DialId(9999));
        assert_eq!(cancelled, Some((DialId(1), name("x1@b"))));
        newcomers.dial_ended(DialId(0));
        assert_eq!(newcomers.dial_started(&name("more@c"), DialId(10000)), None);
    }
}
