//! What the nodes see of each other, and whom to connect.

use std::collections::BTreeSet;
use std::time::Duration;

use fixedbitset::FixedBitSet;
use pgmesh_name::NodeName;

use super::Mesh;
use crate::backoff::jittered;
use crate::edges::Edge;
use crate::introductions::Pair;
use crate::member::Watch;
use crate::{
    Action, Event, IntroduceScope, IntroductionId, IntroductionOutcome, LinkId, Member, State, Time,
};

/// For a moment every new edge is seen by one of its ends only.
const ONE_WAY_GRACE: Duration = Duration::from_secs(1);
/// At how many moments in an interval nodes are audited.
const AUDIT_TIMES: u32 = 8;
/// After an audit that came too late, or before which somebody was not known yet.
const AUDIT_AGAIN: Duration = Duration::from_secs(1);
/// In announce intervals: when a daemon that does not lead stops waiting for the one
/// that does.
const NOT_LEADING_WAITS: u32 = 2;

/// Whom a node says that it is connected to.
struct Seen<'a> {
    /// Those that we are linked to, by their places.
    nodes: FixedBitSet,
    others: Vec<&'a NodeName>,
}

impl Mesh {
    // Views.

    /// A link to a visible node is up: from here on we want to know what it sees.
    pub(super) fn start_watching(&mut self, name: &NodeName, link: LinkId) {
        let (name, watch) = (name.clone(), self.config.watch_edges);
        if let Some(member) = self.members.get_mut(&name) {
            member.watch = if watch { Watch::Asked } else { Watch::Off };
        }
        self.plan_audit(&name);
        let action = if watch {
            Action::Watch { name, link }
        } else {
            Action::Audit { name, link }
        };
        self.actions.push_back(action);
    }

    pub(super) fn stop_watching(&mut self, name: &NodeName) {
        self.audits.set(name, None);
        let Some(place) = self.members.place(name) else {
            return;
        };
        self.edges.lose_view(place);
        for other in self.apart.of(place).collect::<Vec<_>>() {
            self.reconsider(place, other);
        }
    }

    pub(super) fn serve_audits(&mut self) {
        while let Some(name) = self.audits.pop_due(self.now) {
            let Some(link) = self.link(&name).filter(|_| !self.stopping) else {
                continue;
            };
            self.plan_audit(&name);
            let Some(member) = self.members.get_mut(&name) else {
                continue;
            };
            member.audit_sent_at = Some(self.now);
            if member.watch == Watch::Failed {
                member.watch = Watch::Asked;
                let name = name.clone();
                self.actions.push_back(Action::Watch { name, link });
            }
            self.actions.push_back(Action::Audit { name, link });
        }
    }

    /// In time with others, so that a daemon at rest is woken for some of them at once.
    fn plan_audit(&mut self, name: &NodeName) {
        let wait = jittered(self.config.audit_interval, &mut self.rng);
        let due = self.now + wait.max(Duration::from_millis(1));
        let together = due.beginning_of(self.config.audit_interval / AUDIT_TIMES);
        let due = if together > self.now { together } else { due };
        self.audits.set(name, Some(due));
    }

    /// A watcher has begun.
    pub(super) fn on_watched(&mut self, name: &NodeName, link: LinkId, peers: &[NodeName]) {
        if let Some(member) = self.watched(name, link) {
            member.watch = Watch::On;
        }
        if let Some(node) = self.members.place_over(name, link) {
            let seen = self.look_up(peers);
            self.on_peers_seen(node, seen);
        }
    }

    fn on_peers_seen(&mut self, node: usize, seen: Seen<'_>) {
        let Seen { mut nodes, others } = seen;
        others.iter().for_each(|name| self.learn(name));
        // One newcomer may have cost another its place.
        for peer in others.iter().filter_map(|name| self.members.place(name)) {
            nodes.grow_and_insert(peer);
        }
        self.take_in(node, nodes);
    }

