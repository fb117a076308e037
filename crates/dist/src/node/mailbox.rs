//! Processes of ours: what they receive, send, monitor and are linked to.
//!
//! A mailbox is to other nodes what a process is that traps exits. Sources: the
//! reference manual, "Processes"; the module `erlang`; erl_dist_protocol.

use std::fmt;
use std::sync::Arc;

use eetf::{Atom, Pid, Reference};
use pgmesh_name::NodeName;
use tokio::sync::oneshot;

use super::destination::{Destination, Place, ServerRef};
use super::message::Message;
use super::processes::{Arrival, Inbox, Opened, Process, raw};
use super::sending::{check, encoded};
use super::spawning::SpawnReply;
use super::{Inner, Links, Node, own_pid, own_reference};
use crate::link::{LinkId, signals};
use crate::terms::{Payload, RawTerm, Term, TermError};
use crate::{MailboxEnded, RegisterError, SendError};

const ATOM_NORMAL: &[u8] = b"\x77\x06normal";

/// A process of ours: a pid, perhaps a registered name, and what is sent to it.
///
/// It traps exits: signals that would end another process arrive as
/// [`Received`], and only `kill` ends it. Dropped, it ends as a process does
/// whose function returns: links and monitors of it fire with the reason `normal`,
/// and its name is free. To several tasks it may be lent, or given in an `Arc`.
///
/// What waits in it is bounded by [`NodeConfig::max_mailbox`](crate::NodeConfig); a
/// mailbox that grows beyond is killed, and says so to all who are linked to it or
/// monitor it. Nothing is ever left out in silence, and nobody waits for it.
pub struct Mailbox {
    node: Node,
    number: u32,
    pid: Pid,
    name: Option<String>,
    inbox: Arc<Inbox>,
}

/// What a [`Mailbox`] receives. Signals from one process come in the order in which
/// it sent them.
///
/// Reasons that cannot be read are the atom `unreadable`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Received {
    /// A message.
    Message(Message),
    /// An exit signal that a process sent on purpose (`exit/2`).
    Exit {
        /// Who sent it.
        from: Pid,
        /// With which reason.
        reason: Term,
    },
    /// A process that was linked to the mailbox has ended, or the link to its node
    /// has (`noconnection`), or there was none (`noproc`).
    LinkBroken {
        /// Which.
        from: Pid,
        /// Why.
        reason: Term,
    },
    /// A monitored process has ended, or the link to its node has
    /// (`noconnection`), or there was none (`noproc`). It comes once.
    Down {
        /// What [`Mailbox::monitor`] returned.
        monitor: Reference,
        /// What was monitored.
        target: ServerRef,
        /// Why.
        reason: Term,
    },
    /// The link to a monitored node has ended. It comes once.
    NodeDown(NodeName),
}

impl Node {
    /// Opens a mailbox without a name.
    ///
    /// # Errors
    ///
    /// When a [`dynamic`](Self::dynamic) node has no name yet, or the node was
    /// stopped.
    pub fn mailbox(&self) -> Result<Mailbox, RegisterError> {
        self.open_mailbox(None, self.inner.config.max_mailbox)
    }

    /// One that may hold so many bytes.
    pub(super) fn bounded_mailbox(&self, limit: usize) -> Result<Mailbox, RegisterError> {
        self.open_mailbox(None, limit)
    }

    /// Opens a mailbox that others reach as `{name, node}`, too.
    ///
    /// # Errors
    ///
    /// When another mailbox has the name or it is none that a process can have; and
    /// as [`mailbox`](Self::mailbox).
    pub fn register(&self, name: &str) -> Result<Mailbox, RegisterError> {
        self.open_mailbox(Some(name), self.inner.config.max_mailbox)
    }

    fn open_mailbox(&self, name: Option<&str>, limit: usize) -> Result<Mailbox, RegisterError> {
        let Opened { number, pid, inbox } = self.inner.open_process(name, limit)?;
        Ok(Mailbox {
            node: self.clone(),
            number,
            pid,
            name: name.map(str::to_owned),
            inbox,
        })
    }

    /// Sends a message from no process in particular, as a reply to a pid that came
    /// in a message; otherwise as [`Mailbox::send`].
    ///
    /// # Errors
    ///
    /// As [`Mailbox::send`].
    ///
    /// Cancel safe: dropped before it returns, it has sent nothing.
    pub async fn send<'a>(
        &self,
        to: impl Into<Destination>,
        message: impl Into<Payload<'a>>,
    ) -> Result<(), SendError> {
        let (to, message) = (to.into(), message.into());
        self.inner.send(own_pid::CALLER, &to, &message).await
    }
}

