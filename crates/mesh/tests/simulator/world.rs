//! The cluster around the daemons.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pgmesh_mesh::{
    Action, Config, DialId, Failure, Input, IntroduceScope, IntroductionId, IntroductionOutcome,
    LinkId, Peer, Retry, State, Time,
};
use pgmesh_name::{AllowList, NodeName, PeerMap};

use super::daemon::Daemon;
use super::fabric::Fabric;
use super::queue::Queue;
use super::{
    BEACON_INTERVAL, DEAF_AFTER, EPMD_INTERVAL, NEWS, POSTGRES_RETRY, SETUP_TIMEOUT, STOPPING,
    TICK_TIMEOUT,
};

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub nodes: usize,
    /// Of these, how many say their names and dial those that they hear; the
    /// others know of nobody.
    pub speaking: usize,
    pub daemons: usize,
    /// Whom the daemons introduce. With `Local`, each lives on the host of the node
    /// with its number.
    pub introduce: IntroduceScope,
    pub watch_edges: bool,
    pub prune: bool,
    /// Whether nodes cut others off that somebody has lost
    /// (`prevent_overlapping_partitions`).
    pub overlapping_prevented: bool,
    /// Whether the daemons' settings name every node, and there is neither Postgres nor
    /// EPMD.
    pub configured: bool,
}

impl Setup {
    /// Nodes that find each other by themselves, and daemons that only join.
    pub fn joining(nodes: usize, daemons: usize) -> Self {
        Self {
            nodes,
            speaking: nodes,
            daemons,
            introduce: IntroduceScope::None,
            watch_edges: false,
            prune: false,
            overlapping_prevented: false,
            configured: false,
        }
    }

    /// Plain nodes, each with a daemon beside it.
    pub fn sidecars(nodes: usize) -> Self {
        Self {
            speaking: 0,
            introduce: IntroduceScope::Local,
            watch_edges: true,
            ..Self::joining(nodes, nodes)
        }
    }

    /// The same, from the daemons' settings alone.
    pub fn configured(nodes: usize) -> Self {
        Self {
            configured: true,
            ..Self::sidecars(nodes)
        }
    }

    /// Speaking nodes, and daemons any of which introduces everybody.
    pub fn healers(nodes: usize, daemons: usize) -> Self {
        Self {
            introduce: IntroduceScope::All,
            watch_edges: true,
            ..Self::joining(nodes, daemons)
        }
    }
}

/// Something done to the cluster. Nodes and daemons are numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Crash(usize),
    Restart(usize),
    /// Packets between a daemon and a node are lost.
    Cut(usize, usize),
    Join(usize, usize),
    StopPostgres,
    StartPostgres,
    KillDaemon(usize),
    StartDaemon(usize),
    /// Somebody says a node's name once.
    Say(usize),
    /// A name of which nothing ever answers is said.
    SaySilent(usize),
    /// A node has another cookie from now on, and loses its links.
    Refuse(usize),
    Relent(usize),
    /// What is said no longer reaches this daemon; its session stands.
    Deafen(usize),
    /// One node disconnects from another (`erlang:disconnect_node`).
    Disconnect(usize, usize),
    /// Packets between two nodes are lost.
    CutNodes(usize, usize),
    JoinNodes(usize, usize),
    /// A node takes ten seconds to stop, and says so.
    StopGracefully(usize),
    /// A daemon's EPMD ends, and its list of names with it.
    KillEpmd(usize),
    StartEpmd(usize),
    Hold(usize, usize),
    Release(usize, usize),
    /// A daemon is told to dial and to introduce nobody any more.
    Narrow(usize),
    /// It has its first settings again.
    Widen(usize),
}

