//! What is known of one name.

use std::time::Duration;

use crate::backoff::least_gap;
use crate::{DialId, Failure, LinkId, Peer, Retry, Time};

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Heard of, not linked; waiting for its next dial.
    Heard,
    /// Being dialled.
    Dialing(DialId),
    /// Linked.
    Up(LinkId),
    /// Was linked.
    Down,
    /// Answered and said no, or may not be dialled.
    Refused,
    /// Said that it leaves; not dialled before it is heard again.
    Left,
    /// Held: a person wants it left alone.
    Held,
}

/// Whether a node tells of its edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nobody asked it to.
    #[default]
    Off,
    /// It was asked.
    Asked,
    /// It does.
    On,
    /// It could not; it is asked again with the next audit.
    Failed,
}

/// A person wants a node left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Which life of it; another one is not held.
    pub(crate) creation: Option<u32>,
}

impl State {
    /// The word of the JSON shapes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Dialing(_) => "dialing",
            Self::Up(_) => "up",
            Self::Down => "down",
            Self::Refused => "refused",
            Self::Left => "left",
            Self::Held => "held",
        }
    }
}

/// What is known of one name.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) state: State,
    pub(crate) peer: Option<Peer>,
    pub(crate) hidden: bool,
    pub(crate) last_heard_at: Option<Time>,
    pub(crate) known_since: Time,
    /// When its link came, or when the last one went.
    pub(crate) last_linked_at: Option<Time>,
    pub(crate) last_dial_at: Option<Time>,
    pub(crate) next_dial_at: Option<Time>,
    pub(crate) attempts: u32,
    /// Of which kind they were, also while a link stands.
    pub(crate) attempts_of: Option<Retry>,
    pub(crate) failure: Option<Failure>,
    /// When goodbye was said for it, unless a sign of life came since.
    pub(crate) left_at: Option<Time>,
    /// Whether it is in `init:stop`, as it says itself.
    pub(crate) stopping: bool,
    pub(crate) hold: Option<Hold>,
    /// Whether the settings name it.
    pub(crate) is_configured: bool,
    /// Whether a linked one may be passed on.
    pub(crate) is_allowed: bool,
    pub(crate) watch: Watch,
    pub(crate) otp: Option<u32>,
    pub(crate) audit_sent_at: Option<Time>,
    /// When another node last saw it.
    pub(crate) last_seen_at: Option<Time>,
}

impl Member {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            known_since: now,
            state: State::Heard,
            peer: None,
            hidden: false,
            last_heard_at: None,
            last_linked_at: None,
            last_dial_at: None,
            next_dial_at: None,
            attempts: 0,
            attempts_of: None,
            failure: None,
            left_at: None,
            stopping: false,
            hold: None,
            is_configured: false,
            is_allowed: true,
            watch: Watch::Off,
            otp: None,
            audit_sent_at: None,
            last_seen_at: None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Who answered last, if a handshake ever succeeded: such a name is proven.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Whether it is known to be a hidden node; such are not counted.
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// When its name was last said on the channel.
    pub fn last_heard_at(&self) -> Option<Time> {
        self.last_heard_at
    }

    /// Since when it has been linked; without a link, since when it has had none.
    pub fn since(&self) -> Time {
        self.last_linked_at.unwrap_or(self.known_since)
    }

    /// How many dials in a row have failed, or brought a link that ended at once.
    pub fn attempts(&self) -> u32 {
        match self.state {
            State::Up(_) => 0,
            _ => self.attempts,
        }
    }

    /// Why the last dial or link ended, while it is not up.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether a person wants it left alone.
    pub fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    pub(crate) fn may_be_announced(&self, now: Time, expiry: Duration) -> bool {
        let stays = !self.is_leaving(now, expiry) && !self.stopping && self.hold.is_none();
        !self.hidden && self.is_allowed && stays
    }

    /// Whether goodbye was said for it within this time. Anybody can say that for a living
    /// node: who is still there long after has not left.
    pub(crate) fn is_leaving(&self, now: Time, expiry: Duration) -> bool {
        self.left_at.is_some_and(|at| now.since(at) < expiry)
    }

    /// Whether the last that was said for it was goodbye.
    pub(crate) fn has_left(&self) -> bool {
        self.left_at.is_some()
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.peer.is_some()
    }