impl Inner {
    pub(super) fn open_process(
        &self,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Opened, RegisterError> {
        let identity = self.identity.get().ok_or(RegisterError::NoNodeName)?;
        let mut links = self.links();
        // Under the lock: what `stop` did not see must not live behind it.
        if self.stopped.is_cancelled() {
            return Err(RegisterError::NodeStopped);
        }
        links.processes.open(identity, name, limit)
    }
}

impl Mailbox {
    /// The pid, to be sent to others.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// The registered name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The node that it lives on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Waits for what arrives next.
    ///
    /// # Errors
    ///
    /// When the mailbox has ended. What waited in it is gone then.
    ///
    /// Cancel safe: nothing is lost. Of several callers each gets something else.
    pub async fn recv(&self) -> Result<Received, MailboxEnded> {
        let arrival = self.next().await?;
        Ok(self.received(arrival))
    }

    /// What arrives next, as its bytes.
    pub(super) async fn next(&self) -> Result<Arrival, MailboxEnded> {
        self.inbox.pop().await
    }

    fn received(&self, arrival: Arrival) -> Received {
        match arrival {
            Arrival::Message(bytes) => Received::Message(Message::new(bytes)),
            Arrival::Exit { from, reason } => Received::Exit {
                from,
                reason: reason_of(&reason),
            },
            Arrival::LinkBroken { from, reason } => Received::LinkBroken {
                from,
                reason: reason_of(&reason),
            },
            Arrival::Down {
                monitor,
                target,
                reason,
            } => Received::Down {
                monitor: self.reference(monitor),
                target,
                reason: reason_of(&reason),
            },
            Arrival::NodeDown(name) => Received::NodeDown(name),
        }
    }

    /// Sends a message: a `&Term`, an [`Encoded`](crate::terms::Encoded) term, or `Bytes`,
    /// which are sent as a binary.
    ///
    /// Dials the receiver's node if there is no link to it, hidden or not, and waits
    /// while much waits to be sent there already. As in Erlang, nobody says whether
    /// the receiver lives or the message arrives; what does arrive from one process
    /// at another comes in the order in which it was sent.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, the term is none that can be sent, or the
    /// mailbox has ended.
    ///
    /// Cancel safe: dropped before it returns, it has sent nothing.
    pub async fn send<'a>(
        &self,
        to: impl Into<Destination>,
        message: impl Into<Payload<'a>>,
    ) -> Result<(), SendError> {
        self.living()?;
        let (to, message) = (to.into(), message.into());
        self.node.inner.send(self.number, &to, &message).await
    }

    /// Monitors a process: [`Received::Down`] tells its end, once. Dials its node if
    /// there is no link to it.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, or the mailbox has ended. A process that is
    /// not there is no error, but [`Received::Down`] with `noproc`.
    ///
    /// Cancel safe: dropped before it returns, it monitors nothing.
    pub async fn monitor(&self, target: impl Into<ServerRef>) -> Result<Reference, SendError> {
        let target = target.into();
        check(&target)?;
        let inner = &self.node.inner;
        let place = inner.place_of(&target)?;
        inner.reach(&place).await?;
        let number = inner.next_id();
        let reference = self.reference(number);
        let numbered = (number, raw(reference.clone()));
        self.change(&place, |link, process| {
            process.monitor(link, target, numbered).map(Some)
        })?;
        Ok(reference)
    }

    /// Ends a monitor. Its [`Received::Down`] does not come after this; `false` if
    /// it came before, or there is no such monitor.
    pub fn demonitor(&self, monitor: &Reference) -> bool {
        let Some(number) = self.number_of(monitor) else {
            return false;
        };
        let mut links = self.node.inner.links();
        let process = links.processes.get_mut(self.number);
        let outgoing = process.and_then(|process| process.demonitor(number));
        let was_there = outgoing.is_some();
        links.post(outgoing);
        was_there
    }

    /// Monitors the link to a node: [`Received::NodeDown`] tells its end, once.
    /// Dials the node if there is no link to it. Twice is once.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, or the mailbox has ended.
    ///
    /// Cancel safe: dropped before it returns, it monitors nothing.
    pub async fn monitor_node(&self, node: &NodeName) -> Result<(), SendError> {
        let inner = &self.node.inner;
        let place = inner.place_of_node(node.as_str())?;
        inner.reach(&place).await?;
        self.change(&place, |link, process| {
            process.monitor_node(node.clone(), link).map(|()| None)
        })
    }

    /// Ends the monitor of a node. [`Received::NodeDown`] does not come after this.
    pub fn demonitor_node(&self, node: &NodeName) {
        let mut links = self.node.inner.links();
        if let Some(process) = links.processes.get_mut(self.number) {
            process.demonitor_node(node);
        }
    }

    /// Links the mailbox and a process: when one ends, the other gets an exit
    /// signal, which is [`Received::LinkBroken`] here. Twice is once.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, or the mailbox has ended. A process that is
    /// not there is no error, but [`Received::LinkBroken`] with `noproc`.
    ///
    /// Cancel safe: dropped before it returns, it has linked nothing.
    pub async fn link(&self, pid: &Pid) -> Result<(), SendError> {
        self.living()?;
        if *pid == self.pid {
            return Ok(());
        }
        let inner = &self.node.inner;
        let place = inner.place_of(&pid.into())?;
        inner.reach(&place).await?;
        self.change(&place, |link, process| process.link(link, pid))
    }

