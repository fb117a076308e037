//! What a daemon is told of the edges between nodes.

use std::time::Duration;

use pgmesh_mesh::{Input, LinkId, Time};
use pgmesh_name::NodeName;

use super::super::{NEWS, Watched};
use super::{Edge, Happening, World};

impl World {
    pub(super) fn tell_edge(&mut self, ends: &[(usize, usize)], up: bool) {
        for &(node, peer) in ends {
            let edge = Edge {
                node,
                peer,
                up,
                told_at: self.now,
            };
            self.open_batch().push(edge);
        }
    }

    fn open_batch(&mut self) -> &mut Vec<Edge> {
        let at = self.news_at();
        if self.edges.open_until != Some(at) {
            self.edges.open_until = Some(at);
            self.edges.last_batch += 1;
            let batch = Happening::Edges(self.edges.last_batch);
            self.queue.plan(at, batch);
        }
        let last = self.edges.last_batch;
        self.edges.batches.entry(last).or_default()
    }

    /// When news arrive that are told now.
    fn news_at(&self) -> Time {
        let at = (self.now + NEWS).since_start().as_micros();
        let millis = u64::try_from(at.div_ceil(1000)).unwrap();
        Time::from_start(Duration::from_millis(millis))
    }

    pub(super) fn tell_watchers(&mut self, batch: u64) {
        if batch == self.edges.last_batch {
            self.edges.open_until = None;
        }
        let edges = self.edges.batches.remove(&batch).unwrap_or_default();
        for daemon in 0..self.daemons.len() {
            for edge in &edges {
                self.tell_watcher(daemon, edge);
            }
        }
    }

    fn tell_watcher(&mut self, daemon: usize, edge: &Edge) {
        let Some(running) = &self.daemons[daemon] else {
            return;
        };
        let name = &self.beams[edge.node].name;
        let Some(watched) = running.watched.get(name) else {
            return;
        };
        if watched.since > edge.told_at || !self.reaches(daemon, edge.node) {
            return;
        }
        let (name, link) = (name.clone(), watched.link);
        let peer = self.beams[edge.peer].name.clone();
        let input = if edge.up {
            Input::EdgeUp { name, link, peer }
        } else {
            Input::EdgeDown { name, link, peer }
        };
        self.told.edges += 1;
        self.feed(daemon, input);
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
            let since = self.now;
            running
                .watched
                .insert(name.clone(), Watched { link, since });
        } else {
            self.told.audits += 1;
        }
        let life = running.life;
        let input = if watch {
            Input::PeersSeen { name, link, peers }
        } else {
            Input::Audited { name, link, peers }
        };
        let news = Happening::News {
            daemon,
            life,
            input,
        };
        self.queue.plan(self.news_at(), news);
        // An edge that is told after this one arrives after it, too.
        self.edges.open_until = None;
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
