//! What a person asks for: to disconnect, to connect, to forget.

use pgmesh_name::NodeName;

use super::Mesh;
use crate::edges::Edge;
use crate::member::Hold;
use crate::{Action, Event, Member, State, Time};

impl Mesh {
    /// All are told, never one alone: a single missing edge can cost a mesh others
    /// (prevent_overlapping_partitions).
    pub(super) fn on_hold(&mut self, name: &NodeName, until: Option<Time>) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        let creation = member.peer.as_ref().map(|peer| peer.creation);
        member.hold = Some(Hold { creation });
        self.turns.leave(name);
        if let State::Dialing(dial) = member.state {
            self.turns.ended(dial);
            self.actions.push_back(Action::CancelDial(dial));
        }
        if !matches!(member.state, State::Up(_)) {
            member.state = State::Held;
            member.next_dial_at = None;
        }
        self.holds.set(name, until);
        self.reschedule(name);
        self.events.push_back(Event::Held(name.clone()));
        self.cut_off(name);
        self.reconsider_all(name);
    }

    pub(super) fn on_release(&mut self, a: &NodeName, b: &NodeName) {
        for name in [a, b] {
            self.release(name);
        }
        let (Some(a), Some(b)) = (self.members.place(a), self.members.place(b)) else {
            return;
        };
        let both_linked = self.members.link_at(a).is_some() && self.members.link_at(b).is_some();
        if both_linked && a != b && self.edges.edge(a, b) != Edge::Linked {
            self.note_apart(a, b, Some(self.now));
        }
    }

    pub(super) fn serve_holds(&mut self) {
        while let Some(name) = self.holds.pop_due(self.now) {
            self.release(&name);
        }
    }

    /// Ends a hold, if there is one, and dials at once.
    pub(super) fn release(&mut self, name: &NodeName) {
        self.holds.set(name, None);
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if member.hold.take().is_none() {
            return;
        }
        if member.state == State::Held {
            member.state = State::Heard;
        }
        if member.is_idle() {
            member.next_dial_at = Some(self.now);
        }
        self.events.push_back(Event::Released(name.clone()));
        // Since it was held the settings may have changed.
        if self.reason_to_ignore(name).is_some() {
            self.judge_again(name);
        }
        self.attend(name);
        self.reconsider_all(name);
    }

    pub(super) fn on_forget(&mut self, name: &NodeName) {
        // A dial under way is given up.
        let is_idle = self.members.contains(name) && self.link(name).is_none();
        if is_idle && !self.is_configured(name) {
            self.forget(name);
        }
    }

    /// Nobody is told of a name that was never proven: it would be an atom there.
    pub(super) fn cut_off(&mut self, name: &NodeName) {
        if !self.members.get(name).is_some_and(Member::is_proven) {
            return;
        }
        let at = self.linked_nodes().filter(|other| *other != name);
        let at = at.cloned().collect();
        let peer = name.clone();
        self.actions.push_back(Action::Disconnect { at, peer });
    }
}
