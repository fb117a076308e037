//! Daemons, their settings and their EPMDs.

use std::ops::Range;

use pgmesh_mesh::{Config, Input, IntroduceScope};
use pgmesh_name::{AllowList, NodeName, PeerMap};

use super::super::EPMD_INTERVAL;
use super::super::daemon::{Daemon, Record};
use super::{Happening, World};

impl World {
    pub(super) fn kill_daemon(&mut self, daemon: usize) {
        self.daemons[daemon] = None;
        if self.leader == Some(daemon) {
            self.leader = None;
        }
    }

    pub(super) fn start_daemon(&mut self, daemon: usize) {
        if self.daemons[daemon].is_some() {
            return;
        }
        self.lives += 1;
        let config = self.config(daemon);
        let seed = self.rng.u64(..);
        let record = Record {
            config: config.clone(),
            seed,
            inputs: Vec::new(),
        };
        let mut started = Daemon::new(config, self.lives, seed);
        started.record = Some(record).filter(|_| self.setup.is_recorded && daemon == 0);
        started.local = self.local_nodes(daemon);
        let life = started.life;
        self.daemons[daemon] = Some(started);
        self.plan_postgres(daemon);
        self.feed(daemon, Input::EpmdUp);
        self.queue
            .plan(self.now, Happening::AskEpmd { daemon, life });
    }

    pub(super) fn reconfigure(&mut self, daemon: usize, narrow: bool) {
        let first = self.config(daemon);
        let config = if narrow {
            Config {
                introduce: IntroduceScope::None,
                watch_edges: false,
                allow: AllowList::parse(["nobody@*"]).unwrap(),
                ..first
            }
        } else {
            first
        };
        if let Some(running) = &mut self.daemons[daemon] {
            running.is_narrow = narrow;
            self.feed(daemon, Input::Reconfigured(Box::new(config)));
        }
    }

    fn config(&self, daemon: usize) -> Config {
        let host = match self.local_nodes(daemon).next() {
            Some(node) => self.beams[node].name.host().to_owned(),
            None => format!("10.2.0.{daemon}"),
        };
        let own = format!("pgmesh{daemon}@{host}").parse().unwrap();
        Config {
            introduce: self.setup.introduce,
            watch_edges: self.setup.watch_edges,
            prune: self.setup.prune,
            peers: self.peers(),
            ..Config::new(own)
        }
    }

    pub(super) fn peers(&self) -> PeerMap {
        let mut peers = PeerMap::default();
        for beam in self.beams.iter().filter(|_| self.setup.configured) {
            peers.add(&format!("{}=9100", beam.name)).unwrap();
        }
        peers
    }

    fn local_nodes(&self, daemon: usize) -> Range<usize> {
        if self.setup.introduce != IntroduceScope::Local {
            return 0..0;
        }
        let (here, all) = (self.setup.nodes_per_host, self.beams.len());
        (daemon * here).min(all)..((daemon + 1) * here).min(all)
    }

    /// EPMD lists what lives on the daemon's host.
    pub(super) fn ask_epmd(&mut self, daemon: usize, life: u32) {
        if self.life(daemon) != Some(life) || self.setup.configured {
            return;
        }
        let again = Happening::AskEpmd { daemon, life };
        self.queue.plan(self.now + EPMD_INTERVAL, again);
        let Some(local) = self.daemons[daemon].as_ref().map(|d| d.local.clone()) else {
            return;
        };
        if !local.is_empty() && !self.without_epmd.contains(&daemon) {
            let alive = self.beams[local].iter().filter(|beam| beam.alive);
            let names = alive.map(|beam| beam.name.clone()).collect();
            self.feed(daemon, Input::LocalNames(names));
        }
    }

    pub(super) fn is_daemon(&self, name: &NodeName) -> bool {
        name.alive().starts_with("pgmesh") && self.daemons.iter().flatten().any(|d| d.name == *name)
    }
}
