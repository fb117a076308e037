//! One process of ours: whom it is linked to, whom it monitors, who monitors it.
//!
//! Pure. It does what a BEAM process does that traps exits: signals that would end
//! another arrive as events, and only `kill` ends it. Sources: erl_dist_protocol,
//! "Link Protocol"; the reference manual, "Processes".

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use eetf::{Atom, Pid};
use pgmesh_name::NodeName;
use tokio::sync::oneshot;

use super::inbox::{Arrival, Inbox, OVERHEAD};
use super::raw;
use crate::MailboxEnded;
use crate::link::{ATOM_ABANDONED, Body, Control, LinkId, let_go, signals};
use crate::node::spawning::SpawnReply;
use crate::node::{ServerRef, own_reference};
use crate::terms::RawTerm;

const ATOM_NOCONNECTION: &[u8] = b"\x77\x0cnoconnection";
/// What a link or a node's monitor takes.
const LINK_COST: usize = 2 * OVERHEAD;

/// Something to send over a link.
pub(in crate::node) type Outgoing = (LinkId, Bytes);

pub(in crate::node) struct Process {
    /// Our pid, as it is written into signals.
    pub(super) pid: Vec<u8>,
    pub(super) name: Option<String>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) aliases: HashSet<u64>,
    links: HashMap<(LinkId, Pid), Linked>,
    monitors: HashMap<u64, Monitoring>,
    nodes: HashMap<NodeName, LinkId>,
    /// Requests that are not answered yet.
    spawning: HashMap<u64, Spawning>,
    /// By link and reference.
    monitored_by: HashMap<(LinkId, Vec<u8>), MonitoredBy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linked {
    Active,
    /// We have ended it, with this id, and have no acknowledgement yet.
    Unlinking(u64),
}

struct Monitoring {
    link: LinkId,
    target: ServerRef,
    reference: Vec<u8>,
}

/// A request for a process on another node.
pub(in crate::node) struct SpawnRequest<'a> {
    pub(in crate::node) number: u64,
    pub(in crate::node) reference: Vec<u8>,
    pub(in crate::node) leader: Vec<u8>,
    pub(in crate::node) function: &'a [u8],
    pub(in crate::node) options: &'a [u8],
    pub(in crate::node) args: &'a [u8],
}

struct Spawning {
    link: LinkId,
    reference: Vec<u8>,
    reply: oneshot::Sender<SpawnReply>,
}

struct MonitoredBy {
    from: Vec<u8>,
    /// Our pid or our name, as it was asked for.
    to: Vec<u8>,
}

impl MonitoredBy {
    fn cost(&self, reference: &[u8]) -> usize {
        OVERHEAD + self.from.len() + self.to.len() + reference.len()
    }
}

impl Process {
    pub(super) fn new(pid: Vec<u8>, name: Option<String>, limit: usize) -> Self {
        Self {
            pid,
            name,
            inbox: Arc::new(Inbox::new(limit)),
            aliases: HashSet::new(),
            links: HashMap::new(),
            monitors: HashMap::new(),
            nodes: HashMap::new(),
            spawning: HashMap::new(),
            monitored_by: HashMap::new(),
        }
    }

    /// Takes a signal that came over a link; returns what is owed at once.
    pub(super) fn signal(
        &mut self,
        link: LinkId,
        control: &Control<'_>,
        body: Body<'_>,
    ) -> Result<Option<Bytes>, MailboxEnded> {
        match *control {
            Control::Send { message, .. } | Control::RegSend { message, .. } => {
                let message = body.keep(message.bytes());
                self.inbox.push(Arrival::Message(message))?;
            }
            Control::Link { from, .. } => self.on_link(link, from)?,
            Control::Unlink { from, .. } => self.on_unlink(link, from),
            Control::UnlinkId { id, from, to } => {
                self.on_unlink(link, from);
                let ack = signals::unlink_id_ack(id.bytes(), to.bytes(), from.bytes());
                return Ok(Some(ack));
            }
            Control::UnlinkIdAck { id, from, .. } => self.on_unlink_ack(link, id, from),
            Control::Exit { from, reason, .. } => self.on_exit(link, from, reason)?,
            Control::Exit2 { reason, .. } if reason.is_atom("kill") => {
                return Err(MailboxEnded::Killed);
            }
            Control::Exit2 { from, reason, .. } => {
                if let Some(from) = from.pid() {
                    let reason = kept(reason);
                    self.inbox.push(Arrival::Exit { from, reason })?;
                }
            }
            Control::Monitor {
                from,
                to,
                reference,
            } => self.on_monitor(link, from, to, reference)?,
            Control::Demonitor { reference, .. } => self.on_demonitor(link, reference),
            Control::MonitorExit {
                reference, reason, ..
            } => self.on_monitor_exit(link, reference, reason)?,
            Control::SpawnReply {
                request,
                to,
                flags,
                result,
            } => {
                if !self.on_spawn_reply(link, request, flags, result)? && flags != 0 {
                    let frame = result.pid().map(|_| let_go(request, to, flags, result));
                    return Ok(frame);
                }
            }
            Control::Spawn(_) | Control::Other(_) => {}
        }
        Ok(None)
    }

