//! What is said on the channel, and who hears it.

use pgmesh_mesh::{Input, IntroduceScope};
use pgmesh_name::NodeName;

use super::super::daemon::Daemon;
use super::super::{BEACON_INTERVAL, DEAF_AFTER, POSTGRES_RETRY};
use super::{Happening, World};

impl World {
    pub(super) fn start_postgres(&mut self) {
        self.postgres_up = !self.setup.configured;
    }

    pub(super) fn stop_postgres(&mut self) {
        if !self.postgres_up {
            return;
        }
        self.postgres_up = false;
        for daemon in 0..self.daemons.len() {
            if let Some(running) = &mut self.daemons[daemon] {
                running.is_deaf = true;
            }
            self.feed(daemon, Input::PostgresDown);
            self.plan_postgres(daemon);
        }
    }

    pub(super) fn plan_postgres(&mut self, daemon: usize) {
        let at = self.now + self.rng_duration(POSTGRES_RETRY);
        if let Some(life) = self.life(daemon) {
            let connects = Happening::PostgresConnects { daemon, life };
            self.queue.plan(at, connects);
        }
    }

    pub(super) fn postgres_connects(&mut self, daemon: usize, life: u32) {
        if self.life(daemon) != Some(life) {
            return;
        }
        if self.postgres_up {
            // Another session: whatever made the last one deaf is over.
            if let Some(running) = &mut self.daemons[daemon] {
                running.is_deaf = false;
            }
            self.feed(daemon, Input::PostgresUp);
        } else {
            self.plan_postgres(daemon);
        }
    }

    pub(super) fn deafen(&mut self, daemon: usize) {
        if let Some(running) = &mut self.daemons[daemon] {
            running.is_deaf = true;
            let life = running.life;
            let noticed = Happening::DeafNoticed { daemon, life };
            self.queue.plan(self.now + DEAF_AFTER, noticed);
        }
    }

    pub(super) fn deaf_noticed(&mut self, daemon: usize, life: u32) {
        if self.life(daemon) == Some(life) {
            self.feed(daemon, Input::PostgresDown);
            self.plan_postgres(daemon);
        }
    }

    /// One daemon at a time holds the lock, as long as its session stands.
    fn elect(&mut self) {
        let holds = self
            .leader
            .is_some_and(|leader| self.daemons[leader].is_some());
        if self.setup.introduce != IntroduceScope::All || holds || !self.postgres_up {
            return;
        }
        let running = (0..self.daemons.len()).find(|daemon| {
            let daemon = self.daemons[*daemon].as_ref();
            daemon.is_some_and(|daemon| !daemon.mesh().is_frozen())
        });
        self.leader = running;
        if let Some(daemon) = running {
            self.feed(daemon, Input::Leader(true));
        }
    }

    pub(super) fn beacon(&mut self, node: usize, life: u32) {
        let beam = &self.beams[node];
        if !beam.alive || beam.life != life {
            return;
        }
        let name = beam.name.clone();
        self.told.transactions += 1;
        self.say(&name);
        let next = self.now + BEACON_INTERVAL;
        self.queue.plan(next, Happening::Beacon { node, life });
    }

    /// A name is said: every daemon hears it, and nodes dial a daemon's.
    pub(super) fn say(&mut self, name: &NodeName) {
        if !self.postgres_up {
            return;
        }
        self.told.names += 1;
        for daemon in 0..self.daemons.len() {
            let (at, name) = (self.now + self.latency(), name.clone());
            self.queue.plan(at, Happening::Deliver { daemon, name });
        }
        if let Some(&said) = self.numbers.get(name) {
            self.speaking_nodes_hear(said);
        }
    }

    pub(super) fn say_goodbye(&mut self, name: &NodeName) {
        let hears = |daemon: &&Daemon| !daemon.is_deaf;
        for daemon in 0..self.daemons.len() {
            if self.postgres_up && self.daemons[daemon].as_ref().filter(hears).is_some() {
                self.feed(daemon, Input::HeardGoodbye(name.clone()));
            }
        }
    }

    /// The nodes of the strategy connect to whom they hear.
    fn speaking_nodes_hear(&mut self, said: usize) {
        for node in 0..self.setup.speaking {
            if node != said && !self.fabric.is_linked(node, said) {
                let at = self.now + self.latency();
                self.queue.plan(at, Happening::NodesConnect(node, said));
            }
        }
    }

    pub(super) fn deliver(&mut self, daemon: usize, name: NodeName) {
        let running = self.daemons[daemon].as_ref();
        if !self.postgres_up || running.is_none_or(|d| d.is_deaf) {
            return;
        }
        self.told.heard_by_daemons += 1;
        let is_own = running.is_some_and(|d| d.name == name);
        let input = if is_own {
            Input::EchoHeard
        } else {
            Input::HeardName(name)
        };
        self.feed(daemon, input);
        if is_own {
            self.elect();
        }
    }
}
