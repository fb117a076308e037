//! The cluster around the daemons.

mod daemons;
mod faults;
mod links;
mod nodes;
mod postgres;
mod watching;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pgmesh_mesh::{Action, DialId, Input, IntroductionId, LinkId, State, Time};
use pgmesh_name::NodeName;

use super::daemon::Daemon;
use super::fabric::Fabric;
use super::op::Op;
use super::queue::Queue;
use super::setup::Setup;

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
    /// Those that watch nodes hear of the edges of one batch.
    Edges(u64),
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

/// A node's edge has come or gone.
#[derive(Debug)]
struct Edge {
    node: usize,
    peer: usize,
    up: bool,
    told_at: Time,
}

/// What arrives at the same time is given to one daemon after the other: with a
/// hundred of them it takes three times as long edge by edge.
#[derive(Debug, Default)]
struct Edges {
    batches: BTreeMap<u64, Vec<Edge>>,
    last_batch: u64,
    /// When the last one arrives, if it may grow.
    open_until: Option<Time>,
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

/// What went over the channel and to the nodes so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Transactions that said something, whoever said it.
    pub transactions: u64,
    /// Names in them.
    pub names: u64,
    /// Names that reached a daemon.
    pub heard_by_daemons: u64,
    pub audits: u64,
    /// Edges that came or went, as watchers told a daemon.
    pub edges: u64,
    /// Introductions of two that were connected already.
    pub needless_introductions: u64,
}

pub struct World {
    pub now: Time,
    pub daemons: Vec<Option<Daemon>>,
    pub script: Vec<(Time, Op)>,
    pub told: Told,
    setup: Setup,
    beams: Vec<Beam>,
    fabric: Fabric,
    edges: Edges,
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
            told: Told::default(),
            setup,
            beams: Vec::new(),
            fabric: Fabric::new(nodes),
            edges: Edges::default(),
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
            let number = node / world.setup.nodes_per_host;
            let host = format!("10.0.{}.{}", number / 256, number % 256);
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
                let known = daemon.mesh().member(&beam.name);
                if !known.is_some_and(|member| matches!(member.state(), State::Up(_))) {
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

    pub fn nodes(&self) -> usize {
        self.beams.len()
    }

    /// How many all daemons have made so far.
    pub fn introductions(&self) -> u64 {
        let daemons = self.daemons.iter().flatten();
        daemons.map(|daemon| daemon.introductions).sum()
    }

    /// Whether each daemon is linked to every node, and sees every pair connected.
    pub fn is_whole(&self) -> bool {
        let nodes = self.beams.iter().filter(|beam| beam.alive).count();
        let pairs = nodes * nodes.saturating_sub(1) / 2;
        let sees_all = |daemon: &Daemon| {
            let counts = daemon.mesh().pair_counts();
            (counts.linked, counts.expected()) == (pairs, pairs)
        };
        self.apart().is_empty() && self.daemons.iter().flatten().all(sees_all)
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
            Happening::Edges(batch) => self.tell_watchers(batch),
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

    fn timeout(&mut self, daemon: usize, life: u32, at: Time) {
        let planned = self.daemons[daemon].as_ref().and_then(|d| d.timeout_at);
        if self.life(daemon) == Some(life) && planned == Some(at) {
            self.feed(daemon, Input::Timeout);
        }
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
        if next == running.timeout_at {
            return;
        }
        running.timeout_at = next;
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
                self.told.transactions += 1;
                for name in names {
                    self.say(&name);
                    self.plan_beam_dials(daemon);
                }
            }
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