    /// Names looked up once: those that we are linked to are almost all of them, and
    /// there is nothing to learn about them.
    fn look_up<'a>(&mut self, peers: &'a [NodeName]) -> Seen<'a> {
        let mut nodes = FixedBitSet::with_capacity(self.members.places());
        let mut others = Vec::new();
        for name in peers {
            match self.members.linked_mut(name) {
                Some((place, member)) => {
                    member.on_seen(self.now);
                    nodes.insert(place);
                }
                None => others.push(name),
            }
        }
        Seen { nodes, others }
    }

    /// Takes in a view, and looks at those pairs of which it can say anything new.
    fn take_in(&mut self, node: usize, seen: FixedBitSet) {
        let others: BTreeSet<usize> = match self.edges.changes(node, &seen) {
            None => self.linked_but(node).collect(),
            Some(changed) => changed.chain(self.apart.of(node)).collect(),
        };
        let before = self.edges.see_all(node, seen, self.now);
        for other in others {
            let before = self.edges.edge_by(before.as_ref(), node, other);
            self.edge_changed(node, other, before);
        }
    }

    pub(super) fn on_edge(
        &mut self,
        name: &NodeName,
        link: LinkId,
        peer: &NodeName,
        connected: bool,
    ) {
        let Some(node) = self.members.place_over(name, link) else {
            return;
        };
        let linked = self.members.linked_mut(peer);
        let linked = linked.map(|(place, member)| {
            member.on_seen(self.now);
            place
        });
        if connected && linked.is_none() {
            self.learn(peer);
        }
        if let Some(peer) = linked.or_else(|| self.members.place(peer)) {
            self.see(node, peer, connected);
        }
    }

    fn see(&mut self, node: usize, peer: usize, connected: bool) {
        let before = self.edges.edge(node, peer);
        self.edges.see(node, peer, connected, self.now);
        self.edge_changed(node, peer, before);
    }

    /// An audit's answer. While watched, what the watcher told since it was asked is
    /// newer; and if it says something else than the watcher, that one has died.
    pub(super) fn on_audited(&mut self, name: &NodeName, link: LinkId, peers: &[NodeName]) {
        let Some(node) = self.members.place_over(name, link) else {
            return;
        };
        let seen_at = self.edges.seen_at(node);
        let seen = self.look_up(peers);
        let differs = self.differs(node, &seen);
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if member.watch == Watch::On && seen_at >= member.audit_sent_at {
            self.audits.set(name, Some(self.now + AUDIT_AGAIN));
            return;
        }
        if member.watch == Watch::On && differs {
            member.watch = Watch::Failed;
            self.audits.set(name, Some(self.now + AUDIT_AGAIN));
        }
        self.on_peers_seen(node, seen);
    }

    /// Whether this is something else than what the node's view says, as far as the
    /// names are known.
    fn differs(&self, node: usize, seen: &Seen<'_>) -> bool {
        let others = seen.others.iter();
        let mut nodes = seen.nodes.clone();
        for place in others.filter_map(|name| self.members.place(name)) {
            nodes.grow_and_insert(place);
        }
        !self.edges.agrees(node, &nodes)
    }

    /// Somebody whom others may have named before we had a place for it.
    pub(super) fn audit_all_soon(&mut self) {
        for name in self.linked_nodes().cloned().collect::<Vec<_>>() {
            self.audit_soon(&name);
        }
    }

    pub(super) fn audit_soon(&mut self, name: &NodeName) {
        let soon = jittered(AUDIT_AGAIN, &mut self.rng);
        self.audits.set(name, Some(self.now + soon));
    }

    pub(super) fn on_watch_failed(&mut self, name: &NodeName, link: LinkId) {
        if let Some(member) = self.watched(name, link) {
            member.watch = Watch::Failed;
        }
    }

    /// Who was asked to tell of its edges over this link, and still is to.
    fn watched(&mut self, name: &NodeName, link: LinkId) -> Option<&mut Member> {
        let member = self.members.get_mut(name)?;
        let wanted = member.state == State::Up(link) && member.watch != Watch::Off;
        wanted.then_some(member)
    }

    pub(super) fn on_otp_known(&mut self, name: &NodeName, link: LinkId, release: u32) {
        let linked = self.link(name) == Some(link);
        if let Some(member) = self.members.get_mut(name).filter(|_| linked) {
            member.otp = Some(release);
            self.reconsider_all(name);
        }
    }

    fn edge_changed(&mut self, node: usize, other: usize, before: Edge) {
        let after = self.edges.edge(node, other);
        let apart = |edge| matches!(edge, Edge::Missing | Edge::OneWay);
        let linked = |place| self.members.link_at(place).is_some();
        let both_linked = linked(node) && linked(other);
        let lost = both_linked && before == Edge::Linked && apart(after);
        let come = both_linked && apart(before) && after == Edge::Linked;
        if (lost || come)
            && let Some(Pair(a, b)) = self.pair(node, other)
        {
            let event = if lost { Event::EdgeDown } else { Event::EdgeUp };
            self.events.push_back(event(a, b));
        }
        self.reconsider(node, other);
        if lost && let Some(pair) = self.pair(node, other) {
            self.introductions.lost(&pair);
        }
    }

    fn pair(&self, a: usize, b: usize) -> Option<Pair> {
        let ((a, _), (b, _)) = (self.members.at(a)?, self.members.at(b)?);
        Some(Pair::new(a, b))
    }

    // Pairs.

    /// Looks again at one node's every pair.
    pub(super) fn reconsider_all(&mut self, name: &NodeName) {
        let Some(node) = self.members.place(name) else {
            return;
        };
        for other in self.linked_but(node).collect::<Vec<_>>() {
            self.reconsider(node, other);
        }
    }

    /// The same for all: what is apart may be ours to mend from now on.
    pub(super) fn reconsider_every_pair(&mut self) {
        let nodes: Vec<usize> = self.members.linked().collect();
        for (i, a) in nodes.iter().copied().enumerate() {
            for b in nodes[i + 1..].iter().copied() {
                self.reconsider(a, b);
            }
        }
    }

    pub(super) fn reconsider(&mut self, a: usize, b: usize) {
        let edge = self.edges.edge(a, b);
        let is_apart = matches!(edge, Edge::Missing | Edge::OneWay);
        if is_apart && self.should_be_linked(a, b) {
            let due_at = self.due_at(a, b, edge);
            self.note_apart(a, b, due_at);
        } else if self.apart.remove(a, b) {
            self.settle(a, b, edge == Edge::Linked);
        }
    }

    /// What is not ours to introduce is not noted: of a thousand nodes that do not know
    /// each other it would be half a million pairs.
    pub(super) fn note_apart(&mut self, a: usize, b: usize, due_at: Option<Time>) {
        let is_noted = self.apart.contains(a, b);
        if !is_noted && due_at.is_none() {
            return;
        }
        if let Some(pair) = self.pair(a, b) {
            self.apart.insert(a, b);
            self.introductions.apart(&pair, self.now, due_at);
        }
    }

    fn settle(&mut self, a: usize, b: usize, linked: bool) {
        let Some(pair) = self.pair(a, b) else {
            return;
        };
        let Some(apart) = self.introductions.settle(&pair, linked, self.now) else {
            return;
        };
        if apart.failures > 0 && linked {
            self.introductions.hurry(self.now);
        }
        if apart.was_introduced && apart.was_linked && linked {
            self.events.push_back(Event::Healed {
                a: pair.0,
                b: pair.1,
                after: self.now.since(apart.since),
            });
        }
    }

    /// When a pair that is apart is introduced, if it is ours to introduce.
    fn due_at(&self, a: usize, b: usize, edge: Edge) -> Option<Time> {
        if !self.is_ours(a, b) {
            return None;
        }
        let noted = self.apart.contains(a, b).then(|| self.pair(a, b)).flatten();
        let noted = noted.and_then(|pair| self.introductions.get(&pair));
        let since = noted.map_or(self.now, |apart| apart.since);
        let at = match edge {
            Edge::OneWay => since + ONE_WAY_GRACE,
            _ => self.now,
        };
        let is_urgent = self.config.introduce != IntroduceScope::All;
        // Whoever leads may be dead, or not see what we see.
        if is_urgent || self.leads || !self.hears() {
            return Some(at);
        }
        let patience = self.config.announce_interval * NOT_LEADING_WAITS;
        Some(at.max(since + patience))
    }

    fn is_ours(&self, a: usize, b: usize) -> bool {
        let is_local = |place| {
            let member = self.members.at(place);
            member.is_some_and(|(name, _)| self.is_local(name))
        };
        match self.config.introduce {
            IntroduceScope::None => false,
            IntroduceScope::Local => is_local(a) || is_local(b),
            IntroduceScope::All => true,
        }
    }

    /// Whether these two belong together; those that are linked to us and do not are
    /// left apart on purpose.
    pub(super) fn should_be_linked(&self, a: usize, b: usize) -> bool {
        let (Some((_, first)), Some((_, second))) = (self.members.at(a), self.members.at(b)) else {
            return false;
        };
        a != b && first.should_be_linked(second)
    }

    // Introductions.

    pub(super) fn on_leader(&mut self, leads: bool) {
        self.leads = leads;
        if leads {
            self.reconsider_every_pair();
        }
    }

    pub(super) fn serve_introductions(&mut self) {
        if self.stopping {
            return;
        }
        while let Some(next) = self.introductions.next(self.now) {
            self.events.push_back(Event::Introduced {
                to: next.to.clone(),
                peer: next.peer.clone(),
            });
            self.actions.push_back(Action::Introduce {
                id: next.id,
                to: next.to,
                peer: next.peer,
            });
        }
    }

    pub(super) fn on_introduction_ended(
        &mut self,
        id: IntroductionId,
        outcome: IntroductionOutcome,
    ) {
        let connected = outcome == IntroductionOutcome::Connected;
        // With jitter, still within an announcement.
        let longest_wait = self.config.announce_interval.mul_f64(0.75);
        let answered =
            self.introductions
                .answered(id, connected, self.now, longest_wait, &mut self.rng);
        let Some((to, peer)) = answered else {
            return;
        };
        match outcome {
            IntroductionOutcome::Connected => self.believe(&to, &peer),
            IntroductionOutcome::Stopping(name) => self.on_node_stopping(&name),
            outcome => self
                .events
                .push_back(Event::NotIntroduced { to, peer, outcome }),
        }
    }

    /// Watchers tell themselves; where there are none, the answer is all there is
    /// until the next audit.
    fn believe(&mut self, a: &NodeName, b: &NodeName) {
        for (name, peer) in [(a, b), (b, a)] {
            let (Some(node), Some(peer)) = (self.members.place(name), self.members.place(peer))
            else {
                return;
            };
            let member = self.members.at(node).map(|(_, member)| member);
            if !member.is_some_and(|member| member.watch == Watch::On) {
                self.see(node, peer, true);
            }
        }
    }

    /// It says so itself; another life of it will not.
    fn on_node_stopping(&mut self, name: &NodeName) {
        if let Some(member) = self.members.get_mut(name) {
            member.stopping = true;
            self.reconsider_all(name);
        }
    }

    // Who takes part.

    pub(super) fn link(&self, name: &NodeName) -> Option<LinkId> {
        self.members.link_at(self.members.place(name)?)
    }

    /// Every visible node that we are linked to, but for one.
    fn linked_but(&self, node: usize) -> impl Iterator<Item = usize> {
        let others = self.members.linked();
        others.filter(move |other| *other != node)
    }
}

impl Member {
    pub(super) fn should_be_linked(&self, other: &Self) -> bool {
        self.belongs() && other.belongs() && self.gets_on_with(other)
    }

    /// Whether it is to be linked to all others.
    fn belongs(&self) -> bool {
        let up = matches!(self.state, State::Up(_));
        up && !self.hidden && self.is_allowed && !self.stopping && self.hold.is_none()
    }

    /// OTP 23 and 26 or later refuse each other ("cannot handle V4_NC, UNLINK_ID").
    fn gets_on_with(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (self.otp, other.otp) else {
            return true;
        };
        !(a.min(b) <= 23 && a.max(b) >= 26)
    }
}
