//! Entries by name, each found at the same cost however many there are, and in the
//! order in which they came.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Roll<T> {
    places: HashMap<Arc<[u8]>, u64>,
    entries: BTreeMap<u64, (Arc<[u8]>, T)>,
    last_place: u64,
}

impl<T> Default for Roll<T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            entries: BTreeMap::new(),
            last_place: 0,
        }
    }
}

impl<T> Roll<T> {
    /// Enters a name that is not there, at the end; returns its place, which no other
    /// entry will have.
    pub(crate) fn push(&mut self, name: Arc<[u8]>, entry: T) -> u64 {
        self.last_place += 1;
        self.places.insert(name.clone(), self.last_place);
        self.entries.insert(self.last_place, (name, entry));
        self.last_place
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&T> {
        let (_, entry) = self.entries.get(self.places.get(name)?)?;
        Some(entry)
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<(Arc<[u8]>, T)> {
        self.remove_at(*self.places.get(name)?)
    }

    pub(crate) fn remove_at(&mut self, place: u64) -> Option<(Arc<[u8]>, T)> {
        let (name, entry) = self.entries.remove(&place)?;
        self.places.remove(&name);
        Some((name, entry))
    }

    pub(crate) fn pop_first(&mut self) {
        if let Some((_, (name, _))) = self.entries.pop_first() {
            self.places.remove(&name);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &T)> {
        self.entries.values().map(|(name, entry)| (&**name, entry))
    }
}
