//! The state machine itself: names, dials, links, and what becomes of them. What
//! the nodes see of each other is in `healing`, this host's nodes in `local`, what
//! people ask for in `holding`, who is forgotten in `forgetting`, whom the settings name
//! in `configured`, what new settings bring in `reconfiguring`.

mod configured;
mod forgetting;
mod healing;
mod holding;
mod local;
mod matrix;
mod pairs;
mod reconfiguring;

pub use matrix::Matrix;
pub use pairs::PairCounts;

use std::collections::VecDeque;
use std::time::Duration;

use pgmesh_name::NodeName;

use crate::backoff::{jittered, own_retry};
use crate::edges::Edges;
use crate::introductions::Introductions;
use crate::members::Members;
use crate::newcomers::Newcomers;
use crate::pair_set::PairSet;
use crate::timers::Timers;
use crate::turns::{Turn, Turns};
use crate::{
    Action, AnnounceScope, Config, Counts, DialId, Event, Failure, IgnoredName, Input, JoinScope,
    LinkId, Member, Peer, Retry, State, Time,
};

/// Everything the daemon decides.
///
/// Call [`handle`](Self::handle) for each input, then drain
/// [`poll_action`](Self::poll_action) and [`poll_event`](Self::poll_event), then
/// wait until [`poll_timeout`](Self::poll_timeout) at the latest and say
/// [`Input::Timeout`]. After `handle(t, Timeout)` the next timeout is later
/// than `t`.
#[derive(Debug)]
pub struct Mesh {
    config: Config,
    rng: fastrand::Rng,
    now: Time,
    members: Members,
    newcomers: Newcomers,
    turns: Turns,
    timers: Timers,
    audits: Timers,
    holds: Timers,
    edges: Edges,
    introductions: Introductions,
    /// The pairs that are in `introductions`, to know at no cost which are not.
    apart: PairSet,
    locals: local::Locals,
    /// Whether we are the one of several that introduces at once.
    leads: bool,
    last_dial: u64,
    announce_at: Option<Time>,
    ears: forgetting::Ears,
    stopping: bool,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
}

/// Within this, being seen once more tells nothing new.
const JUST_NOW: Duration = Duration::from_millis(100);

