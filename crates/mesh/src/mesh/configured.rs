//! Whom the settings name: known and dialled without having been heard, and kept. A
//! person named them, so that the bounds on newcomers are not for them.

use pgmesh_name::{NodeName, PeerMap};

use super::Mesh;
use crate::IgnoredName;

impl Mesh {
    /// Whether the settings name it: then it is not forgotten.
    pub fn is_configured(&self, name: &NodeName) -> bool {
        self.config.peers.contains(name)
    }

    pub(super) fn learn_configured(&mut self) {
        let names: Vec<_> = self.config.peers.names().cloned().collect();
        for name in names {
            self.learn_if_configured(&name);
        }
    }

    /// Makes a name known that is not yet; it is dialled at the next timeout.
    pub(super) fn learn_if_configured(&mut self, name: &NodeName) {
        let is_known = self.members.contains(name) || *name == self.config.own;
        if is_known || !self.is_configured(name) {
            return;
        }
        match self.reason_to_ignore(name) {
            Some(IgnoredName::OtherHost) => {}
            Some(IgnoredName::NotAllowed) => self.refuse(name, |_, _| {}),
            None => {
                self.admit(name);
                self.dial_anew(name);
            }
        }
    }

    /// Those who are known already, by other settings than before.
    pub(super) fn configure_anew(&mut self, old: &PeerMap) {
        for name in self.names() {
            let (before, now) = (old.get(&name), self.config.peers.get(&name));
            match now {
                _ if before == now => {}
                Some(_) => self.on_configured(&name),
                None => self.on_no_longer_configured(&name),
            }
        }
    }

    /// It may listen elsewhere than where it was dialled last.
    fn on_configured(&mut self, name: &NodeName) {
        self.newcomers.forget_name(name);
        self.stop_dialling(name);
        if let Some(member) = self.members.get_mut(name) {
            member.is_configured = true;
            member.attempts = 0;
        }
        self.dial_anew(name);
    }

    /// From now on a name like others; nothing but the settings may have spoken for it.
    fn on_no_longer_configured(&mut self, name: &NodeName) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        member.is_configured = false;
        let was_told = member.last_heard_at.max(member.last_seen_at).is_some();
        if was_told || self.link(name).is_some() {
            self.bound(name);
        } else {
            self.forget(name);
        }
    }

    fn dial_anew(&mut self, name: &NodeName) {
        if let Some(member) = self.members.get_mut(name).filter(|m| m.is_idle()) {
            member.dial_again_at(self.now);
            self.reschedule(name);
        }
    }
}
