//! What a daemon is told of the edges between nodes.

use std::time::Duration;

use pgmesh_mesh::{Input, LinkId};
use pgmesh_name::NodeName;

use super::super::NEWS;
use super::{Happening, World};

impl World {
    pub(super) fn tell_edge(&mut self, ends: &[(usize, usize)], up: bool) {
        for &(node, peer) in ends {
            for daemon in 0..self.daemons.len() {
                self.tell_watcher(daemon, node, peer, up);
            }
        }
    }

    fn tell_watcher(&mut self, daemon: usize, node: usize, peer: usize, up: bool) {
        let name = self.beams[node].name.clone();
        if !self.reaches(daemon, node) {
            return;
        }
        let Some(running) = &self.daemons[daemon] else {
            return;
        };
        let Some(&link) = running.watched.get(&name) else {
            return;
        };
        let life = running.life;
        let peer = self.beams[peer].name.clone();
        let input = if up {
            Input::EdgeUp { name, link, peer }
        } else {
            Input::EdgeDown { name, link, peer }
        };
        self.plan_news(daemon, life, NEWS, input);
    }

    /// A daemon's watcher or audit tells of all connections.
    pub(super) fn tell_peers(&mut self, daemon: usize, name: NodeName, link: LinkId, watch: bool) {
        let Some(&node) = self.numbers.get(&name) else {
            return;
        };
        let is_current = self.link_lives.get(&link) == Some(&self.beams[node].life);
        if !is_current || !self.reaches(daemon, node) {
            return;
        }
        let peers = self.fabric.peers(node).into_iter();
        let peers = peers.map(|peer| self.beams[peer].name.clone()).collect();
        let Some(running) = &mut self.daemons[daemon] else {
            return;
        };
        if watch {
            running.watched.insert(name.clone(), link);
        }
        let life = running.life;
        let input = if watch {
            Input::PeersSeen { name, link, peers }
        } else {
            Input::Audited { name, link, peers }
        };
        self.plan_news(daemon, life, NEWS, input);
    }

    pub(super) fn plan_news(&mut self, daemon: usize, life: u32, wait: Duration, input: Input) {
        let news = Happening::News {
            daemon,
            life,
            input,
        };
        self.queue.plan(self.now + wait, news);
    }
}
