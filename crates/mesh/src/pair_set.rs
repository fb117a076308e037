//! A set of pairs of places, as bits.

use fixedbitset::FixedBitSet;

/// Each pair is in it both ways round.
#[derive(Debug, Default)]
pub(crate) struct PairSet {
    rows: Vec<FixedBitSet>,
}

impl PairSet {
    pub(crate) fn insert(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            if one >= self.rows.len() {
                self.rows.resize_with(one + 1, FixedBitSet::new);
            }
            self.rows[one].grow_and_insert(other);
        }
    }

    /// Takes a pair out; whether it was there.
    pub(crate) fn remove(&mut self, a: usize, b: usize) -> bool {
        let was_there = self.contains(a, b);
        for (one, other) in [(a, b), (b, a)] {
            if let Some(row) = self.rows.get_mut(one).filter(|_| was_there) {
                row.set(other, false);
            }
        }
        was_there
    }

    pub(crate) fn contains(&self, a: usize, b: usize) -> bool {
        self.rows.get(a).is_some_and(|row| row.contains(b))
    }

    /// The others of all pairs that this one is in.
    pub(crate) fn of(&self, one: usize) -> impl Iterator<Item = usize> {
        self.rows.get(one).into_iter().flat_map(FixedBitSet::ones)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pair_is_there_both_ways_round_until_it_is_taken_out() {
        let mut pairs = PairSet::default();
        pairs.insert(7, 2);
        pairs.insert(2, 9);
        assert!(pairs.contains(2, 7) && pairs.contains(7, 2) && !pairs.contains(7, 9));
        assert_eq!(pairs.of(2).collect::<Vec<_>>(), [7, 9]);
        assert!(pairs.remove(2, 7) && !pairs.remove(7, 2));
        assert_eq!(pairs.of(7).count() + pairs.of(100).count(), 0);
        assert_eq!(pairs.of(2).collect::<Vec<_>>(), [9]);
    }
}
