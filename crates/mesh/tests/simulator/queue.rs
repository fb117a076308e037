//! What will happen when, in order; ties in order of being planned.

use std::collections::BTreeMap;

use pgmesh_mesh::Time;

#[derive(Debug)]
pub struct Queue<T> {
    planned: BTreeMap<(Time, u64), T>,
    sequence: u64,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self {
            planned: BTreeMap::new(),
            sequence: 0,
        }
    }

    pub fn plan(&mut self, at: Time, what: T) {
        self.sequence += 1;
        self.planned.insert((at, self.sequence), what);
    }

    /// Takes the next thing, unless it lies behind `end`.
    pub fn pop_until(&mut self, end: Time) -> Option<(Time, T)> {
        let (&(at, sequence), _) = self.planned.first_key_value()?;
        if at > end {
            return None;
        }
        let what = self.planned.remove(&(at, sequence))?;
        Some((at, what))
    }
}
