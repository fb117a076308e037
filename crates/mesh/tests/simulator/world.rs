//! The cluster around the daemons.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pgmesh_mesh::{Action, DialId, Failure, Input, LinkId, Peer, Retry, State, Time};
use pgmesh_name::NodeName;

use super::daemon::Daemon;
use super::queue::Queue;
use super::{BEACON_INTERVAL, DEAF_AFTER, POSTGRES_RETRY, SETUP_TIMEOUT, TICK_TIMEOUT};

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
    /// A name of which nothing ever answers is said.
    SaySilent(usize),
    /// A node has another cookie from now on, and loses its links.
    Refuse(usize),
    Relent(usize),
    /// What is said no longer reaches this daemon; its session stands.
    Deafen(usize),
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
}

pub struct World {
    pub now: Time,
    pub daemons: Vec<Option<Daemon>>,
    pub script: Vec<(Time, Op)>,
    beams: Vec<Beam>,
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
    /// `nodes` BEAM nodes that announce themselves, and `daemons` daemons.
    pub fn new(seed: u64, nodes: usize, daemons: usize) -> Self {
        let mut world = Self {
            now: Time::ZERO,
            daemons: Vec::new(),
            script: Vec::new(),
            beams: Vec::new(),
            cuts: BTreeSet::new(),
            refusing: BTreeSet::new(),
            link_lives: BTreeMap::new(),
            postgres_up: true,
            queue: Queue::new(),
            rng: fastrand::Rng::with_seed(seed),
            last_link: 0,
            lives: 0,
            numbers: BTreeMap::new(),
        };
        for node in 0..nodes {
            let name: NodeName = format!("n{node}@10.0.0.{node}").parse().unwrap();
            world.numbers.insert(name.clone(), node);
            let (life, alive) = (0, false);
            world.beams.push(Beam { name, life, alive });
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
            let (fault, mend) = match self.rng.u8(..7) {
                0 => (Op::Crash(node), Op::Restart(node)),
                1 => (Op::Cut(daemon, node), Op::Join(daemon, node)),
                2 => (Op::StopPostgres, Op::StartPostgres),
                3 => (Op::KillDaemon(daemon), Op::StartDaemon(daemon)),
                4 => (Op::Refuse(node), Op::Relent(node)),
                5 => (Op::Deafen(daemon), Op::SaySilent(node)),
                _ => (Op::SaySilent(node), Op::SaySilent(node + 1)),
            };
            self.plan(start, fault);
            self.plan(stop, mend);
        }
    }

    /// Mends everything, now.
    pub fn mend_all(&mut self) {
        self.apply(&Op::StartPostgres);
        self.cuts.clear();
        self.refusing.clear();
        for node in 0..self.beams.len() {
            self.apply(&Op::Restart(node));
        }
        for daemon in 0..self.daemons.len() {
            self.apply(&Op::StartDaemon(daemon));
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
            Op::KillDaemon(daemon) => self.daemons[daemon] = None,
            Op::StartDaemon(daemon) => self.start_daemon(daemon),
            Op::Refuse(node) => self.refuse(node),
            Op::Relent(node) => {
                self.refusing.remove(&node);
            }
            Op::Deafen(daemon) => self.deafen(daemon),
            Op::SaySilent(number) => {
                let name = format!("silent{number}@10.1.0.{number}");
                self.say(&name.parse().unwrap());
            }
        }
    }

    fn crash(&mut self, node: usize) {
        self.beams[node].alive = false;
        self.lose_all_links(node);
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
        self.beams[node].life += 1;
        let life = self.beams[node].life;
        self.queue.plan(self.now, Happening::Beacon { node, life });
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
        self.postgres_up = true;
    }

    fn start_daemon(&mut self, daemon: usize) {
        if self.daemons[daemon].is_some() {
            return;
        }
        self.lives += 1;
        let name = format!("pgmesh{daemon}@10.2.0.{daemon}");
        let seed = self.rng.u64(..);
        let started = Daemon::new(name.parse().unwrap(), self.lives, seed);
        self.daemons[daemon] = Some(started);
        self.plan_postgres(daemon);
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
            Action::CancelDial(_) => {}
            Action::Announce(names) => {
                for name in names {
                    self.say(&name);
                    self.plan_beam_dials(daemon);
                }
            }
        }
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
        for node in 0..self.beams.len() {
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