    /// Whether anybody could have made its name up: such names are bounded.
    pub(crate) fn is_newcomer(&self) -> bool {
        !self.is_proven() && !self.is_configured
    }

    /// A hidden node that came by itself: nobody has spoken for it.
    pub(crate) fn is_visitor(&self) -> bool {
        let is_wanted = self.last_heard_at.is_some() || self.is_configured;
        self.hidden && !is_wanted
    }

    /// Neither linked nor being dialled.
    pub(crate) fn is_idle(&self) -> bool {
        !matches!(self.state, State::Dialing(_) | State::Up(_))
    }

    /// The state of a name whose link or dial has just ended.
    pub(crate) fn state_after(&self, failure: &Failure) -> State {
        let otherwise = match (failure.retry, self.is_proven()) {
            (Retry::Slowly, _) => State::Refused,
            (Retry::Soon, true) => State::Down,
            (Retry::Soon, false) | (Retry::NotOurs, _) => State::Heard,
        };
        self.state_without_link(otherwise)
    }

    /// Who is held or has said goodbye is that, whatever else it would be.
    pub(crate) fn state_without_link(&self, otherwise: State) -> State {
        if self.hold.is_some() {
            State::Held
        } else if self.has_left() {
            State::Left
        } else {
            otherwise
        }
    }

    /// The last moment that spoke for this name being alive.
    pub(crate) fn last_sign_of_life(&self) -> Option<Time> {
        self.last_heard_at
            .max(self.last_linked_at)
            .max(self.last_seen_at)
    }
}

/// A link that stood this long was a good one.
const LIVED: Duration = Duration::from_secs(10);

/// How a member changes; what follows from it for others is the mesh's.
impl Member {
    pub(crate) fn on_heard(&mut self, now: Time) {
        self.last_heard_at = Some(now);
        self.left_at = None;
        if self.state == State::Left {
            self.state = State::Heard;
        }
    }

    /// Another node is connected to it.
    pub(crate) fn on_seen(&mut self, now: Time) {
        self.last_seen_at = Some(now);
    }

    pub(crate) fn on_goodbye(&mut self, now: Time) {
        self.left_at = Some(now);
        if self.is_idle() && self.hold.is_none() {
            self.state = State::Left;
            self.next_dial_at = self.next_dial_at.filter(|_| self.is_configured);
        }
    }

    /// It is still there, or was until now.
    pub(crate) fn doubt_goodbye(&mut self, now: Time, expiry: Duration) {
        if !self.is_leaving(now, expiry) {
            self.left_at = None;
        }
    }

    /// Who said goodbye is left alone until it is heard again; who is configured may
    /// never be heard.
    pub(crate) fn dial_again_at(&mut self, at: Time) {
        let stays = !self.has_left() || self.is_configured;
        self.next_dial_at = Some(at).filter(|_| stays && self.hold.is_none());
    }

    /// A name that was just heard is dialled as soon as the least gap allows.
    pub(crate) fn pull_dial_forward(&mut self, now: Time) {
        if self.hold.is_some() {
            return;
        }
        let retry = self.failure.as_ref().map(|failure| failure.retry);
        let gap = least_gap(retry, self.attempts);
        let earliest = self.last_dial_at.map_or(now, |last| (last + gap).max(now));
        self.next_dial_at = Some(self.next_dial_at.map_or(earliest, |at| at.min(earliest)));
    }

    pub(crate) fn on_dial_started(&mut self, now: Time, dial: DialId) {
        self.state = State::Dialing(dial);
        self.last_dial_at = Some(now);
        self.next_dial_at = None;
    }

    pub(crate) fn on_dial_failed(&mut self, failure: Failure) {
        self.count_attempt(failure.retry);
        self.state = self.state_after(&failure);
        self.hidden |= failure.retry == Retry::NotOurs;
        self.failure = Some(failure);
    }

    /// Each reason to wait counts for itself: a node that was away for long, or that came
    /// and went, is not made to wait a minute for having said no once.
    fn count_attempt(&mut self, retry: Retry) {
        let same = self.attempts_of.replace(retry) == Some(retry);
        let before = if same { self.attempts } else { 0 };
        self.attempts = before.saturating_add(1);
    }

    pub(crate) fn on_dial_given_up(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        self.state = self.state_without_link(State::Heard);
    }

