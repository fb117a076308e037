//! The links between the BEAM nodes themselves.

use std::collections::BTreeSet;

use fixedbitset::FixedBitSet;

/// Who believes to be connected to whom, and between whom packets are lost.
#[derive(Debug, Default)]
pub struct Fabric {
    /// Of each node on its own: it may have noticed what its peer has not.
    beliefs: Vec<FixedBitSet>,
    cuts: BTreeSet<(usize, usize)>,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Fabric {
    pub fn new(nodes: usize) -> Self {
        Self {
            beliefs: vec![FixedBitSet::with_capacity(nodes); nodes],
            cuts: BTreeSet::new(),
        }
    }

    /// Connects two nodes if they can be; returns who of them did not believe it
    /// before. Where only one end had noticed the loss, the new link takes the place
    /// of the old.
    pub fn connect(&mut self, a: usize, b: usize) -> Vec<(usize, usize)> {
        if a == b || self.is_cut(a, b) {
            return Vec::new();
        }
        let ends = [(a, b), (b, a)].into_iter();
        ends.filter(|(node, peer)| !self.beliefs[*node].put(*peer))
            .collect()
    }

    /// Disconnects two nodes; returns who of them believed otherwise.
    pub fn disconnect(&mut self, a: usize, b: usize) -> Vec<(usize, usize)> {
        let ends = [(a, b), (b, a)].into_iter();
        ends.filter(|(node, peer)| self.notice(*node, *peer))
            .collect()
    }

    /// One node notices that nothing comes from another; `true` if that is news.
    pub fn notice(&mut self, node: usize, peer: usize) -> bool {
        let believed = self.beliefs[node].contains(peer);
        self.beliefs[node].remove(peer);
        believed
    }

    pub fn is_linked(&self, a: usize, b: usize) -> bool {
        self.beliefs[a].contains(b) && self.beliefs[b].contains(a)
    }

    pub fn cut(&mut self, a: usize, b: usize) {
        self.cuts.insert(pair(a, b));
    }

    pub fn join(&mut self, a: usize, b: usize) {
        self.cuts.remove(&pair(a, b));
    }

    pub fn join_all(&mut self) {
        self.cuts.clear();
    }

    pub fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cuts.contains(&pair(a, b))
    }

    /// To whom a node believes to be connected.
    pub fn peers(&self, node: usize) -> Vec<usize> {
        self.beliefs[node].ones().collect()
    }
}
