//! How many pairs of nodes are connected, and how many are not.

use pgmesh_name::NodeName;

use super::Mesh;
use crate::edges::Edge;
use crate::{Member, State};

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
    /// Counts the pairs of [`matrix`](Self::matrix) without listing them: names are
    /// looked up once for each node and not for each pair.
    pub fn pair_counts(&self) -> PairCounts {
        let nodes: Vec<_> = self.linked_members().collect();
        let names = nodes.iter().map(|(name, _)| *name);
        let views = self.edges.views_of(names);
        let mut counts = PairCounts::default();
        for (i, (_, a)) in nodes.iter().enumerate() {
            for (j, (_, b)) in nodes.iter().enumerate().skip(i + 1) {
                let count = match views[i].edge(&views[j]) {
                    Edge::Linked => &mut counts.linked,
                    _ if !a.should_be_linked(b) => &mut counts.excluded,
                    Edge::Missing => &mut counts.missing,
                    Edge::OneWay => &mut counts.one_way,
                    Edge::Unknown => &mut counts.unknown,
                };
                *count += 1;
            }
        }
        counts
    }

    /// The visible nodes that we are linked to, in order.
    pub(super) fn linked_members(&self) -> impl Iterator<Item = (&NodeName, &Member)> {
        let is_linked = |member: &Member| matches!(member.state, State::Up(_)) && !member.hidden;
        let members = self.members.iter();
        members.filter(move |(_, member)| is_linked(member))
    }
}