    /// A link that is there already stays as it is: the peer has not seen yet that
    /// we have ended it.
    fn on_link(&mut self, link: LinkId, from: RawTerm<'_>) -> Result<(), MailboxEnded> {
        let Some(pid) = from.pid() else {
            return Ok(());
        };
        if !self.links.contains_key(&(link, pid.clone())) {
            self.inbox.hold(LINK_COST)?;
            self.links.insert((link, pid), Linked::Active);
        }
        Ok(())
    }

    fn on_unlink(&mut self, link: LinkId, from: RawTerm<'_>) {
        if let Some(pid) = from.pid() {
            self.drop_link(&(link, pid), Linked::Active);
        }
    }

    fn on_unlink_ack(&mut self, link: LinkId, id: RawTerm<'_>, from: RawTerm<'_>) {
        if let (Some(id), Some(pid)) = (id.unsigned(), from.pid()) {
            self.drop_link(&(link, pid), Linked::Unlinking(id));
        }
    }

    /// Forgets a link if it is in this state.
    fn drop_link(&mut self, key: &(LinkId, Pid), state: Linked) -> bool {
        let is_so = self.links.get(key) == Some(&state);
        if is_so {
            self.links.remove(key);
            self.inbox.release(LINK_COST);
        }
        is_so
    }

    fn on_exit(
        &mut self,
        link: LinkId,
        from: RawTerm<'_>,
        reason: RawTerm<'_>,
    ) -> Result<(), MailboxEnded> {
        let Some(from) = from.pid() else {
            return Ok(());
        };
        let Some(state) = self.links.remove(&(link, from.clone())) else {
            return Ok(());
        };
        self.inbox.release(LINK_COST);
        match state {
            Linked::Active => {
                let reason = kept(reason);
                self.inbox.push(Arrival::LinkBroken { from, reason })
            }
            Linked::Unlinking(_) => Ok(()),
        }
    }

    fn on_monitor(
        &mut self,
        link: LinkId,
        from: RawTerm<'_>,
        to: RawTerm<'_>,
        reference: RawTerm<'_>,
    ) -> Result<(), MailboxEnded> {
        let by = MonitoredBy {
            from: from.bytes().to_vec(),
            to: to.bytes().to_vec(),
        };
        // A reference names one monitor: a second one takes the first one's place.
        self.on_demonitor(link, reference);
        let reference = reference.bytes().to_vec();
        self.inbox.hold(by.cost(&reference))?;
        self.monitored_by.insert((link, reference), by);
        Ok(())
    }

    fn on_demonitor(&mut self, link: LinkId, reference: RawTerm<'_>) {
        let key = (link, reference.bytes().to_vec());
        if let Some(by) = self.monitored_by.remove(&key) {
            self.inbox.release(by.cost(&key.1));
        }
    }

    fn on_monitor_exit(
        &mut self,
        link: LinkId,
        reference: RawTerm<'_>,
        reason: RawTerm<'_>,
    ) -> Result<(), MailboxEnded> {
        let Some((_, number)) = own_reference::life_and_number(reference.bytes()) else {
            return Ok(());
        };
        let is_this = |one: &Monitoring| one.link == link && one.reference == reference.bytes();
        if !self.monitors.get(&number).is_some_and(is_this) {
            return Ok(());
        }
        self.down(number, kept(reason))
    }