#[derive(Debug)]
enum Happening {
    Op(Op),
    Beacon {
        node: usize,
        life: u32,
    },
    Deliver {
        daemon: usize,
        name: NodeName,
    },
    Timeout {
        daemon: usize,
        life: u32,
        at: Time,
    },
    Answer(Answer),
    LinkLost {
        daemon: usize,
        life: u32,
        name: NodeName,
        link: LinkId,
    },
    BeamDials {
        node: usize,
        daemon: usize,
    },
    DeafNoticed {
        daemon: usize,
        life: u32,
    },
    PostgresConnects {
        daemon: usize,
        life: u32,
    },
    /// Something that a node or its EPMD tells a daemon.
    News {
        daemon: usize,
        life: u32,
        input: Input,
    },
    Introduce {
        daemon: usize,
        life: u32,
        id: IntroductionId,
        to: NodeName,
        peer: NodeName,
    },
    NodesConnect(usize, usize),
    NodesDisconnect(usize, usize),
    /// The first notices that nothing comes from the second.
    NodeTimesOut(usize, usize),
    AskEpmd {
        daemon: usize,
        life: u32,
    },
}

/// A dial that has got this far after this time.
#[derive(Debug)]
struct Answer {
    daemon: usize,
    life: u32,
    name: NodeName,
    dial: DialId,
    timed_out: bool,
}

#[derive(Debug)]
struct Beam {
    name: NodeName,
    life: u32,
    alive: bool,
    stopping: bool,
    speaks: bool,
}

pub struct World {
    pub now: Time,
    pub daemons: Vec<Option<Daemon>>,
    pub script: Vec<(Time, Op)>,
    setup: Setup,
    beams: Vec<Beam>,
    fabric: Fabric,
    /// Which daemons have no EPMD at the moment.
    without_epmd: BTreeSet<usize>,
    leader: Option<usize>,
    cuts: BTreeSet<(usize, usize)>,
    refusing: BTreeSet<usize>,
    /// Which life of a node a link leads to.
    link_lives: BTreeMap<LinkId, u32>,
    postgres_up: bool,
    queue: Queue<Happening>,
    rng: fastrand::Rng,
    last_link: u64,
    lives: u32,
    numbers: BTreeMap<NodeName, usize>,
}

impl World {
    pub fn new(seed: u64, setup: Setup) -> Self {
        let (nodes, daemons) = (setup.nodes, setup.daemons);
        let speaking = setup.speaking;
        let mut world = Self {
            now: Time::ZERO,
            daemons: Vec::new(),
            script: Vec::new(),
            setup,
            beams: Vec::new(),
            fabric: Fabric::default(),
            without_epmd: BTreeSet::new(),
            leader: None,
            cuts: BTreeSet::new(),
            refusing: BTreeSet::new(),
            link_lives: BTreeMap::new(),
            postgres_up: false,
            queue: Queue::new(),
            rng: fastrand::Rng::with_seed(seed),
            last_link: 0,
            lives: 0,
            numbers: BTreeMap::new(),
        };
        world.start_postgres();
        for node in 0..nodes {
            let host = format!("10.0.{}.{}", node / 256, node % 256);
            let name: NodeName = format!("n{node}@{host}").parse().unwrap();
            world.numbers.insert(name.clone(), node);
            world.beams.push(Beam {
                name,
                life: 0,
                alive: false,
                stopping: false,
                speaks: node < speaking,
            });
            world.apply(&Op::Restart(node));
        }
        for daemon in 0..daemons {
            world.daemons.push(None);
            world.apply(&Op::StartDaemon(daemon));
        }
        world
    }

    /// Plans an operation; it becomes part of the printable script.
    pub fn plan(&mut self, at: Time, op: Op) {
        self.script.push((at, op.clone()));
        self.queue.plan(at, Happening::Op(op));
    }

    /// Plans faults at random times before `end`, and their ends.
    pub fn plan_faults(&mut self, count: usize, end: Duration) {
        for _ in 0..count {
            let start = self.random_time(end);
            let stop = start + self.rng_duration(Duration::from_secs(90));
            let node = self.rng.usize(..self.beams.len());
            let daemon = self.rng.usize(..self.daemons.len());
            let other = self.rng.usize(..self.beams.len());
            let (fault, mend) = match self.rng.u8(..self.kinds_of_faults()) {
                0 => (Op::Crash(node), Op::Restart(node)),
                1 => (Op::Cut(daemon, node), Op::Join(daemon, node)),
                2 => (Op::StopPostgres, Op::StartPostgres),
                3 => (Op::KillDaemon(daemon), Op::StartDaemon(daemon)),
                4 => (Op::Refuse(node), Op::Relent(node)),
                5 => (Op::Deafen(daemon), Op::SaySilent(node)),
                7 => (Op::Disconnect(node, other), Op::Disconnect(other, node)),
                8 => (Op::CutNodes(node, other), Op::JoinNodes(node, other)),
                9 => (Op::StopGracefully(node), Op::Restart(node)),
                10 => (Op::KillEpmd(daemon), Op::StartEpmd(daemon)),
                11 => (Op::Hold(daemon, node), Op::Release(daemon, node)),
                12 => (Op::Narrow(daemon), Op::Widen(daemon)),
                _ => (Op::SaySilent(node), Op::SaySilent(node + 1)),
            };
            self.plan(start, fault);
            self.plan(stop, mend);
        }
    }

