//! Who is connected to whom, as the nodes themselves see it.
//!
//! Each node that we are linked to has a view: the nodes it is connected to. A
//! pair is linked when both say so. Views are sets of bits, so that a thousand of
//! a thousand fit into a few hundred kilobytes.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use pgmesh_name::NodeName;

use crate::Time;

/// What is known of the connection between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Both say that it stands.
    Linked,
    /// Both say that there is none.
    Missing,
    /// One says that it stands, the other that there is none.
    OneWay,
    /// At least one of them has not been asked.
    Unknown,
}

#[derive(Debug, Default)]
pub(crate) struct Edges {
    ids: BTreeMap<NodeName, usize>,
    views: Vec<Option<View>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct View {
    peers: FixedBitSet,
    taken_at: Time,
}

/// A node and its view, looked up once: for whoever goes through many pairs.
pub(crate) struct NodeView<'a> {
    id: Option<usize>,
    view: Option<&'a View>,
}

impl NodeView<'_> {
    pub(crate) fn edge(&self, other: &Self) -> Edge {
        Edge::seen(self.says(other), other.says(self))
    }

    fn says(&self, peer: &Self) -> Option<bool> {
        let view = self.view?;
        Some(peer.id.is_some_and(|id| view.peers.contains(id)))
    }
}

impl Edge {
    /// From what the two ends say.
    fn seen(by_one: Option<bool>, by_other: Option<bool>) -> Self {
        match (by_one, by_other) {
            (Some(true), Some(true)) => Self::Linked,
            (Some(false), Some(false)) => Self::Missing,
            (Some(_), Some(_)) => Self::OneWay,
            _ => Self::Unknown,
        }
    }
}

impl Edges {
    /// Takes in the whole view of a node.
    pub(crate) fn see_all<'a>(
        &mut self,
        name: &NodeName,
        peers: impl Iterator<Item = &'a NodeName>,
        now: Time,
    ) {
        let mut bits = FixedBitSet::with_capacity(self.views.len());
        for peer in peers {
            bits.grow_and_insert(self.id(peer));
        }
        let id = self.id(name);
        self.views[id] = Some(View {
            peers: bits,
            taken_at: now,
        });
    }

    /// Takes in one change of a view, if there is a view to change.
    pub(crate) fn see(&mut self, name: &NodeName, peer: &NodeName, connected: bool, now: Time) {
        let (id, peer) = (self.id(name), self.id(peer));
        if let Some(view) = &mut self.views[id] {
            view.peers.grow(peer + 1);
            view.peers.set(peer, connected);
            view.taken_at = now;
        }
    }

    /// Whether a node's view has exactly these peers, as far as they are known.
    pub(crate) fn agrees(&self, name: &NodeName, peers: &[NodeName]) -> bool {
        let Some(view) = self.view(name) else {
            return false;
        };
        let known = peers.iter().filter_map(|peer| self.ids.get(peer));
        let bits: FixedBitSet = known.copied().collect();
        view.peers.ones().eq(bits.ones())
    }

    /// We no longer hear what this node sees.
    pub(crate) fn lose_view(&mut self, name: &NodeName) {
        if let Some(id) = self.ids.get(name) {
            self.views[*id] = None;
        }
    }

    /// Removes every trace of a name.
    pub(crate) fn forget(&mut self, name: &NodeName) {
        let Some(id) = self.ids.remove(name) else {
            return;
        };
        self.views[id] = None;
        for view in self.views.iter_mut().flatten() {
            if view.peers.contains(id) {
                view.peers.set(id, false);
            }
        }
        self.free.push(id);
    }

    /// When this node last told what it sees.
    pub(crate) fn seen_at(&self, name: &NodeName) -> Option<Time> {
        self.view(name).map(|view| view.taken_at)
    }

    pub(crate) fn edge(&self, a: &NodeName, b: &NodeName) -> Edge {
        Edge::seen(self.says(a, b), self.says(b, a))
    }

    /// The views of these nodes, in their order.
    pub(crate) fn views_of<'a>(
        &self,
        names: impl Iterator<Item = &'a NodeName>,
    ) -> Vec<NodeView<'_>> {
        let look_up = |name| {
            let id = self.ids.get(name).copied();
            let view = id.and_then(|id| self.views[id].as_ref());
            NodeView { id, view }
        };
        names.map(look_up).collect()
    }

    /// Whether a node says that it is connected to another.
    pub(crate) fn says(&self, name: &NodeName, peer: &NodeName) -> Option<bool> {
        let view = self.view(name)?;
        let peer = self.ids.get(peer);
        Some(peer.is_some_and(|id| view.peers.contains(*id)))
    }

    fn view(&self, name: &NodeName) -> Option<&View> {
        self.views[*self.ids.get(name)?].as_ref()
    }

    fn id(&mut self, name: &NodeName) -> usize {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.free.pop().unwrap_or(self.views.len());
        if id == self.views.len() {
            self.views.push(None);
        }
        self.ids.insert(name.clone(), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    #[test]
    fn both_sides_make_an_edge() {
        let (a, b, c) = (name("a@h"), name("b@h"), name("c@h"));
        let mut edges = Edges::default();
        edges.see_all(&a, [&b].into_iter(), Time::ZERO);
        assert_eq!(edges.edge(&a, &b), Edge::Unknown);
        edges.see_all(&b, std::iter::empty(), Time::ZERO);
        assert_eq!(edges.edge(&b, &a), Edge::OneWay);
        edges.see(&b, &a, true, Time::ZERO);
        assert_eq!(edges.edge(&a, &b), Edge::Linked);
        edges.see(&c, &a, true, Time::ZERO);
        assert_eq!(edges.edge(&a, &c), Edge::Unknown, "a change of no view");
        edges.see_all(&c, std::iter::empty(), Time::ZERO);
        assert_eq!(edges.edge(&a, &c), Edge::Missing);
    }

    #[test]
    fn whoever_is_forgotten_leaves_nothing_to_the_next() {
        let (a, b, c) = (name("a@h"), name("b@h"), name("c@h"));
        let mut edges = Edges::default();
        edges.see_all(&a, [&b].into_iter(), Time::ZERO);
        edges.forget(&b);
        edges.see_all(&c, [&a].into_iter(), Time::ZERO);
        assert_eq!(edges.views.len(), 2, "the place is used again");
        assert_eq!(edges.edge(&a, &c), Edge::OneWay);
        edges.lose_view(&c);
        assert_eq!(edges.edge(&a, &c), Edge::Unknown);
    }
}