    /// `false` if nobody waits for it.
    fn on_spawn_reply(
        &mut self,
        link: LinkId,
        request: RawTerm<'_>,
        flags: u8,
        result: RawTerm<'_>,
    ) -> Result<bool, MailboxEnded> {
        let Some((_, number)) = own_reference::life_and_number(request.bytes()) else {
            return Ok(false);
        };
        let is_this = |one: &Spawning| one.link == link && one.reference == request.bytes();
        let spawning = match self.spawning.entry(number) {
            Entry::Occupied(waiting) if is_this(waiting.get()) => waiting.remove(),
            _ => return Ok(false),
        };
        self.inbox.release(LINK_COST);
        let Some(pid) = result.pid() else {
            let reason = result.atom().unwrap_or("unreadable").to_owned();
            return Ok(spawning.reply.send(Err(reason)).is_ok());
        };
        if spawning.reply.is_closed() {
            return Ok(false);
        }
        if flags & signals::LINKED != 0 {
            let before = self.links.insert((link, pid.clone()), Linked::Active);
            if before.is_none() {
                self.inbox.hold(LINK_COST)?;
            }
        }
        if flags & signals::MONITORED != 0 {
            self.inbox.hold(LINK_COST)?;
            let monitoring = Monitoring {
                link,
                target: ServerRef::Pid(pid.clone()),
                reference: spawning.reference,
            };
            self.monitors.insert(number, monitoring);
        }
        // Its caller may be gone by now: then it abandons the number.
        let _ = spawning.reply.send(Ok(pid));
        Ok(true)
    }

    fn down(&mut self, monitor: u64, reason: Bytes) -> Result<(), MailboxEnded> {
        let Some(monitoring) = self.monitors.remove(&monitor) else {
            return Ok(());
        };
        self.inbox.release(LINK_COST);
        let target = monitoring.target;
        self.inbox.push(Arrival::Down {
            monitor,
            target,
            reason,
        })
    }

    /// Links to a process; nothing is to be sent if it is linked already.
    pub(in crate::node) fn link(
        &mut self,
        link: LinkId,
        pid: &Pid,
    ) -> Result<Option<Bytes>, MailboxEnded> {
        let before = self.links.insert((link, pid.clone()), Linked::Active);
        if before.is_none() {
            self.inbox.hold(LINK_COST)?;
        }
        let frame = signals::link(&self.pid, &raw(pid.clone()));
        Ok((before != Some(Linked::Active)).then_some(frame))
    }

    /// Ends the link to a process. From nodes that know no `id` no acknowledgement
    /// comes.
    pub(in crate::node) fn unlink(
        &mut self,
        pid: &Pid,
        id: impl FnOnce(LinkId) -> Option<u64>,
    ) -> Option<Outgoing> {
        let broken =
            |arrival: &Arrival| matches!(arrival, Arrival::LinkBroken { from, .. } if from == pid);
        self.inbox.flush(broken);
        let key = self.active_link(pid)?;
        let (link, to) = (key.0, raw(pid.clone()));
        let frame = match id(link) {
            Some(id) => {
                self.links.insert(key, Linked::Unlinking(id));
                signals::unlink_id(id, &self.pid, &to)
            }
            None => {
                self.drop_link(&key, Linked::Active);
                signals::unlink(&self.pid, &to)
            }
        };
        Some((link, frame))
    }

    /// Monitors a process, under a reference of ours with this number.
    pub(in crate::node) fn monitor(
        &mut self,
        link: LinkId,
        target: ServerRef,
        (number, reference): (u64, Vec<u8>),
    ) -> Result<Bytes, MailboxEnded> {
        self.inbox.hold(LINK_COST)?;
        let frame = signals::monitor(&self.pid, &identifier(&target), &reference);
        let monitoring = Monitoring {
            link,
            target,
            reference,
        };
        self.monitors.insert(number, monitoring);
        Ok(frame)
    }

    /// Asks for a process; the answer goes to `reply`.
    pub(in crate::node) fn spawn(
        &mut self,
        link: LinkId,
        request: SpawnRequest<'_>,
        reply: oneshot::Sender<SpawnReply>,
    ) -> Result<Bytes, MailboxEnded> {
        self.inbox.hold(LINK_COST)?;
        let frame = signals::spawn_request(
            &request.reference,
            &self.pid,
            &request.leader,
            request.function,
            request.options,
            request.args,
        );
        let spawning = Spawning {
            link,
            reference: request.reference,
            reply,
        };
        self.spawning.insert(request.number, spawning);
        Ok(frame)
    }

    /// Nobody waits for the answer to a request: a process that it brings is let go.
    /// One that has been brought is let go at once.
    pub(in crate::node) fn abandon(&mut self, number: u64, pid: Option<&Pid>) -> Vec<Outgoing> {
        if self.spawning.remove(&number).is_some() {
            self.inbox.release(LINK_COST);
        }
        let ended = pid.and_then(|pid| self.end_linked(pid));
        ended.into_iter().chain(self.demonitor(number)).collect()
    }