    /// Without introductions only what concerns joining.
    fn kinds_of_faults(&self) -> u8 {
        match self.setup.introduce {
            IntroduceScope::None => 7,
            IntroduceScope::Local | IntroduceScope::All => 13,
        }
    }

    /// Cuts the cluster into two halves of nodes; daemons reach both.
    pub fn plan_split(&mut self, at: Time, until: Time) {
        let (half, all) = (self.beams.len() / 2, self.beams.len());
        for (a, b) in (0..half).flat_map(|a| (half..all).map(move |b| (a, b))) {
            self.plan(at, Op::CutNodes(a, b));
            self.plan(until, Op::JoinNodes(a, b));
        }
    }

    /// Mends everything, now.
    pub fn mend_all(&mut self) {
        self.apply(&Op::StartPostgres);
        self.fabric.join_all();
        self.without_epmd.clear();
        let (daemons, nodes) = (self.daemons.len(), self.beams.len());
        for (daemon, node) in (0..daemons).flat_map(|d| (0..nodes).map(move |n| (d, n))) {
            self.apply(&Op::Release(daemon, node));
        }
        self.cuts.clear();
        self.refusing.clear();
        for node in 0..self.beams.len() {
            self.apply(&Op::Restart(node));
        }
        for daemon in 0..self.daemons.len() {
            self.apply(&Op::StartDaemon(daemon));
            self.apply(&Op::Widen(daemon));
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, happening)) = self.queue.pop_until(end) {
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    /// The links that should be there and are not.
    pub fn missing(&self) -> Vec<(NodeName, NodeName)> {
        let mut missing = Vec::new();
        for daemon in self.daemons.iter().flatten() {
            for beam in self.beams.iter().filter(|beam| beam.alive) {
                let known = daemon
                    .mesh()
                    .members()
                    .find(|(name, _)| **name == beam.name);
                if !known.is_some_and(|(_, m)| matches!(m.state(), State::Up(_))) {
                    missing.push((daemon.name.clone(), beam.name.clone()));
                }
            }
        }
        missing
    }

    /// The nodes that should be connected to each other and are not.
    pub fn apart(&self) -> Vec<(usize, usize)> {
        let alive = |node: &usize| self.beams[*node].alive;
        let nodes: Vec<usize> = (0..self.beams.len()).filter(alive).collect();
        let pairs = nodes
            .iter()
            .flat_map(|a| nodes.iter().map(move |b| (*a, *b)));
        pairs
            .filter(|(a, b)| a < b && !self.fabric.is_linked(*a, *b))
            .collect()
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Crash(node) => self.crash(node),
            Op::Restart(node) => self.restart(node),
            Op::Cut(daemon, node) => self.cut(daemon, node),
            Op::Join(daemon, node) => {
                self.cuts.remove(&(daemon, node));
            }
            Op::StopPostgres => self.stop_postgres(),
            Op::StartPostgres => self.start_postgres(),
            Op::KillDaemon(daemon) => self.kill_daemon(daemon),
            Op::StartDaemon(daemon) => self.start_daemon(daemon),
            Op::Refuse(node) => self.refuse(node),
            Op::Relent(node) => {
                self.refusing.remove(&node);
            }
            Op::Deafen(daemon) => self.deafen(daemon),
            Op::Disconnect(a, b) => self.nodes_disconnect(a, b),
            Op::CutNodes(a, b) => self.cut_nodes(a, b),
            Op::JoinNodes(a, b) => self.fabric.join(a, b),
            Op::StopGracefully(node) => self.stop_gracefully(node),
            Op::KillEpmd(daemon) => {
                self.without_epmd.insert(daemon);
                self.feed(daemon, Input::EpmdDown);
            }
            Op::StartEpmd(daemon) => {
                if self.without_epmd.remove(&daemon) {
                    self.feed(daemon, Input::EpmdUp);
                }
            }
            Op::Hold(daemon, node) => {
                let (name, until) = (self.beams[node].name.clone(), None);
                self.feed(daemon, Input::Hold { name, until });
            }
            Op::Release(daemon, node) => {
                let name = self.beams[node].name.clone();
                let (a, b) = (name.clone(), name);
                self.feed(daemon, Input::Release { a, b });
            }
            Op::Narrow(daemon) => self.reconfigure(daemon, true),
            Op::Widen(daemon) => self.reconfigure(daemon, false),
            Op::Say(node) => {
                let name = self.beams[node].name.clone();
                self.say(&name);
            }
            Op::SaySilent(number) => {
                let name = format!("silent{number}@10.1.0.{number}");
                self.say(&name.parse().unwrap());
            }
        }
    }

