//! Who is connected to whom, as the nodes themselves see it.
//!
//! Each node that we are linked to has a view: the nodes it is connected to. A
//! pair is linked when both say so. Views are sets of bits, by the nodes' places, so
//! that a thousand of a thousand fit into a few hundred kilobytes.

use fixedbitset::FixedBitSet;

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

#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// By place, as far as somebody there was ever seen.
    views: Vec<Option<View>>,
    /// Who may stand in a view: of names that anybody makes up none does.
    named: FixedBitSet,
}

#[derive(Debug)]
struct View {
    peers: FixedBitSet,
    taken_at: Time,
}

impl Edges {
    /// Takes in the whole view of a node; returns the one before.
    pub(crate) fn see_all(
        &mut self,
        node: usize,
        peers: FixedBitSet,
        now: Time,
    ) -> Option<FixedBitSet> {
        if node >= self.views.len() {
            self.views.resize_with(node + 1, || None);
        }
        self.named.union_with(&peers);
        let view = View {
            peers,
            taken_at: now,
        };
        self.views[node].replace(view).map(|before| before.peers)
    }

    /// The peers that would come or go with another view, if there is one.
    pub(crate) fn changes<'a>(
        &'a self,
        node: usize,
        peers: &'a FixedBitSet,
    ) -> Option<impl Iterator<Item = usize>> {
        let view = self.view(node)?;
        Some(view.peers.symmetric_difference(peers))
    }

    /// Takes in one change of a view, if there is a view to change.
    pub(crate) fn see(&mut self, node: usize, peer: usize, connected: bool, now: Time) {
        if let Some(Some(view)) = self.views.get_mut(node) {
            view.peers.grow(peer + 1);
            view.peers.set(peer, connected);
            view.taken_at = now;
            self.named.grow_and_insert(peer);
        }
    }

    /// Whether a node's view has exactly these peers.
    pub(crate) fn agrees(&self, node: usize, peers: &FixedBitSet) -> bool {
        let same = |view: &View| view.peers.ones().eq(peers.ones());
        self.view(node).is_some_and(same)
    }

    /// We no longer hear what this node sees.
    pub(crate) fn lose_view(&mut self, node: usize) {
        if let Some(view) = self.views.get_mut(node) {
            *view = None;
        }
    }

    /// Removes every trace of a node.
    pub(crate) fn forget(&mut self, node: usize) {
        self.lose_view(node);
        if !self.named.contains(node) {
            return;
        }
        self.named.set(node, false);
        for view in self.views.iter_mut().flatten() {
            if view.peers.contains(node) {
                view.peers.set(node, false);
            }
        }
    }

    /// The nodes that say that they are connected to one.
    pub(crate) fn seen_by(&self, node: usize) -> impl Iterator<Item = usize> {
        let may_be_seen = self.named.contains(node);
        let views = self.views.iter().enumerate().filter(move |_| may_be_seen);
        views.filter_map(move |(at, view)| view.as_ref()?.peers.contains(node).then_some(at))
    }

    /// When this node last told what it sees.
    pub(crate) fn seen_at(&self, node: usize) -> Option<Time> {
        self.view(node).map(|view| view.taken_at)
    }

    pub(crate) fn edge(&self, a: usize, b: usize) -> Edge {
        Edge::seen(self.says(a, b), self.says(b, a))
    }

    /// What an edge was when the first of its nodes had another view.
    pub(crate) fn edge_by(&self, before: Option<&FixedBitSet>, a: usize, b: usize) -> Edge {
        let by_first = before.map(|peers| peers.contains(b));
        Edge::seen(by_first, self.says(b, a))
    }

    /// Whether a node says that it is connected to another.
    pub(crate) fn says(&self, node: usize, peer: usize) -> Option<bool> {
        self.view(node).map(|view| view.peers.contains(peer))
    }

    fn view(&self, node: usize) -> Option<&View> {
        self.views.get(node)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::ZERO;
    const A: usize = 0;
    const B: usize = 1;
    const C: usize = 2;

    fn peers(of: &[usize]) -> FixedBitSet {
        of.iter().copied().collect()
    }

    #[test]
    fn both_sides_make_an_edge() {
        let mut edges = Edges::default();
        edges.see_all(A, peers(&[B]), NOW);
        assert_eq!(edges.edge(A, B), Edge::Unknown);
        edges.see_all(B, peers(&[]), NOW);
        assert_eq!(edges.edge(B, A), Edge::OneWay);
        edges.see(B, A, true, NOW);
        assert_eq!(edges.edge(A, B), Edge::Linked);
        edges.see(C, A, true, NOW);
        assert_eq!(edges.edge(A, C), Edge::Unknown, "a change of no view");
        edges.see_all(C, peers(&[]), NOW);
        assert_eq!(edges.edge(A, C), Edge::Missing);
    }

    #[test]
    fn view_that_is_replaced_tells_what_was_before() {
        let mut edges = Edges::default();
        edges.see_all(B, peers(&[A]), NOW);
        let before = edges.see_all(A, peers(&[B]), NOW);
        assert_eq!(edges.edge_by(before.as_ref(), A, B), Edge::Unknown);
        let before = edges.see_all(A, peers(&[]), NOW);
        assert_eq!(edges.edge_by(before.as_ref(), A, B), Edge::Linked);
        assert_eq!(edges.edge(A, B), Edge::OneWay);
    }

    #[test]
    fn only_views_that_stand_see_anybody() {
        let mut edges = Edges::default();
        let seen_by = |edges: &Edges, node| edges.seen_by(node).collect::<Vec<_>>();
        edges.see_all(A, peers(&[B, C]), NOW);
        edges.see_all(B, peers(&[C]), NOW);
        assert_eq!(seen_by(&edges, C), [A, B]);
        edges.lose_view(A);
        assert_eq!(seen_by(&edges, C), [B]);
        edges.see(B, C, false, NOW);
        assert_eq!(seen_by(&edges, C), []);
    }

    #[test]
    fn whoever_is_forgotten_leaves_nothing_to_the_next() {
        let mut edges = Edges::default();
        edges.see_all(A, peers(&[B]), NOW);
        edges.forget(B);
        edges.see_all(B, peers(&[A]), NOW);
        assert_eq!(edges.edge(A, B), Edge::OneWay);
        edges.lose_view(B);
        assert_eq!(edges.edge(A, B), Edge::Unknown);
    }
}