impl Mesh {
    /// A mesh that knows nobody yet but those whom the settings name; they are dialled
    /// at its first timeout. Equal seeds give equal jitter.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut mesh = Self {
            config,
            rng: fastrand::Rng::with_seed(seed),
            now: Time::ZERO,
            members: Members::default(),
            newcomers: Newcomers::default(),
            turns: Turns::default(),
            timers: Timers::default(),
            audits: Timers::default(),
            holds: Timers::default(),
            edges: Edges::default(),
            introductions: Introductions::default(),
            apart: PairSet::default(),
            locals: local::Locals::default(),
            leads: false,
            last_dial: 0,
            announce_at: None,
            ears: forgetting::Ears::default(),
            stopping: false,
            actions: VecDeque::new(),
            events: VecDeque::new(),
        };
        mesh.learn_configured();
        mesh
    }

    /// Takes in one input. `now` must not go back; an earlier one counts as the
    /// latest seen.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::HeardName(name) => self.on_heard_name(name),
            Input::HeardGoodbye(name) => self.on_heard_goodbye(&name),
            Input::EchoHeard => self.on_echo(),
            Input::LinkUp { peer, link } => self.on_link_up(peer, link),
            Input::LinkDown {
                name,
                link,
                failure,
            } => self.on_link_down(&name, link, failure),
            Input::DialFailed {
                name,
                dial,
                failure,
            } => self.on_dial_failed(&name, dial, failure),
            Input::PostgresUp => self.on_postgres_up(),
            Input::PostgresDown => self.on_postgres_down(),
            Input::PeersSeen { name, link, peers } => self.on_watched(&name, link, &peers),
            Input::Audited { name, link, peers } => self.on_audited(&name, link, &peers),
            Input::EdgeUp { name, link, peer } => self.on_edge(&name, link, &peer, true),
            Input::EdgeDown { name, link, peer } => self.on_edge(&name, link, &peer, false),
            Input::WatchFailed { name, link } => self.on_watch_failed(&name, link),
            // The next audit comes by itself, and what is known stays known till then.
            Input::AuditFailed { .. } => {}
            Input::IntroductionEnded { id, outcome } => self.on_introduction_ended(id, outcome),
            Input::OtpKnown {
                name,
                link,
                release,
            } => self.on_otp_known(&name, link, release),
            Input::Leader(leads) => self.on_leader(leads),
            Input::LocalNames(names) => self.on_local_names(names),
            Input::EpmdUp => self.on_epmd_up(),
            Input::EpmdDown => self.on_epmd_down(),
            Input::Hold { name, until } => self.on_hold(&name, until),
            Input::Release { a, b } => self.on_release(&a, &b),
            Input::Forget(name) => self.on_forget(&name),
            Input::Reconfigured(config) => self.on_reconfigured(*config),
            Input::Timeout => self.on_timeout(),
            Input::Shutdown => self.on_shutdown(),
        }
        self.serve_turns();
        self.serve_introductions();
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Input::Timeout`] is due, unless another input comes first.
    pub fn poll_timeout(&self) -> Option<Time> {
        let timers = [
            self.announce_at,
            self.timers.next(),
            self.turns.next_at(),
            self.audits.next(),
            self.holds.next(),
            self.introductions.next_at(self.now),
        ];
        timers.into_iter().flatten().min()
    }

    /// Every name known, in order.
    pub fn members(&self) -> impl Iterator<Item = (&NodeName, &Member)> {
        self.members.iter()
    }

    /// How many names are in which state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.members().for_each(|(_, member)| counts.add(member));
        counts
    }

    /// Whether we introduce at once where several daemons may.
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// One of the names known.
    pub fn member(&self, name: &NodeName) -> Option<&Member> {
        self.members.get(name)
    }

    /// When our own announcement last came back.
    pub fn last_echo_at(&self) -> Option<Time> {
        self.ears.last_echo_at
    }

    fn on_heard_name(&mut self, name: NodeName) {
        if name == self.config.own || self.is_heard_as_ever(&name) {
            return;
        }
        match self.reason_to_ignore(&name) {
            Some(IgnoredName::OtherHost) => {
                let ignored = Event::Ignored(name, IgnoredName::OtherHost);
                self.events.push_back(ignored);
                return;
            }
            Some(IgnoredName::NotAllowed) => return self.refuse(&name, Member::on_heard),
            None => {}
        }
        self.admit(&name);
        let Some(member) = self.members.get_mut(&name) else {
            return;
        };
        member.on_heard(self.now);
        if member.is_idle() {
            member.pull_dial_forward(self.now);
        }
        self.attend(&name);
    }

    /// Notes the name of somebody who is linked and welcome, of which nothing follows:
    /// among many nodes almost all names are such.
    fn is_heard_as_ever(&mut self, name: &NodeName) -> bool {
        let (now, joins_all) = (self.now, self.config.join == JoinScope::All);
        let member = self.members.get_mut(name);
        let is_up = |member: &&mut Member| matches!(member.state, State::Up(_));
        let as_ever = member.filter(is_up).filter(|m| m.is_allowed && joins_all);
        as_ever.map(|member| member.on_heard(now)).is_some()
    }

    /// A name that another node is connected to, or that our EPMD lists: as good as
    /// heard.
    fn learn(&mut self, name: &NodeName) {
        if *name == self.config.own || self.is_on_its_way(name) {
            return;
        }
        match self.reason_to_ignore(name) {
            Some(IgnoredName::NotAllowed) => return self.refuse(name, Member::on_seen),
            Some(IgnoredName::OtherHost) => return,
            None => {}
        }
        let known = self.members.get(name);
        if !known.is_some_and(|member| matches!(member.state, State::Up(_))) {
            self.admit(name);
        }
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        member.doubt_goodbye(self.now, self.config.expiry);
        member.on_seen(self.now);
        // Others may see for a while who has said goodbye.
        if member.is_idle() && !member.has_left() {
            member.pull_dial_forward(self.now);
            self.attend(name);
        }
    }

    /// Whether it is being dialled, or waits for that, and was seen a moment ago: while a
    /// thousand nodes come up, each of them tells of all others.
    fn is_on_its_way(&self, name: &NodeName) -> bool {
        let just_now = |at: Time| self.now.since(at) < JUST_NOW;
        let seen = |member: &&Member| member.last_seen_at.is_some_and(just_now);
        let member = self.members.get(name).filter(seen);
        member.is_some_and(|member| match member.state {
            State::Dialing(_) => true,
            _ => self.turns.has_waiting(name),
        })
    }

    fn on_heard_goodbye(&mut self, name: &NodeName) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if member.has_left() {
            return;
        }
        member.on_goodbye(self.now);
        self.turns.leave(name);
        self.events.push_back(Event::Goodbye(name.clone()));
        self.reschedule(name);
    }

    /// Shows a name that may not be dialled: a cluster that looks empty for want
    /// of a pattern must say so.
    fn refuse(&mut self, name: &NodeName, on_sign: fn(&mut Member, Time)) {
        self.admit(name);
        if let Some(member) = self.members.get_mut(name).filter(|m| m.is_idle()) {
            on_sign(member, self.now);
        }
        self.show_refused(name);
    }

    fn show_refused(&mut self, name: &NodeName) {
        let Some(member) = self.members.get_mut(name).filter(|m| m.is_idle()) else {
            return;
        };
        member.next_dial_at = None;
        let failure = Failure {
            kind: IgnoredName::NotAllowed.kind(),
            message: format!("cannot dial {name}: not allowed here (see --allow)"),
            retry: Retry::Slowly,
        };
        let last = member.failure.as_ref();
        if last.is_some_and(|last| last.kind == failure.kind) {
            // It may have been held, or have said goodbye, in between.
            member.state = member.state_after(&failure);
        } else {
            member.on_dial_failed(failure.clone());
            self.events.push_back(Event::DialFailed {
                name: name.clone(),
                attempts: 1,
                failure,
            });
        }
        self.reschedule(name);
    }

    fn reason_to_ignore(&self, name: &NodeName) -> Option<IgnoredName> {
        if self.config.join == JoinScope::Local && !self.is_local(name) {
            Some(IgnoredName::OtherHost)
        } else if !self.config.allow.allows_name(name) {
            Some(IgnoredName::NotAllowed)
        } else {
            None
        }
    }

    /// Makes sure that a heard name has its place, at another's cost if need be.
    fn admit(&mut self, name: &NodeName) {
        if !self.members.contains(name) {
            self.members.add(name, self.new_member(name));
            self.events.push_back(Event::Heard(name.clone()));
        }
        self.bound(name);
    }

    fn new_member(&self, name: &NodeName) -> Member {
        Member {
            is_configured: self.is_configured(name),
            ..Member::new(self.now)
        }
    }

    /// Puts a newcomer among those of whom the oldest makes room.
    fn bound(&mut self, name: &NodeName) {
        let is_newcomer = self.members.get(name).is_some_and(Member::is_newcomer);
        let evicted = is_newcomer.then(|| self.newcomers.heard(name)).flatten();
        if let Some(evicted) = evicted {
            self.drop_member(&evicted);
        }
    }

    fn on_link_up(&mut self, peer: Peer, link: LinkId) {
        if peer.name == self.config.own {
            return;
        }
        let name = peer.name.clone();
        let was_known = self.members.contains(&name);
        // What its last link told is out of date.
        self.stop_watching(&name);
        self.newcomers.forget_name(&name);
        self.turns.leave(&name);
        if !was_known {
            self.members.add(&name, self.new_member(&name));
        }
        let now = self.now;
        let Some(member) = self.members.get_mut(&name) else {
            return;
        };
        if let State::Dialing(dial) = member.state {
            self.turns.proven(dial, now);
            // It may be another dial than the one that this link came from.
            self.actions.push_back(Action::CancelDial(dial));
        }
        let known = member.peer.as_ref();
        let restarted = known.is_some_and(|old| old.creation != peer.creation);
        let other_life = member
            .hold
            .is_some_and(|hold| hold.creation != Some(peer.creation));
        let hidden = peer.hidden;
        member.is_allowed = self.config.allow.allows_name(&name);
        member.on_link_up(now, peer.clone(), link);
        self.events.push_back(Event::NodeUp { peer, restarted });
        if other_life {
            self.release(&name);
        }
        self.reschedule(&name);
        if !hidden {
            if !was_known {
                self.audit_all_soon();
            }
            self.start_watching(&name, link);
            self.announce_newcomer(&name);
        }
    }

    fn on_link_down(&mut self, name: &NodeName, link: LinkId, failure: Failure) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if member.state != State::Up(link) {
            return;
        }
        member.doubt_goodbye(self.now, self.config.expiry);
        self.events.push_back(Event::NodeDown {
            name: name.clone(),
            hidden: member.hidden,
            failure: failure.clone(),
        });
        let is_visitor = member.is_visitor();
        // Pairs are known by its place, which it may lose here.
        self.stop_watching(name);
        // A remote shell or another tool that came by itself and has left, or a
        // node that is not ours to dial.
        if is_visitor || self.reason_to_ignore(name).is_some() {
            self.drop_member(name);
            self.learn_if_configured(name);
        } else if let Some(member) = self.members.get_mut(name) {
            let retry = failure.retry;
            member.on_link_down(self.now, failure);
            let wait = own_retry(retry, member.attempts, &mut self.rng);
            member.dial_again_at(self.now + wait);
            self.reschedule(name);
        }
    }

    fn on_dial_failed(&mut self, name: &NodeName, dial: DialId, failure: Failure) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        if member.state != State::Dialing(dial) {
            return;
        }
        self.turns.ended(dial);
        let retry = failure.retry;
        member.on_dial_failed(failure.clone());
        let wait = own_retry(retry, member.attempts, &mut self.rng);
        if !member.is_newcomer() || !self.newcomers.is_crowded() {
            member.dial_again_at(self.now + wait);
        }
        if retry != Retry::NotOurs {
            self.events.push_back(Event::DialFailed {
                name: name.clone(),
                attempts: member.attempts,
                failure,
            });
        }
        self.reschedule(name);
        self.forget_unheard(name);
    }

    fn on_postgres_up(&mut self) {
        self.ears.hearing_since = None;
        self.announce_at = Some(self.now);
        self.on_timeout();
    }

    fn on_postgres_down(&mut self) {
        self.ears.hearing_since = None;
        self.announce_at = None;
    }

    fn on_timeout(&mut self) {
        if self.announce_at.is_some_and(|at| at <= self.now) {
            self.announce();
        }
        while let Some(name) = self.timers.pop_due(self.now) {
            self.attend(&name);
        }
        self.serve_holds();
        self.serve_audits();
    }

    fn on_shutdown(&mut self) {
        self.stopping = true;
        self.announce_at = None;
        for name in self.names() {
            self.timers.set(&name, None);
            self.turns.leave(&name);
            self.audits.set(&name, None);
            self.holds.set(&name, None);
        }
        if self.config.announce != AnnounceScope::None {
            let own = vec![self.config.own.clone()];
            self.actions.push_back(Action::Goodbye(own));
        }
    }

    fn announce(&mut self) {
        if self.config.announce != AnnounceScope::None {
            let names = self.names_to_announce();
            self.actions.push_back(Action::Announce(names));
        }
        let interval = self.config.announce_interval.max(Duration::from_millis(1));
        self.announce_at = Some(self.now + jittered(interval, &mut self.rng));
    }

    /// Dials a name whose time has come.
    fn attend(&mut self, name: &NodeName) {
        let Some(member) = self.members.get(name) else {
            return;
        };
        let due = member.next_dial_at.is_some_and(|at| at <= self.now);
        if due && member.is_idle() && !self.stopping {
            if member.is_newcomer() {
                self.turns.wait(name);
                self.await_turn(name);
            } else {
                self.dial(name);
            }
        }
        self.reschedule(name);
    }

    /// Its own time has come; now others decide.
    fn await_turn(&mut self, name: &NodeName) {
        if let Some(member) = self.members.get_mut(name) {
            member.next_dial_at = None;
        }
    }

    fn serve_turns(&mut self) {
        while let Some(Turn { name, give_up }) = self.turns.next(self.now) {
            if let Some((dial, given_up)) = give_up {
                self.give_up_dial(dial, &given_up);
            }
            self.dial(&name);
        }
    }

    fn dial(&mut self, name: &NodeName) {
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        self.last_dial += 1;
        let dial = DialId(self.last_dial);
        member.on_dial_started(self.now, dial);
        if member.is_newcomer() {
            self.turns.started(name, dial, self.now);
        }
        self.actions.push_back(Action::Dial {
            name: name.clone(),
            dial,
        });
    }

    /// Ends a dial that took too long while others wait; its name stays.
    fn give_up_dial(&mut self, dial: DialId, name: &NodeName) {
        self.actions.push_back(Action::CancelDial(dial));
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        member.on_dial_given_up();
        let wait = own_retry(Retry::Soon, member.attempts, &mut self.rng);
        if !member.is_newcomer() || !self.newcomers.is_crowded() {
            member.dial_again_at(self.now + wait);
        }
        self.reschedule(name);
    }

    /// Removes every trace of a name.
    fn drop_member(&mut self, name: &NodeName) {
        self.newcomers.forget_name(name);
        self.turns.leave(name);
        self.timers.set(name, None);
        self.audits.set(name, None);
        self.holds.set(name, None);
        let Some((place, removed)) = self.members.remove(name) else {
            return;
        };
        self.edges.forget(place);
        if let State::Dialing(dial) = removed.state {
            self.turns.ended(dial);
            self.actions.push_back(Action::CancelDial(dial));
        }
    }

    fn reschedule(&mut self, name: &NodeName) {
        let idle = self.members.get(name).filter(|member| member.is_idle());
        let dial_at = idle.and_then(|member| member.next_dial_at);
        self.timers.set(name, dial_at.filter(|_| !self.stopping));
    }

    fn names(&self) -> Vec<NodeName> {
        self.members.names().cloned().collect()
    }
}