    fn reconfigure(&mut self, daemon: usize, narrow: bool) {
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

    fn kill_daemon(&mut self, daemon: usize) {
        self.daemons[daemon] = None;
        if self.leader == Some(daemon) {
            self.leader = None;
        }
    }

    fn crash(&mut self, node: usize) {
        self.beams[node].alive = false;
        self.lose_all_links(node);
        for peer in self.fabric.peers(node) {
            self.nodes_lose_each_other(node, peer);
        }
    }

    fn stop_gracefully(&mut self, node: usize) {
        if self.beams[node].alive {
            self.beams[node].stopping = true;
            self.plan(self.now + STOPPING, Op::Crash(node));
        }
    }

    fn refuse(&mut self, node: usize) {
        self.refusing.insert(node);
        self.lose_all_links(node);
    }

    fn lose_all_links(&mut self, node: usize) {
        let name = self.beams[node].name.clone();
        for daemon in 0..self.daemons.len() {
            let cut = self.cuts.contains(&(daemon, node));
            let notice = if cut { TICK_TIMEOUT } else { self.latency() };
            self.lose_link(daemon, &name, notice);
        }
    }

    fn restart(&mut self, node: usize) {
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

    fn cut(&mut self, daemon: usize, node: usize) {
        self.cuts.insert((daemon, node));
        let name = self.beams[node].name.clone();
        self.lose_link(daemon, &name, TICK_TIMEOUT);
    }

    fn lose_link(&mut self, daemon: usize, name: &NodeName, notice: Duration) {
        let at = self.now + notice;
        let Some(running) = &self.daemons[daemon] else {
            return;
        };
        if let Some(&link) = running.links.get(name) {
            let (life, name) = (running.life, name.clone());
            let lost = Happening::LinkLost {
                daemon,
                life,
                name,
                link,
            };
            self.queue.plan(at, lost);
        }
    }

    fn deafen(&mut self, daemon: usize) {
        if let Some(running) = &mut self.daemons[daemon] {
            running.is_deaf = true;
            let life = running.life;
            let noticed = Happening::DeafNoticed { daemon, life };
            self.queue.plan(self.now + DEAF_AFTER, noticed);
        }
    }

    fn deaf_noticed(&mut self, daemon: usize, life: u32) {
        if self.life(daemon) == Some(life) {
            self.feed(daemon, Input::PostgresDown);
            self.plan_postgres(daemon);
        }
    }

    fn stop_postgres(&mut self) {
        if !self.postgres_up {
            return;
        }
        self.postgres_up = false;
        for daemon in 0..self.daemons.len() {
            self.feed(daemon, Input::PostgresDown);
            self.plan_postgres(daemon);
        }
    }

    fn start_postgres(&mut self) {
        self.postgres_up = !self.setup.configured;
    }

    fn start_daemon(&mut self, daemon: usize) {
        if self.daemons[daemon].is_some() {
            return;
        }
        self.lives += 1;
        let config = self.config(daemon);
        let mut started = Daemon::new(config, self.lives, self.rng.u64(..));
        started.local = self.local_node(daemon);
        let life = started.life;
        self.daemons[daemon] = Some(started);
        self.plan_postgres(daemon);
        self.feed(daemon, Input::EpmdUp);
        self.queue
            .plan(self.now, Happening::AskEpmd { daemon, life });
    }

    fn config(&self, daemon: usize) -> Config {
        let host = match self.local_node(daemon) {
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

    fn peers(&self) -> PeerMap {
        let mut peers = PeerMap::default();
        for beam in self.beams.iter().filter(|_| self.setup.configured) {
            peers.add(&format!("{}=9100", beam.name)).unwrap();
        }
        peers
    }

    fn local_node(&self, daemon: usize) -> Option<usize> {
        let beside = self.setup.introduce == IntroduceScope::Local;
        Some(daemon).filter(|node| beside && *node < self.beams.len())
    }

    /// EPMD lists what lives on the daemon's host.
    fn ask_epmd(&mut self, daemon: usize, life: u32) {
        if self.life(daemon) != Some(life) || self.setup.configured {
            return;
        }
        let again = Happening::AskEpmd { daemon, life };
        self.queue.plan(self.now + EPMD_INTERVAL, again);
        let local = self.daemons[daemon].as_ref().and_then(|d| d.local);
        if let Some(node) = local.filter(|_| !self.without_epmd.contains(&daemon)) {
            let beam = &self.beams[node];
            let names = beam.alive.then(|| beam.name.clone());
            self.feed(daemon, Input::LocalNames(names.into_iter().collect()));
        }
    }

    // Nodes among themselves.

    fn nodes_connect(&mut self, a: usize, b: usize) {
        if self.beams[a].alive && self.beams[b].alive {
            let ends = self.fabric.connect(a, b);
            self.tell_edge(&ends, true);
        }
    }

    fn nodes_disconnect(&mut self, a: usize, b: usize) {
        if self.fabric.is_linked(a, b) {
            self.nodes_lose_each_other(a, b);
        }
    }

    fn cut_nodes(&mut self, a: usize, b: usize) {
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
    fn cut_off(&mut self, a: usize, b: usize) {
        let ends = self.fabric.disconnect(a, b);
        self.tell_edge(&ends, false);
    }

    fn node_times_out(&mut self, node: usize, peer: usize) {
        if self.fabric.is_cut(node, peer) && self.fabric.notice(node, peer) {
            self.tell_edge(&[(node, peer)], false);
            if self.setup.overlapping_prevented {
                self.prevent_overlapping(node, peer);
            }
        }
    }

    fn tell_edge(&mut self, ends: &[(usize, usize)], up: bool) {
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
    fn tell_peers(&mut self, daemon: usize, name: NodeName, link: LinkId, watch: bool) {
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

    fn introduce(
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
            self.nodes_connect(to, peer);
            IntroductionOutcome::Connected
        } else {
            IntroductionOutcome::Refused
        };
        let input = Input::IntroductionEnded { id, outcome };
        self.plan_news(daemon, life, wait, input);
    }

    fn plan_news(&mut self, daemon: usize, life: u32, wait: Duration, input: Input) {
        let news = Happening::News {
            daemon,
            life,
            input,
        };
        self.queue.plan(self.now + wait, news);
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

    fn plan_postgres(&mut self, daemon: usize) {
        let at = self.now + self.rng_duration(POSTGRES_RETRY);
        if let Some(life) = self.life(daemon) {
            let connects = Happening::PostgresConnects { daemon, life };
            self.queue.plan(at, connects);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Op(op) => self.apply(&op),
            Happening::Beacon { node, life } => self.beacon(node, life),
            Happening::Deliver { daemon, name } => self.deliver(daemon, name),
            Happening::Timeout { daemon, life, at } => self.timeout(daemon, life, at),
            Happening::Answer(answer) => self.answer(answer),
            Happening::LinkLost {
                daemon,
                life,
                name,
                link,
            } => {
                self.link_lost(daemon, life, name, link);
            }
            Happening::BeamDials { node, daemon } => self.beam_dials(node, daemon),
            Happening::DeafNoticed { daemon, life } => self.deaf_noticed(daemon, life),
            Happening::PostgresConnects { daemon, life } => self.postgres_connects(daemon, life),
            Happening::News {
                daemon,
                life,
                input,
            } => {
                if self.life(daemon) == Some(life) {
                    self.feed(daemon, input);
                }
            }
            Happening::Introduce {
                daemon,
                life,
                id,
                to,
                peer,
            } => self.introduce(daemon, life, id, &to, &peer),
            Happening::NodesConnect(a, b) => self.nodes_connect(a, b),
            Happening::NodesDisconnect(a, b) => self.cut_off(a, b),
            Happening::NodeTimesOut(node, peer) => self.node_times_out(node, peer),
            Happening::AskEpmd { daemon, life } => self.ask_epmd(daemon, life),
        }
    }

    fn beacon(&mut self, node: usize, life: u32) {
        let beam = &self.beams[node];
        if !beam.alive || beam.life != life {
            return;
        }
        let name = beam.name.clone();
        self.say(&name);
        let next = self.now + BEACON_INTERVAL;
        self.queue.plan(next, Happening::Beacon { node, life });
    }

    /// A name is said: every daemon hears it, and nodes dial a daemon's.
    fn say(&mut self, name: &NodeName) {
        if !self.postgres_up {
            return;
        }
        for daemon in 0..self.daemons.len() {
            let (at, name) = (self.now + self.latency(), name.clone());
            self.queue.plan(at, Happening::Deliver { daemon, name });
        }
        if let Some(&said) = self.numbers.get(name) {
            self.speaking_nodes_hear(said);
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

    fn deliver(&mut self, daemon: usize, name: NodeName) {
        let running = self.daemons[daemon].as_ref();
        if !self.postgres_up || running.is_none_or(|d| d.is_deaf) {
            return;
        }
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

    fn timeout(&mut self, daemon: usize, life: u32, at: Time) {
        let planned = self.daemons[daemon].as_ref().and_then(|d| d.timeout_at);
        if self.life(daemon) == Some(life) && planned == Some(at) {
            self.feed(daemon, Input::Timeout);
        }
    }

    fn postgres_connects(&mut self, daemon: usize, life: u32) {
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

    fn answer(&mut self, answer: Answer) {
        let Answer {
            daemon,
            life,
            name,
            dial,
            timed_out,
        } = answer;
        if self.life(daemon) != Some(life) {
            return;
        }
        let node = self.numbers.get(&name).copied();
        let reachable = node.filter(|node| !timed_out && self.reaches(daemon, *node));
        let refused = node.is_some_and(|node| self.refusing.contains(&node));
        let failure = match reachable {
            Some(_) if refused => failure("cookie_rejected_by_peer", Retry::Slowly),
            Some(node) => {
                // A dial that was cancelled has no socket left to come up.
                let running = self.daemons[daemon].as_ref();
                if running.is_some_and(|d| d.is_dialing(dial)) {
                    self.link_up(daemon, node);
                }
                return;
            }
            None if timed_out => failure("timeout_at_epmd", Retry::Soon),
            None if self.is_daemon(&name) => failure("not_public", Retry::NotOurs),
            None => failure("name_unknown", Retry::Soon),
        };
        let failed = Input::DialFailed {
            name,
            dial,
            failure,
        };
        self.feed(daemon, failed);
    }

    fn is_daemon(&self, name: &NodeName) -> bool {
        self.daemons.iter().flatten().any(|d| d.name == *name)
    }

    fn link_lost(&mut self, daemon: usize, life: u32, name: NodeName, link: LinkId) {
        if self.life(daemon) == Some(life) {
            let failure = failure("closed_by_peer", Retry::Soon);
            self.feed(
                daemon,
                Input::LinkDown {
                    name,
                    link,
                    failure,
                },
            );
        }
    }

    fn beam_dials(&mut self, node: usize, daemon: usize) {
        let beam = &self.beams[node];
        let running = self.daemons[daemon].as_ref();
        let link = running.and_then(|d| d.links.get(&beam.name));
        // A new life knows nothing of its last one's link, and takes its place.
        let linked = link.is_some_and(|link| self.link_lives.get(link) == Some(&beam.life));
        let wrong_cookie = self.refusing.contains(&node);
        if running.is_some() && !linked && !wrong_cookie && self.reaches(daemon, node) {
            self.link_up(daemon, node);
        }
    }

    fn link_up(&mut self, daemon: usize, node: usize) {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let beam = &self.beams[node];
        self.link_lives.insert(link, beam.life);
        let peer = Peer {
            name: beam.name.clone(),
            creation: beam.life,
            hidden: false,
        };
        self.feed(daemon, Input::LinkUp { peer, link });
    }

    fn reaches(&self, daemon: usize, node: usize) -> bool {
        self.beams[node].alive && !self.cuts.contains(&(daemon, node))
    }

    fn feed(&mut self, daemon: usize, input: Input) {
        let now = self.now;
        let Some(running) = &mut self.daemons[daemon] else {
            return;
        };
        for action in running.handle(now, input) {
            self.take(daemon, action);
        }
        self.plan_timeout(daemon);
    }

    fn plan_timeout(&mut self, daemon: usize) {
        let Some(running) = &mut self.daemons[daemon] else {
            return;
        };
        let (life, next) = (running.life, running.poll_timeout());
        if next != running.timeout_at {
            running.timeout_at = next;
        }
        if let Some(at) = next {
            let due = at.max(self.now);
            self.queue
                .plan(due, Happening::Timeout { daemon, life, at });
        }
    }

    fn take(&mut self, daemon: usize, action: Action) {
        match action {
            Action::Dial { name, dial } => self.plan_answer(daemon, name, dial),
            Action::CancelDial(_) | Action::Goodbye(_) | Action::Unwatch { .. } => {}
            Action::Watch { name, link } => self.tell_peers(daemon, name, link, true),
            Action::Audit { name, link } => self.tell_peers(daemon, name, link, false),
            Action::Introduce { id, to, peer } => {
                let Some(life) = self.life(daemon) else {
                    return;
                };
                let at = self.now + self.latency();
                let introduce = Happening::Introduce {
                    daemon,
                    life,
                    id,
                    to,
                    peer,
                };
                self.queue.plan(at, introduce);
            }
            Action::Disconnect { at, peer } => self.disconnect_all(daemon, &at, &peer),
            Action::Announce(names) => {
                for name in names {
                    self.say(&name);
                    self.plan_beam_dials(daemon);
                }
            }
        }
    }

    fn disconnect_all(&mut self, daemon: usize, at: &[NodeName], peer: &NodeName) {
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

    fn plan_answer(&mut self, daemon: usize, name: NodeName, dial: DialId) {
        let Some(life) = self.life(daemon) else {
            return;
        };
        let node = self.numbers.get(&name).copied();
        let silent = match node {
            Some(node) => self.cuts.contains(&(daemon, node)),
            None => !self.is_daemon(&name),
        };
        let wait = if silent {
            SETUP_TIMEOUT
        } else {
            self.latency() * 4
        };
        let answer = Answer {
            daemon,
            life,
            name,
            dial,
            timed_out: silent,
        };
        self.queue.plan(self.now + wait, Happening::Answer(answer));
    }

    fn plan_beam_dials(&mut self, daemon: usize) {
        if !self.postgres_up {
            return;
        }
        for node in 0..self.setup.speaking {
            let at = self.now + self.latency() * 3;
            self.queue.plan(at, Happening::BeamDials { node, daemon });
        }
    }

    fn life(&self, daemon: usize) -> Option<u32> {
        self.daemons[daemon].as_ref().map(|running| running.life)
    }

    fn latency(&mut self) -> Duration {
        self.rng_duration(Duration::from_millis(20))
    }

    fn random_time(&mut self, end: Duration) -> Time {
        Time::from_start(self.rng_duration(end))
    }

    fn rng_duration(&mut self, max: Duration) -> Duration {
        max.mul_f64(self.rng.f64())
    }
}

fn failure(kind: &'static str, retry: Retry) -> Failure {
    Failure {
        kind,
        message: kind.to_owned(),
        retry,
    }
}