    /// The link that stands to a process, by which it is known.
    fn active_link(&self, pid: &Pid) -> Option<(LinkId, Pid)> {
        let is_it = |(key, state): (&(LinkId, Pid), &Linked)| {
            (key.1 == *pid && *state == Linked::Active).then(|| key.clone())
        };
        self.links.iter().find_map(is_it)
    }

    /// Ends a process that we are linked to.
    fn end_linked(&mut self, pid: &Pid) -> Option<Outgoing> {
        let key = self.active_link(pid)?;
        self.drop_link(&key, Linked::Active);
        let frame = signals::exit(&self.pid, &raw(key.1), ATOM_ABANDONED);
        Some((key.0, frame))
    }

    /// Ends a monitor, and takes out its event if that has come.
    pub(in crate::node) fn demonitor(&mut self, number: u64) -> Option<Outgoing> {
        let Some(one) = self.monitors.remove(&number) else {
            let is_its = |arrival: &Arrival| matches!(arrival, Arrival::Down { monitor, .. } if *monitor == number);
            self.inbox.flush(is_its);
            return None;
        };
        self.inbox.release(LINK_COST);
        let to = identifier(&one.target);
        Some((one.link, signals::demonitor(&self.pid, &to, &one.reference)))
    }

    pub(in crate::node) fn monitor_node(
        &mut self,
        node: NodeName,
        link: LinkId,
    ) -> Result<(), MailboxEnded> {
        if self.nodes.insert(node, link).is_none() {
            self.inbox.hold(LINK_COST)?;
        }
        Ok(())
    }

    pub(in crate::node) fn demonitor_node(&mut self, node: &NodeName) {
        self.inbox
            .flush(|arrival| matches!(arrival, Arrival::NodeDown(name) if name == node));
        if self.nodes.remove(node).is_some() {
            self.inbox.release(LINK_COST);
        }
    }

    /// Everything over this link is gone: as if all at its other end had ended.
    pub(super) fn link_lost(&mut self, link: LinkId) -> Result<(), MailboxEnded> {
        let reason = Bytes::from_static(ATOM_NOCONNECTION);
        for ((_, from), state) in taken(&mut self.links, |(of, _), _| *of == link) {
            self.inbox.release(LINK_COST);
            if state == Linked::Active {
                let reason = reason.clone();
                self.inbox.push(Arrival::LinkBroken { from, reason })?;
            }
        }
        let monitors = self.monitors.iter().filter(|(_, one)| one.link == link);
        let numbers: Vec<_> = monitors.map(|(number, _)| *number).collect();
        for number in numbers {
            self.down(number, reason.clone())?;
        }
        for _ in taken(&mut self.spawning, |_, one| one.link == link) {
            self.inbox.release(LINK_COST);
        }
        for (key, by) in taken(&mut self.monitored_by, |(of, _), _| *of == link) {
            self.inbox.release(by.cost(&key.1));
        }
        for (node, _) in taken(&mut self.nodes, |_, of| *of == link) {
            self.inbox.release(LINK_COST);
            self.inbox.push(Arrival::NodeDown(node))?;
        }
        Ok(())
    }

    /// What others hear of the end of this process.
    pub(super) fn farewell(self, reason: &[u8]) -> Vec<Outgoing> {
        let mut farewell = Vec::new();
        for ((link, pid), state) in self.links {
            if state == Linked::Active {
                farewell.push((link, signals::exit(&self.pid, &raw(pid), reason)));
            }
        }
        for ((link, reference), by) in self.monitored_by {
            let frame = signals::monitor_exit(&by.to, &by.from, &reference, reason);
            farewell.push((link, frame));
        }
        for one in self.monitors.into_values() {
            let to = identifier(&one.target);
            let frame = signals::demonitor(&self.pid, &to, &one.reference);
            farewell.push((one.link, frame));
        }
        farewell
    }
}

/// Takes out what a test finds.
fn taken<K: Clone + Eq + std::hash::Hash, V>(
    map: &mut HashMap<K, V>,
    mut is_wanted: impl FnMut(&K, &V) -> bool,
) -> Vec<(K, V)> {
    map.extract_if(|key, value| is_wanted(key, value)).collect()
}

/// A copy, so that what waits pins nothing larger than itself.
fn kept(term: RawTerm<'_>) -> Bytes {
    Bytes::copy_from_slice(term.bytes())
}

/// How a process is named in signals to its node.
pub(in crate::node) fn identifier(target: &ServerRef) -> Vec<u8> {
    match target {
        ServerRef::Pid(pid) => raw(pid.clone()),
        ServerRef::Name { name, .. } => raw(Atom::from(name.as_str())),
    }
}
