//! How many pairs of nodes are connected, and how many are not.

use super::Mesh;
use crate::edges::Edge;

/// Where the pairs of visible nodes that we are linked to stand: see
/// [`crate::Matrix`] for what each means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairCounts {
    /// Both say that they are connected.
    pub linked: usize,
    /// Should be connected, and both say that they are not.
    pub missing: usize,
    /// One says that they are connected, the other that they are not.
    pub one_way: usize,
    /// One of the two has not told what it sees.
    pub unknown: usize,
    /// Not connected on purpose.
    pub excluded: usize,
}

impl PairCounts {
    /// The states and how many pairs are in each, in a fixed order.
    pub fn by_state(self) -> [(&'static str, usize); 5] {
        [
            ("linked", self.linked),
            ("missing", self.missing),
            ("one_way", self.one_way),
            ("unknown", self.unknown),
            ("excluded", self.excluded),
        ]
    }

    /// Pairs that should be connected, whether they are or not.
    pub fn expected(self) -> usize {
        self.linked + self.missing + self.one_way + self.unknown
    }
}

impl Mesh {
    /// Counts the pairs of [`matrix`](Self::matrix) without listing them.
    pub fn pair_counts(&self) -> PairCounts {
        let places: Vec<usize> = self.members.linked().collect();
        let mut counts = PairCounts::default();
        for (i, a) in places.iter().copied().enumerate() {
            for b in places[i + 1..].iter().copied() {
                let count = match self.edges.edge(a, b) {
                    Edge::Linked => &mut counts.linked,
                    _ if !self.should_be_linked(a, b) => &mut counts.excluded,
                    Edge::Missing => &mut counts.missing,
                    Edge::OneWay => &mut counts.one_way,
                    Edge::Unknown => &mut counts.unknown,
                };
                *count += 1;
            }
        }
        counts
    }
}
