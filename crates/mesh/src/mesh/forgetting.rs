//! Who is forgotten, and when: after silence, which proves something only while we hear.

use std::time::Duration;

use pgmesh_name::NodeName;

use super::Mesh;
use crate::{Event, Member, Time};

/// In announce intervals: two of them, each as long as jitter makes it. Echoes
/// further apart leave it open what was said in between.
const LONGEST_ECHO_GAP: f64 = 2.5;

/// In expiries: how long who falls silent is kept where there is no channel. Nobody would
/// say the name again after a network's outage.
const KEPT_WITHOUT_CHANNEL: u32 = 10;

/// Whether we hear, and since when it is proven.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ears {
    pub(super) hearing_since: Option<Time>,
    pub(super) last_echo_at: Option<Time>,
}

impl Ears {
    fn on_echo(&mut self, now: Time, longest_gap: Duration) {
        let regular = self
            .last_echo_at
            .is_some_and(|last| now.since(last) <= longest_gap);
        if !regular || self.hearing_since.is_none() {
            self.hearing_since = Some(now);
        }
        self.last_echo_at = Some(now);
    }
}

impl Mesh {
    /// While frozen nobody is forgotten: we cannot tell silence from deafness.
    /// Where there is no channel, there is nothing to be deaf to.
    pub fn is_frozen(&self) -> bool {
        self.config.has_channel && !self.hears()
    }

    /// Whether it is proven that we hear what others say.
    pub(super) fn hears(&self) -> bool {
        self.ears.hearing_since.is_some()
    }

    /// The only moment at which names are forgotten where there is a channel: right now we
    /// know that we hear, and have heard all along.
    pub(super) fn on_echo(&mut self) {
        let gap = self.config.announce_interval.mul_f64(LONGEST_ECHO_GAP);
        self.ears.on_echo(self.now, gap);
        if self.stopping {
            return;
        }
        let silent = self.members.iter().filter(|(n, m)| self.is_expired(n, m));
        let silent: Vec<_> = silent.map(|(name, _)| name.clone()).collect();
        for name in &silent {
            self.forget(name);
        }
    }

    /// Where there is no channel, nothing but dials shows that somebody is gone.
    pub(super) fn forget_unheard(&mut self, name: &NodeName) {
        let is_gone = |member: &Member| self.is_expired(name, member);
        if !self.config.has_channel && self.members.get(name).is_some_and(is_gone) {
            self.forget(name);
        }
    }

    /// Forgets a name; the others, too, where that is wanted.
    pub(super) fn forget(&mut self, name: &NodeName) {
        self.events.push_back(Event::Forgotten(name.clone()));
        if self.config.prune {
            self.cut_off(name);
        }
        let seen_by: Vec<_> = self.seen_by(name).cloned().collect();
        self.drop_member(name);
        // Their views lose it. Where it is connected still, that must be told anew.
        seen_by.iter().for_each(|name| self.audit_soon(name));
    }

    /// Whether an idle member has been silent for the expiry while we could hear, and
    /// nobody is connected to it.
    fn is_expired(&self, name: &NodeName, member: &Member) -> bool {
        let Some((since, expiry)) = self.silence(member) else {
            return false;
        };
        let may_be_forgotten = !member.is_configured && member.hold.is_none();
        let is_silent = self.now.since(since) >= expiry;
        member.is_idle() && may_be_forgotten && is_silent && self.seen_by(name).next().is_none()
    }

    /// Since when a name has been silent for all that we could hear, and how long it may be.
    fn silence(&self, member: &Member) -> Option<(Time, Duration)> {
        let last_sign = member.last_sign_of_life();
        if self.config.has_channel {
            let hearing_since = self.ears.hearing_since?;
            let since = last_sign.map_or(hearing_since, |at| at.max(hearing_since));
            Some((since, self.config.expiry))
        } else {
            let since = last_sign.unwrap_or(member.known_since);
            Some((since, self.config.expiry * KEPT_WITHOUT_CHANNEL))
        }
    }

    /// The nodes that we are linked to and that say that they are connected to this one.
    fn seen_by(&self, name: &NodeName) -> impl Iterator<Item = &NodeName> {
        let place = self.members.place(name);
        let places = place
            .into_iter()
            .flat_map(|place| self.edges.seen_by(place));
        places.filter_map(|place| Some(self.members.at(place)?.0))
    }
}
