//! Names that no handshake has proven, kept within bounds.
//!
//! Any database role can put names on the channel, as many as it likes. So the
//! names nobody has proven live in a bounded list in order of being heard, and the
//! oldest makes room for the newest.

use std::collections::BTreeMap;

use pgmesh_name::NodeName;

/// How many unproven names are kept.
pub(crate) const MAX_NAMES: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    clock: u64,
    heard_order: BTreeMap<u64, NodeName>,
    stamps: BTreeMap<NodeName, u64>,
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

    /// Whether so many names wait to be proven that none is tried again by itself:
    /// a node that is there will say its name again.
    pub(crate) fn is_crowded(&self) -> bool {
        self.stamps.len() > MAX_NAMES / 4
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
}