    /// Ends the link to a process, if there is one. [`Received::LinkBroken`] does not
    /// come after this.
    pub fn unlink(&self, pid: &Pid) {
        let inner = &self.node.inner;
        let mut links = inner.links();
        let Links {
            processes, senders, ..
        } = &mut *links;
        let id = |link: LinkId| {
            let knows_ids = senders.get(&link).is_none_or(|sender| sender.unlink_ids);
            knows_ids.then(|| inner.next_id())
        };
        let process = processes.get_mut(self.number);
        let outgoing = process.and_then(|process| process.unlink(pid, id));
        links.post(outgoing);
    }

    /// Sends an exit signal to a process (`exit/2`): it ends, unless it traps exits
    /// or the reason is `normal`. With the reason `kill` it ends in any case.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// Cancel safe: dropped before it returns, it has sent nothing.
    pub async fn send_exit(&self, to: &Pid, reason: &Term) -> Result<(), SendError> {
        self.living()?;
        let reason = encoded(reason)?;
        let inner = &self.node.inner;
        let place = inner.place_of(&to.into())?;
        let reached = inner.reach(&place).await?;
        let frame = signals::exit2(&raw(self.pid.clone()), &raw(to.clone()), &reason);
        inner.post_to(reached, frame);
        Ok(())
    }

    /// Makes an alias: a reference that others can send to until it is ended, or
    /// the mailbox is. For answers that shall not come late.
    pub fn alias(&self) -> Reference {
        let number = self.node.inner.next_id();
        let mut links = self.node.inner.links();
        links.processes.add_alias(self.number, number);
        self.reference(number)
    }

    /// Ends an alias: what is sent to it from now on is dropped. `false` if it is
    /// none of this mailbox.
    pub fn unalias(&self, alias: &Reference) -> bool {
        let Some(number) = self.number_of(alias) else {
            return false;
        };
        let mut links = self.node.inner.links();
        links.processes.remove_alias(self.number, number)
    }

    /// Ends the mailbox with a reason of its own. Dropping it is the reason
    /// `normal`.
    ///
    /// # Errors
    ///
    /// When the reason is no term that can be sent; then the reason is `normal`.
    pub fn exit(self, reason: &Term) -> Result<(), TermError> {
        self.end(&encoded(reason)?);
        Ok(())
    }

    /// Ends it, unless it has ended.
    pub(super) fn end(&self, reason: &[u8]) {
        let mut links = self.node.inner.links();
        links.end_process(self.number, reason);
    }

    /// Nobody waits for this spawn request any more, nor for the process that it has
    /// brought: it may have been answered, and nobody has seen it.
    pub(super) fn abandon(&self, number: u64, reply: &mut oneshot::Receiver<SpawnReply>) {
        let mut links = self.node.inner.links();
        // Under the lock, as answers are given: one is seen here, or comes to nobody.
        let pid = reply.try_recv().ok().and_then(Result::ok);
        let process = links.processes.get_mut(self.number);
        let outgoing = process.map(|process| process.abandon(number, pid.as_ref()));
        links.post(outgoing.into_iter().flatten());
    }

    pub(super) fn living(&self) -> Result<(), MailboxEnded> {
        self.inbox.ended().map_or(Ok(()), Err)
    }

    pub(super) fn reference(&self, number: u64) -> Reference {
        Reference {
            creation: self.pid.creation,
            node: self.pid.node.clone(),
            id: own_reference::words(number).into(),
        }
    }

    fn number_of(&self, reference: &Reference) -> Option<u64> {
        own_reference::number(&raw(reference.clone()), self.pid.creation)
    }

    /// Changes what the mailbox has to do with a node that was just reached, and
    /// sends what follows: together, so that the link's end meets both or none.
    pub(super) fn change(
        &self,
        place: &Place,
        change: impl FnOnce(LinkId, &mut Process) -> Result<Option<bytes::Bytes>, MailboxEnded>,
    ) -> Result<(), SendError> {
        let mut links = self.node.inner.links();
        let link = links.link_to(place)?;
        self.living()?;
        let Some(process) = links.processes.get_mut(self.number) else {
            return Err(MailboxEnded::Closed.into());
        };
        match change(link, process) {
            Ok(frame) => links.post(frame.map(|frame| (link, frame))),
            Err(ended) => {
                links.kill_process(self.number, ended);
                return Err(ended.into());
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("pid", &self.pid)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.end(ATOM_NORMAL);
    }
}

fn reason_of(bytes: &[u8]) -> Term {
    let unreadable = |_| Term::from(Atom::from("unreadable"));
    RawTerm::unscanned(bytes)
        .decode()
        .unwrap_or_else(unreadable)
}
