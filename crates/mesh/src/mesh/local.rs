//! This host's own nodes: whom we announce because they cannot do it themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use pgmesh_name::NodeName;

use super::Mesh;
use crate::{Action, AnnounceScope, Member, Time};

/// After its restart an EPMD is empty until the nodes have registered again.
const EPMD_FILLS: Duration = Duration::from_secs(10);

/// This host's nodes.
#[derive(Debug, Default)]
pub(super) struct Locals {
    names: BTreeSet<NodeName>,
    epmd: Epmd,
}

/// Whether what EPMD does not list is gone.
#[derive(Clone, Copy, Debug, Default)]
enum Epmd {
    /// It is: what EPMD lists is complete.
    #[default]
    Complete,
    /// It may be there all the same: EPMD is away, or came back a moment ago.
    Away,
    FillsUntil(Time),
}

impl Mesh {
    /// Whether a node lives on our host: EPMD lists it, or it has our host's name.
    pub fn is_local(&self, name: &NodeName) -> bool {
        self.locals.names.contains(name) || name.host() == self.config.own.host()
    }

    /// Whether it runs on our host: EPMD says so, or its link does. Without an EPMD
    /// nobody else could tell.
    fn runs_here(&self, name: &NodeName) -> bool {
        let is_linked = self.link(name).is_some();
        self.locals.names.contains(name) || (is_linked && self.is_local(name))
    }

    pub(super) fn on_local_names(&mut self, names: Vec<NodeName>) {
        let mut listed: BTreeSet<_> = names.into_iter().collect();
        listed.remove(&self.config.own);
        for name in &listed {
            let is_new = self.locals.names.insert(name.clone());
            if is_new {
                self.on_local_found(name);
            }
            self.learn(name);
        }
        let complete = match self.locals.epmd {
            Epmd::Complete => true,
            Epmd::Away => false,
            Epmd::FillsUntil(at) => self.now >= at,
        };
        if !complete {
            return;
        }
        let gone = |name: &&NodeName| !listed.contains(*name) && self.link(name).is_none();
        let gone: Vec<_> = self.locals.names.iter().filter(gone).cloned().collect();
        for name in &gone {
            self.locals.names.remove(name);
        }
        let was_said = |name: &NodeName| self.members.get(name).is_some_and(Member::is_proven);
        let said: Vec<_> = gone.into_iter().filter(|name| was_said(name)).collect();
        if !said.is_empty() && self.config.announce != AnnounceScope::None {
            self.actions.push_back(Action::Goodbye(said));
        }
    }

    /// It runs, whatever it said before; and what it lacks is now ours to mend.
    fn on_local_found(&mut self, name: &NodeName) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        member.left_at = None;
        // It was gone, so that this is another life than the one that is held.
        if member.hold.is_some() && member.is_idle() {
            self.release(name);
        }
        if self.link(name).is_some() {
            self.announce_newcomer(name);
            self.reconsider_all(name);
        }
    }

    pub(super) fn on_epmd_up(&mut self) {
        if matches!(self.locals.epmd, Epmd::Away) {
            self.locals.epmd = Epmd::FillsUntil(self.now + EPMD_FILLS);
        }
    }

    pub(super) fn on_epmd_down(&mut self) {
        self.locals.epmd = Epmd::Away;
    }

    /// A node of ours that has just been proven is said at once, and not with the
    /// next announcement.
    pub(super) fn announce_newcomer(&mut self, name: &NodeName) {
        if self.runs_here(name) && self.announce_at.is_some() {
            self.announce_at = Some(self.now);
        }
    }

    /// Ourselves, and this host's nodes that a handshake has proven: a name that is
    /// said becomes an atom on every node that hears it.
    pub(super) fn names_to_announce(&self) -> Vec<NodeName> {
        let is_good = |(name, member): &(&NodeName, &Member)| {
            let may_be_announced = member.may_be_announced(self.now, self.config.expiry);
            self.runs_here(name) && member.is_proven() && may_be_announced
        };
        let locals = self.members.iter().filter(is_good);
        let locals = locals.map(|(name, _)| name.clone());
        std::iter::once(self.config.own.clone())
            .chain(locals)
            .collect()
    }
}
