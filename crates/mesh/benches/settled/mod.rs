//! One mesh among nodes that are all connected: where a daemon is almost always.
//! Each benchmark uses a part of it.

#![allow(dead_code)]

use std::time::Duration;

use pgmesh_mesh::{Config, Input, LinkId, Mesh, Peer, Time};
use pgmesh_name::NodeName;

/// So many nodes live on each host, the first of them on ours.
const NODES_PER_HOST: usize = 10;

pub struct Settled {
    pub mesh: Mesh,
    pub names: Vec<NodeName>,
    pub now: Time,
}

pub fn name(node: usize) -> NodeName {
    let host = node / NODES_PER_HOST;
    let name = format!("n{node}@10.0.{}.{}", host / 256, host % 256);
    name.parse().unwrap()
}

/// The links to the nodes are counted from zero.
pub fn link(node: usize) -> LinkId {
    LinkId(node as u64)
}

impl Settled {
    /// Everybody is heard, dialled, linked and has told what it sees.
    pub fn new(nodes: usize) -> Self {
        let own = "pgmesh@10.0.0.0".parse().unwrap();
        let mut settled = Self {
            mesh: Mesh::new(Config::new(own), 1),
            names: (0..nodes).map(name).collect(),
            now: Time::ZERO,
        };
        settled.handle(Input::PostgresUp);
        settled.handle(Input::EchoHeard);
        let local = settled.names.iter().take(NODES_PER_HOST);
        settled.handle(Input::LocalNames(local.cloned().collect()));
        for node in 0..nodes {
            settled.handle(Input::HeardName(name(node)));
            settled.handle(settled.link_up(node));
        }
        for node in 0..nodes {
            settled.handle(settled.peers_seen(node));
        }
        settled
    }

    /// Feeds one input and does what a daemon does then: takes what comes of it.
    pub fn handle(&mut self, input: Input) {
        self.mesh.handle(self.now, input);
        while self.mesh.poll_event().is_some() {}
        while self.mesh.poll_action().is_some() {}
    }

    /// Sends all audits: an answer that nobody has asked for is passed over.
    pub fn send_audits(&mut self) {
        self.now = self.now + Duration::from_secs(60);
        self.handle(Input::Timeout);
    }

    pub fn link_up(&self, node: usize) -> Input {
        let peer = Peer {
            name: self.names[node].clone(),
            creation: 1,
            hidden: false,
        };
        let link = link(node);
        Input::LinkUp { peer, link }
    }

    pub fn peers_seen(&self, node: usize) -> Input {
        Input::PeersSeen {
            name: self.names[node].clone(),
            link: link(node),
            peers: self.others(node),
        }
    }

    pub fn audited(&self, node: usize) -> Input {
        Input::Audited {
            name: self.names[node].clone(),
            link: link(node),
            peers: self.others(node),
        }
    }

    pub fn edge(&self, node: usize, peer: usize, is_up: bool) -> Input {
        let (name, peer) = (self.names[node].clone(), self.names[peer].clone());
        let link = link(node);
        if is_up {
            Input::EdgeUp { name, link, peer }
        } else {
            Input::EdgeDown { name, link, peer }
        }
    }

    fn others(&self, node: usize) -> Vec<NodeName> {
        let mut names = self.names.clone();
        names.swap_remove(node);
        names
    }
}