    pub(crate) fn on_link_up(&mut self, now: Time, peer: Peer, link: LinkId) {
        self.state = State::Up(link);
        self.hidden = peer.hidden;
        if self.peer.as_ref().map(|old| old.creation) != Some(peer.creation) {
            self.otp = None;
        }
        self.audit_sent_at = None;
        self.peer = Some(peer);
        self.last_linked_at = Some(now);
        self.next_dial_at = None;
        self.failure = None;
        self.left_at = None;
        self.stopping = false;
    }

    /// A link that ended at once counts as one more failure, or a peer that closes
    /// every link would be dialled several times a second.
    pub(crate) fn on_link_down(&mut self, now: Time, failure: Failure) {
        let linked_at = self.last_linked_at.unwrap_or(now);
        if now.since(linked_at) >= LIVED {
            self.attempts = 0;
        }
        self.count_attempt(failure.retry);
        self.state = self.state_without_link(State::Down);
        self.last_linked_at = Some(now);
        self.failure = Some(failure);
    }
}

/// How many names are in which state; hidden ones are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names known.
    pub heard: usize,
    /// Names being dialled.
    pub dialing: usize,
    /// Names linked.
    pub up: usize,
    /// Names that were linked.
    pub down: usize,
    /// Names that answered and said no, or may not be dialled.
    pub refused: usize,
    /// Names that said goodbye.
    pub left: usize,
    /// Names that a person wants left alone.
    pub held: usize,
    /// Hidden nodes, which count nowhere else.
    pub hidden: usize,
}

impl Counts {
    /// The states and how many visible names are in each, in a fixed order: each name
    /// is counted once, so that `heard` is what is in no other state.
    pub fn by_state(self) -> [(&'static str, usize); 7] {
        let others = [
            ("dialing", self.dialing),
            ("up", self.up),
            ("down", self.down),
            ("refused", self.refused),
            ("left", self.left),
            ("held", self.held),
        ];
        let in_others: usize = others.iter().map(|(_, count)| count).sum();
        let [a, b, c, d, e, f] = others;
        [("heard", self.heard - in_others), a, b, c, d, e, f]
    }

    pub(crate) fn add(&mut self, member: &Member) {
        if member.hidden {
            self.hidden += 1;
            return;
        }
        self.heard += 1;
        match member.state {
            State::Heard => {}
            State::Dialing(_) => self.dialing += 1,
            State::Up(_) => self.up += 1,
            State::Down => self.down += 1,
            State::Refused => self.refused += 1,
            State::Left => self.left += 1,
            State::Held => self.held += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Failure {
        failure_of(Retry::Soon)
    }

    fn failure_of(retry: Retry) -> Failure {
        Failure {
            kind: "closed_by_peer",
            message: String::new(),
            retry,
        }
    }

    fn peer() -> Peer {
        Peer {
            name: "a@h".parse().unwrap(),
            creation: 1,
            hidden: false,
        }
    }

    #[test]
    fn each_reason_to_wait_counts_for_itself() {
        let second = |n| Time::from_start(Duration::from_secs(n));
        let mut member = Member::new(second(0));
        let mut link = |from, to, retry| {
            member.on_link_up(second(from), peer(), LinkId(from));
            member.on_link_down(second(to), failure_of(retry));
            member.attempts()
        };
        assert_eq!(link(1, 2, Retry::Soon), 1);
        assert_eq!(link(3, 4, Retry::Soon), 2);
        assert_eq!(link(5, 6, Retry::Slowly), 1);
        assert_eq!(link(7, 8, Retry::Slowly), 2);
        assert_eq!(link(9, 30, Retry::Slowly), 1);
        member.on_dial_failed(failure_of(Retry::Slowly));
        assert_eq!(member.attempts(), 2);
        member.on_dial_failed(failure());
        assert_eq!(member.attempts(), 1);
    }

    #[test]
    fn dials_do_not_change_since_when_there_is_no_link() {
        let second = |n| Time::from_start(Duration::from_secs(n));
        let mut member = Member::new(second(1));
        member.on_dial_started(second(2), DialId(1));
        member.on_dial_failed(failure());
        assert_eq!(member.since(), second(1));
        member.on_link_up(second(3), peer(), LinkId(1));
        assert_eq!(member.since(), second(3));
        member.on_link_down(second(4), failure());
        member.on_dial_started(second(5), DialId(2));
        assert_eq!(member.since(), second(4));
    }
}
