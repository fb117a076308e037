//! Which member wants attention next.

use std::collections::{BTreeMap, BTreeSet};

use pgmesh_name::NodeName;

use crate::Time;

/// At most one deadline per name, found in order of time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Time, NodeName)>,
    by_name: BTreeMap<NodeName, Time>,
}

impl Timers {
    /// Sets, moves or (with `None`) clears the deadline of `name`.
    pub(crate) fn set(&mut self, name: &NodeName, at: Option<Time>) {
        if let Some(old) = self.by_name.remove(name) {
            self.by_time.remove(&(old, name.clone()));
        }
        if let Some(at) = at {
            self.by_name.insert(name.clone(), at);
            self.by_time.insert((at, name.clone()));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes one name whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<NodeName> {
        let (at, name) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let name = name.clone();
        self.set(&name, None);
        Some(name)
    }
}
