//! What follows from new settings. Links stay, also to whom would not be dialled any
//! more: a reload cuts nobody off.

use pgmesh_name::NodeName;

use super::Mesh;
use crate::member::Watch;
use crate::{Action, Config, IgnoredName, Retry, State};

impl Mesh {
    /// Everything but our own name may change. What is under way and no longer wanted
    /// is given up; what is wanted now begins at once.
    pub(super) fn on_reconfigured(&mut self, config: Config) {
        if self.stopping {
            return;
        }
        let own = self.config.own.clone();
        let new = Config { own, ..config };
        if new == self.config {
            return;
        }
        let old = std::mem::replace(&mut self.config, new);
        let others = self.allow_anew();
        self.configure_anew(&old.peers);
        for name in self.names() {
            self.judge_again(&name);
        }
        self.learn_configured();
        if old.watch_edges != self.config.watch_edges {
            self.watch_all_anew();
        }
        // By these we also learn whom we did not want to know.
        self.audit_all_soon();
        self.plan_introductions_anew(&others);
        if self.announce_at.is_some() {
            self.announce_at = Some(self.now);
        }
    }

    /// Those that may be passed on now and might not before, or the other way round.
    fn allow_anew(&mut self) -> Vec<NodeName> {
        let mut others = Vec::new();
        for name in self.names() {
            let is_allowed = self.config.allow.allows_name(&name);
            let member = self.members.get_mut(&name);
            let before = member.map(|member| std::mem::replace(&mut member.is_allowed, is_allowed));
            if before.is_some_and(|before| before != is_allowed) {
                others.push(name);
            }
        }
        others
    }

    /// Looks again at a name without a link: is it ours to dial?
    pub(super) fn judge_again(&mut self, name: &NodeName) {
        let Some(member) = self.members.get(name) else {
            return;
        };
        if matches!(member.state, State::Up(_)) {
            return;
        }
        match self.reason_to_ignore(name) {
            // A person's word stands.
            Some(IgnoredName::OtherHost) if member.hold.is_some() => {}
            Some(IgnoredName::OtherHost) => self.drop_member(name),
            Some(IgnoredName::NotAllowed) => {
                self.stop_dialling(name);
                self.show_refused(name);
            }
            None => self.ask_again(name),
        }
    }

    pub(super) fn stop_dialling(&mut self, name: &NodeName) {
        self.turns.leave(name);
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if let State::Dialing(dial) = member.state {
            member.state = member.state_without_link(State::Heard);
            self.turns.ended(dial);
            self.actions.push_back(Action::CancelDial(dial));
        }
    }

    /// Who was not allowed, or said no, may do better by the new settings.
    fn ask_again(&mut self, name: &NodeName) {
        let Some(member) = self.members.get_mut(name).filter(|m| m.is_idle()) else {
            return;
        };
        let Some(failure) = member.failure.clone() else {
            return;
        };
        if failure.kind == IgnoredName::NotAllowed.kind() {
            member.failure = None;
            member.attempts = 0;
            member.state = member.state_without_link(State::Heard);
        }
        if failure.retry == Retry::Slowly {
            member.dial_again_at(self.now);
            self.attend(name);
        }
    }

    fn watch_all_anew(&mut self) {
        for name in self.linked_nodes().cloned().collect::<Vec<_>>() {
            let Some(link) = self.link(&name) else {
                continue;
            };
            if self.config.watch_edges {
                self.start_watching(&name, link);
            } else if let Some(member) = self.members.get_mut(&name) {
                member.watch = Watch::Off;
                self.actions.push_back(Action::Unwatch { name, link });
            }
        }
    }

    fn plan_introductions_anew(&mut self, others: &[NodeName]) {
        self.introductions.unplan();
        others.iter().for_each(|name| self.reconsider_all(name));
        self.reconsider_every_pair();
    }
}
