//! One daemon: a real mesh, and a model of what surrounds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use pgmesh_mesh::{
    Action, Config, DialId, Event, Input, IntroductionId, LinkId, Member, Mesh, Time,
};
use pgmesh_name::NodeName;

#[derive(Debug)]
pub struct Daemon {
    pub name: NodeName,
    /// Which life of this daemon it is; answers to an earlier life are dropped.
    pub life: u32,
    pub links: BTreeMap<NodeName, LinkId>,
    pub actions: u64,
    pub announcements: u64,
    /// Links to another life of a node that was known.
    pub restarts: u64,
    /// Whether nothing that is said reaches it, known to it or not: also before it listens.
    pub is_deaf: bool,
    /// When the timeout that was planned last is due; earlier plans are void.
    pub timeout_at: Option<Time>,
    /// Which nodes have a watcher of ours.
    pub watched: HashMap<NodeName, Watched>,
    /// The nodes that live on this daemon's host.
    pub local: Range<usize>,
    pub introductions: u64,
    /// Everybody that was ever linked.
    pub proven: BTreeSet<NodeName>,
    pub healed: u64,
    /// Whether its settings let it do nothing but look.
    pub is_narrow: bool,
    /// What its mesh was told, if that is to be repeated.
    pub record: Option<Record>,
    mesh: Mesh,
    dials: BTreeMap<DialId, NodeName>,
    dialled: BTreeSet<NodeName>,
    asked: BTreeMap<IntroductionId, Pair>,
    asked_pairs: BTreeSet<Pair>,
}

/// Two names in order.
type Pair = (NodeName, NodeName);

/// Over which link a node tells of its edges, and since when.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    pub link: LinkId,
    pub since: Time,
}

/// Everything that a mesh depends on.
#[derive(Debug)]
pub struct Record {
    pub config: Config,
    pub seed: u64,
    pub inputs: Vec<(Time, Input)>,
}

impl Daemon {
    pub fn new(config: Config, life: u32, seed: u64) -> Self {
        Self {
            name: config.own.clone(),
            mesh: Mesh::new(config, seed),
            watched: HashMap::new(),
            local: 0..0,
            introductions: 0,
            proven: BTreeSet::new(),
            healed: 0,
            is_narrow: false,
            record: None,
            asked: BTreeMap::new(),
            asked_pairs: BTreeSet::new(),
            dialled: BTreeSet::new(),
            life,
            links: BTreeMap::new(),
            actions: 0,
            announcements: 0,
            restarts: 0,
            is_deaf: true,
            timeout_at: None,
            dials: BTreeMap::new(),
        }
    }

    /// Feeds one input, checks everything that may be checked at once, and
    /// returns what is to be done.
    pub fn handle(&mut self, now: Time, input: Input) -> Vec<Action> {
        let is_timeout = matches!(input, Input::Timeout);
        self.note_answer(&input);
        if let Some(record) = &mut self.record {
            record.inputs.push((now, input.clone()));
        }
        self.mesh.handle(now, input);
        if is_timeout && let Some(next) = self.mesh.poll_timeout() {
            assert!(next > now, "poll_timeout stays at {next:?} after Timeout");
        }
        while let Some(event) = self.mesh.poll_event() {
            self.check_event(&event);
        }
        let mut actions = Vec::new();
        while let Some(action) = self.mesh.poll_action() {
            self.check_action(&action);
            actions.push(action);
        }
        actions
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        self.mesh.poll_timeout()
    }

    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub fn is_dialing(&self, dial: DialId) -> bool {
        self.dials.contains_key(&dial)
    }

    fn dial_ended(&mut self, dial: DialId) {
        if let Some(name) = self.dials.remove(&dial) {
            self.dialled.remove(&name);
        }
    }

    fn note_answer(&mut self, input: &Input) {
        match input {
            Input::DialFailed { dial, .. } => {
                self.dial_ended(*dial);
            }
            Input::LinkUp { peer, link } => {
                self.links.insert(peer.name.clone(), *link);
                self.proven.insert(peer.name.clone());
            }
            Input::LinkDown { name, link, .. } if self.links.get(name) == Some(link) => {
                self.links.remove(name);
                self.watched.remove(name);
            }
            Input::IntroductionEnded { id, .. } => {
                if let Some(pair) = self.asked.remove(id) {
                    self.asked_pairs.remove(&pair);
                }
            }
            _ => {}
        }
    }

    fn check_event(&mut self, event: &Event) {
        match event {
            Event::Forgotten(name) => {
                assert!(!self.mesh.is_frozen(), "{name} forgotten while frozen");
                assert!(!self.is_deaf, "{name} forgotten while deaf");
                assert!(!self.links.contains_key(name), "{name} forgotten while up");
            }
            Event::NodeUp {
                restarted: true, ..
            } => self.restarts += 1,
            Event::Healed { .. } => self.healed += 1,
            _ => {}
        }
    }

    fn check_action(&mut self, action: &Action) {
        self.actions += 1;
        match action {
            Action::Dial { name, dial } => {
                assert!(!self.is_narrow, "dials {name}, which is not allowed");
                assert_ne!(name, &self.name, "dials itself");
                assert!(!self.links.contains_key(name), "dials {name}, which is up");
                let is_first = self.dialled.insert(name.clone());
                assert!(is_first, "second dial in flight to {name}");
                self.dials.insert(*dial, name.clone());
            }
            Action::CancelDial(dial) => {
                self.dial_ended(*dial);
            }
            Action::Announce(names) => {
                self.announcements += 1;
                assert_eq!(names.first(), Some(&self.name));
                assert!(
                    !self.is_narrow || names.len() == 1,
                    "says {names:?}, not allowed"
                );
            }
            Action::Goodbye(names) => {
                let own = &self.name;
                let known = |name: &NodeName| name == own || self.proven.contains(name);
                assert!(names.iter().all(known), "says an unproven name");
            }
            Action::Disconnect { peer, .. } => {
                assert!(
                    self.proven.contains(peer),
                    "tells others of {peer}, unproven"
                );
            }
            Action::Watch { name, link } => {
                assert!(!self.is_narrow, "watches {name}");
                assert_eq!(self.links.get(name), Some(link), "asks over an old link");
            }
            Action::Audit { name, link } => {
                assert_eq!(self.links.get(name), Some(link), "asks over an old link");
            }
            Action::Unwatch { name, link } => {
                assert_eq!(self.links.get(name), Some(link), "asks over an old link");
                self.watched.remove(name);
            }
            Action::Introduce { id, to, peer } => self.check_introduction(*id, to, peer),
        }
    }

    fn check_introduction(&mut self, id: IntroductionId, to: &NodeName, peer: &NodeName) {
        self.introductions += 1;
        assert!(!self.is_narrow, "introduces {to} and {peer}");
        for end in [to, peer] {
            assert!(self.links.contains_key(end), "introduces {end}, unproven");
            let held = self.mesh.member(end).is_some_and(Member::is_held);
            assert!(!held, "introduces {end}, which is held");
        }
        let pair = (to.min(peer).clone(), to.max(peer).clone());
        let is_first = self.asked_pairs.insert(pair.clone());
        assert!(is_first, "second introduction of {to} and {peer}");
        self.asked.insert(id, pair);
    }
}
