//! The whole mesh as a person wants to see it.

use std::time::Duration;

use pgmesh_name::NodeName;

use super::Mesh;
use crate::edges::Edge;

/// Who is connected to whom, among the visible nodes that we are linked to.
///
/// Pairs are indices into `nodes`, the smaller first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// In order.
    pub nodes: Vec<NodeName>,
    /// Both say so.
    pub links: Vec<(usize, usize)>,
    /// Should be linked, and both say that they are not.
    pub missing: Vec<(usize, usize)>,
    /// One says that they are linked, the other that they are not.
    pub one_way: Vec<(usize, usize)>,
    /// For each pair of `one_way`, which of the two says that they are linked.
    pub one_way_seen_by: Vec<usize>,
    /// Not linked on purpose: held, stopping, not allowed, or of releases that refuse
    /// each other.
    pub excluded: Vec<(usize, usize)>,
    /// One of the two has not told what it sees.
    pub unknown: Vec<(usize, usize)>,
    /// How long ago the oldest of what the nodes see was told.
    pub age: Duration,
}

impl Mesh {
    /// Takes stock of every pair; costs time in proportion to their number.
    pub fn matrix(&self) -> Matrix {
        let places: Vec<usize> = self.members.linked().collect();
        let mut matrix = Matrix::default();
        for (i, a) in places.iter().copied().enumerate() {
            for (j, b) in places.iter().copied().enumerate().skip(i + 1) {
                let pairs = match self.edges.edge(a, b) {
                    Edge::Linked => &mut matrix.links,
                    _ if !self.should_be_linked(a, b) => &mut matrix.excluded,
                    Edge::Missing => &mut matrix.missing,
                    Edge::OneWay => {
                        let by_first = self.edges.says(a, b) == Some(true);
                        matrix.one_way_seen_by.push(if by_first { i } else { j });
                        &mut matrix.one_way
                    }
                    Edge::Unknown => &mut matrix.unknown,
                };
                pairs.push((i, j));
            }
        }
        let seen = places.iter().filter_map(|place| self.edges.seen_at(*place));
        matrix.age = seen.min().map_or(Duration::ZERO, |at| self.now.since(at));
        matrix.nodes = self.linked_nodes().cloned().collect();
        matrix
    }

    /// Whether two nodes that we are linked to both say that they are connected.
    pub fn are_connected(&self, a: &NodeName, b: &NodeName) -> bool {
        let linked = |name| {
            let place = self.members.place(name)?;
            self.members.link_at(place).map(|_| place)
        };
        let (Some(a), Some(b)) = (linked(a), linked(b)) else {
            return false;
        };
        self.edges.edge(a, b) == Edge::Linked
    }

    /// The visible nodes that we are linked to, in order.
    pub(super) fn linked_nodes(&self) -> impl Iterator<Item = &NodeName> {
        let nodes = self.members.linked();
        nodes.filter_map(|place| Some(self.members.at(place)?.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Input, LinkId, Peer, Time};

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn linked(names: &[&str]) -> Mesh {
        let mut mesh = Mesh::new(Config::new(name("own@h")), 1);
        for (link, text) in (1..).zip(names) {
            let peer = Peer {
                name: name(text),
                creation: 1,
                hidden: false,
            };
            let link = LinkId(link);
            mesh.handle(Time::ZERO, Input::LinkUp { peer, link });
        }
        mesh
    }

    fn sees(mesh: &mut Mesh, link: u64, who: &str, peers: &[&str]) {
        let seen = Input::PeersSeen {
            name: name(who),
            link: LinkId(link),
            peers: peers.iter().map(|peer| name(peer)).collect(),
        };
        mesh.handle(Time::ZERO, seen);
    }

    #[test]
    fn one_way_pairs_name_the_end_that_sees_them() {
        let mut mesh = linked(&["a@h", "b@h", "c@h"]);
        sees(&mut mesh, 1, "a@h", &["b@h"]);
        sees(&mut mesh, 2, "b@h", &[]);
        sees(&mut mesh, 3, "c@h", &["a@h", "b@h"]);
        let matrix = mesh.matrix();
        assert_eq!(matrix.one_way, [(0, 1), (0, 2), (1, 2)]);
        assert_eq!(matrix.one_way_seen_by, [0, 2, 2]);
    }
}
