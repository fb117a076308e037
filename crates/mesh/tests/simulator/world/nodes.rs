//! What nodes do among themselves.

use pgmesh_mesh::{Input, IntroductionId, IntroductionOutcome};
use pgmesh_name::NodeName;

use super::super::op::Op;
use super::super::{NEWS, SETUP_TIMEOUT, STOPPING, TICK_TIMEOUT};
use super::{Happening, World};

impl World {
    pub(super) fn crash(&mut self, node: usize) {
        self.beams[node].alive = false;
        self.lose_all_links(node);
        for peer in self.fabric.peers(node) {
            self.nodes_lose_each_other(node, peer);
        }
    }

    pub(super) fn stop_gracefully(&mut self, node: usize) {
        if self.beams[node].alive {
            self.beams[node].stopping = true;
            self.plan(self.now + STOPPING, Op::Crash(node));
        }
    }

    pub(super) fn restart(&mut self, node: usize) {
        if self.beams[node].alive {
            return;
        }
        self.beams[node].alive = true;
        self.beams[node].stopping = false;
        self.beams[node].life += 1;
        let life = self.beams[node].life;
        if self.beams[node].speaks {
            self.queue.plan(self.now, Happening::Beacon { node, life });
        }
    }

    pub(super) fn nodes_connect(&mut self, a: usize, b: usize) {
        if self.beams[a].alive && self.beams[b].alive {
            let ends = self.fabric.connect(a, b);
            self.tell_edge(&ends, true);
        }
    }

    pub(super) fn nodes_disconnect(&mut self, a: usize, b: usize) {
        if self.fabric.is_linked(a, b) {
            self.nodes_lose_each_other(a, b);
        }
    }

    pub(super) fn cut_nodes(&mut self, a: usize, b: usize) {
        if a != b {
            self.fabric.cut(a, b);
            // Not at the same time: for a while the edge stands on one side only.
            for (node, peer) in [(a, b), (b, a)] {
                let at = self.now + TICK_TIMEOUT + self.rng_duration(TICK_TIMEOUT);
                self.queue.plan(at, Happening::NodeTimesOut(node, peer));
            }
        }
    }

    fn nodes_lose_each_other(&mut self, a: usize, b: usize) {
        let ends = self.fabric.disconnect(a, b);
        if ends.is_empty() {
            return;
        }
        self.tell_edge(&ends, false);
        if self.setup.overlapping_prevented {
            self.prevent_overlapping(a, b);
        }
    }

    /// Either end tells all others that it has lost the other one, and these cut off
    /// whom they are told of.
    fn prevent_overlapping(&mut self, a: usize, b: usize) {
        for third in self.fabric.peers(a) {
            if !self.fabric.is_linked(third, b) {
                continue;
            }
            for end in [a, b] {
                let at = self.now + self.latency();
                self.queue.plan(at, Happening::NodesDisconnect(third, end));
            }
        }
    }

    /// Those that were told to cut another off do not tell on.
    pub(super) fn cut_off(&mut self, a: usize, b: usize) {
        let ends = self.fabric.disconnect(a, b);
        self.tell_edge(&ends, false);
    }

    pub(super) fn node_times_out(&mut self, node: usize, peer: usize) {
        if self.fabric.is_cut(node, peer) && self.fabric.notice(node, peer) {
            self.tell_edge(&[(node, peer)], false);
            if self.setup.overlapping_prevented {
                self.prevent_overlapping(node, peer);
            }
        }
    }

    pub(super) fn introduce(
        &mut self,
        daemon: usize,
        life: u32,
        id: IntroductionId,
        to: &NodeName,
        peer: &NodeName,
    ) {
        let (to, peer) = (self.numbers[to], self.numbers[peer]);
        let stopping = [to, peer].into_iter().find(|node| {
            let beam = &self.beams[*node];
            beam.alive && beam.stopping
        });
        let mut wait = self.latency();
        let outcome = if let Some(node) = stopping {
            IntroductionOutcome::Stopping(self.beams[node].name.clone())
        } else if !self.reaches(daemon, to) || self.fabric.is_cut(to, peer) {
            wait = SETUP_TIMEOUT;
            IntroductionOutcome::Failed
        } else if self.beams[peer].alive {
            let is_needless = self.fabric.is_linked(to, peer);
            self.told.needless_introductions += u64::from(is_needless);
            self.nodes_connect(to, peer);
            IntroductionOutcome::Connected
        } else {
            IntroductionOutcome::Refused
        };
        let input = Input::IntroductionEnded { id, outcome };
        self.plan_news(daemon, life, wait, input);
    }

    pub(super) fn disconnect_all(&mut self, daemon: usize, at: &[NodeName], peer: &NodeName) {
        let Some(&cut_off) = self.numbers.get(peer) else {
            return;
        };
        for node in at.iter().filter_map(|name| self.numbers.get(name).copied()) {
            let when = self.now + NEWS;
            self.queue
                .plan(when, Happening::NodesDisconnect(node, cut_off));
        }
        self.lose_link(daemon, peer, NEWS);
    }
}
