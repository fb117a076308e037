//! What the nodes see of each other, and whom to connect.

use std::time::Duration;

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
/// After an audit that came too late, or before which somebody was not known yet.
const AUDIT_AGAIN: Duration = Duration::from_secs(1);
/// In announce intervals: when a daemon that does not lead stops waiting for the one
/// that does.
const NOT_LEADING_WAITS: u32 = 2;

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
        self.edges.lose_view(name);
        self.reconsider_all(name);
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

    fn plan_audit(&mut self, name: &NodeName) {
        let wait = jittered(self.config.audit_interval, &mut self.rng);
        let wait = wait.max(Duration::from_millis(1));
        self.audits.set(name, Some(self.now + wait));
    }

    /// A watcher has begun.
    pub(super) fn on_watched(&mut self, name: &NodeName, link: LinkId, peers: &[NodeName]) {
        if let Some(member) = self.watched(name, link) {
            member.watch = Watch::On;
        }
        self.on_peers_seen(name, link, peers);
    }

    fn on_peers_seen(&mut self, name: &NodeName, link: LinkId, peers: &[NodeName]) {
        if self.link(name) != Some(link) {
            return;
        }
        for peer in peers {
            self.learn(peer);
        }
        let others = self.linked_to_us(name);
        let before: Vec<_> = others.iter().map(|o| self.edges.edge(name, o)).collect();
        let known = peers.iter().filter(|peer| self.members.contains_key(*peer));
        self.edges.see_all(name, known, self.now);
        for (other, before) in others.iter().zip(before) {
            self.edge_changed(name, other, before);
        }
    }

    pub(super) fn on_edge(
        &mut self,
        name: &NodeName,
        link: LinkId,
        peer: &NodeName,
        connected: bool,
    ) {
        if self.link(name) != Some(link) {
            return;
        }
        if connected {
            self.learn(peer);
        }
        if !self.members.contains_key(peer) {
            return;
        }
        let before = self.edges.edge(name, peer);
        self.edges.see(name, peer, connected, self.now);
        self.edge_changed(name, peer, before);
    }

    /// An audit's answer. While watched, what the watcher told since it was asked is
    /// newer; and if it says something else than the watcher, that one has died.
    pub(super) fn on_audited(&mut self, name: &NodeName, link: LinkId, peers: &[NodeName]) {
        if self.link(name) != Some(link) {
            return;
        }
        let seen_at = self.edges.seen_at(name);
        let differs = !self.edges.agrees(name, peers);
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
        self.on_peers_seen(name, link, peers);
    }

    /// Somebody whom others may have named before we had a place for it.
    pub(super) fn audit_all_soon(&mut self) {
        for name in self.linked_nodes().cloned().collect::<Vec<_>>() {
            let soon = jittered(AUDIT_AGAIN, &mut self.rng);
            self.audits.set(&name, Some(self.now + soon));
        }
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

    fn edge_changed(&mut self, name: &NodeName, other: &NodeName, before: Edge) {
        let after = self.edges.edge(name, other);
        let apart = |edge| matches!(edge, Edge::Missing | Edge::OneWay);
        let both_linked = self.link(name).is_some() && self.link(other).is_some();
        let lost = both_linked && before == Edge::Linked && apart(after);
        let pair = Pair::new(name, other);
        let Pair(a, b) = pair.clone();
        if lost {
            self.events.push_back(Event::EdgeDown(a, b));
        } else if both_linked && apart(before) && after == Edge::Linked {
            self.events.push_back(Event::EdgeUp(a, b));
        }
        self.reconsider(name, other);
        if lost {
            self.introductions.lost(&pair);
        }
    }

    // Pairs.

    /// Looks again at one node's every pair.
    pub(super) fn reconsider_all(&mut self, name: &NodeName) {
        for other in self.linked_to_us(name) {
            self.reconsider(name, &other);
        }
    }

    pub(super) fn reconsider(&mut self, a: &NodeName, b: &NodeName) {
        let pair = Pair::new(a, b);
        let edge = self.edges.edge(a, b);
        if !self.should_be_linked(a, b) || !matches!(edge, Edge::Missing | Edge::OneWay) {
            let linked = edge == Edge::Linked;
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
            return;
        }
        let due_at = self.due_at(&pair, edge);
        self.introductions.apart(&pair, self.now, due_at);
    }

    /// When a pair that is apart is introduced, if it is ours to introduce.
    fn due_at(&self, pair: &Pair, edge: Edge) -> Option<Time> {
        let since = self.introductions.get(pair).map_or(self.now, |a| a.since);
        let at = match edge {
            Edge::OneWay => since + ONE_WAY_GRACE,
            _ => self.now,
        };
        match self.config.introduce {
            IntroduceScope::None => None,
            IntroduceScope::Local => {
                (self.is_local(&pair.0) || self.is_local(&pair.1)).then_some(at)
            }
            // Whoever leads may be dead, or not see what we see.
            IntroduceScope::All if self.leads || self.is_frozen() => Some(at),
            IntroduceScope::All => {
                let patience = self.config.announce_interval * NOT_LEADING_WAITS;
                Some(at.max(since + patience))
            }
        }
    }

    /// Whether these two belong together; those that are linked to us and do not are
    /// left apart on purpose.
    pub(super) fn should_be_linked(&self, a: &NodeName, b: &NodeName) -> bool {
        let (Some(first), Some(second)) = (self.members.get(a), self.members.get(b)) else {
            return false;
        };
        a != b && first.should_be_linked(second)
    }

    // Introductions.

    pub(super) fn on_leader(&mut self, leads: bool) {
        self.leads = leads;
        if leads {
            let pairs: Vec<_> = self.introductions.pairs().cloned().collect();
            for Pair(a, b) in pairs {
                self.reconsider(&a, &b);
            }
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
            let watched = self.members.get(name).is_some_and(|m| m.watch == Watch::On);
            if !watched {
                let before = self.edges.edge(name, peer);
                self.edges.see(name, peer, true, self.now);
                self.edge_changed(name, peer, before);
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
        match self.members.get(name)?.state {
            State::Up(link) => Some(link),
            _ => None,
        }
    }

    /// Every visible node that we are linked to, but for one.
    fn linked_to_us(&self, but: &NodeName) -> Vec<NodeName> {
        let others = self.linked_nodes().filter(|name| *name != but);
        others.cloned().collect()
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
