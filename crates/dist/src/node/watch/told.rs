//! Which names were told, without the names.
//!
//! Each of a thousand watchers tells of a thousand nodes, and nobody asks for them by
//! this: a mark of eight bytes is enough to know one again. Marks are keyed, so that no
//! peer can find two names with the same one.

use std::hash::{BuildHasher as _, RandomState};

use pgmesh_name::NodeName;

/// A set of names that can only be asked whether it has one.
#[derive(Debug, Default)]
pub(super) struct Told {
    key: RandomState,
    /// In order.
    marks: Vec<u64>,
}

impl Told {
    pub(super) fn len(&self) -> usize {
        self.marks.len()
    }

    /// Adds all of these; no room is kept for more.
    pub(super) fn extend(&mut self, names: &[NodeName]) {
        self.marks.reserve_exact(names.len());
        let marks = names.iter().map(|name| self.key.hash_one(name));
        self.marks.extend(marks);
        self.marks.sort_unstable();
        self.marks.dedup();
    }

    /// Whether it is new.
    pub(super) fn insert(&mut self, name: &NodeName) -> bool {
        let mark = self.key.hash_one(name);
        let place = self.marks.binary_search(&mark);
        if let Err(place) = place {
            self.marks.insert(place, mark);
        }
        place.is_err()
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, name: &NodeName) -> bool {
        let place = self.marks.binary_search(&self.key.hash_one(name));
        if let Ok(place) = place {
            self.marks.remove(place);
        }
        place.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_again_until_they_are_removed() {
        let name = |n: usize| format!("n{n}@h").parse::<NodeName>().unwrap();
        let mut told = Told::default();
        told.extend(&(0..100).map(name).collect::<Vec<_>>());
        told.extend(&[name(7)]);
        assert_eq!(told.len(), 100);
        assert!(!told.insert(&name(99)) && told.insert(&name(100)));
        assert!(told.remove(&name(100)) && !told.remove(&name(100)));
        assert_eq!(told.len(), 100);
    }
}
