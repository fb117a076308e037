//! Processes that a mailbox begins on other nodes.
//!
//! Source: erl_dist_protocol, "Protocol Extensions": `SPAWN_REQUEST` and `SPAWN_REPLY`.

use std::sync::Arc;

use eetf::{Atom, FixInteger, Pid, Reference};
use pgmesh_name::NodeName;
use tokio::sync::oneshot;

use super::abstract_code::{atom, list, tuple};
use super::destination::Place;
use super::processes::{SpawnRequest, raw};
use super::sending::{Reached, encoded};
use super::{Inner, Mailbox, own_pid, own_reference};
use crate::terms::{Term, TermError};
use crate::{SendError, SpawnError};

/// What a node said to a request: the pid, or why there is none.
pub(super) type SpawnReply = Result<Pid, String>;

/// How the mailbox is to be bound to the new process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bond {
    None,
    Link,
    Monitor,
}

impl Mailbox {
    /// Begins a process on another node, as `spawn/4` does; returns its pid. Dials the
    /// node if there is no link to it. On our own node it is one of what is served
    /// ([`Node::serve`](crate::Node::serve)).
    ///
    /// That the function is there is not asked: a process whose function is not ends
    /// with `undef`. What it prints goes nowhere.
    ///
    /// ```no_run
    /// # async fn begin(mailbox: pgmesh_dist::Mailbox) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmesh_dist::Received;
    /// use pgmesh_dist::terms::{Atom, FixInteger, Term};
    ///
    /// let node = "app@127.0.0.1".parse()?;
    /// let seconds = Term::from(FixInteger::from(1000));
    /// let (pid, monitor) = mailbox.spawn_monitor(&node, "timer", "sleep", vec![seconds]).await?;
    /// mailbox.send_exit(&pid, &Term::from(Atom::from("enough"))).await?;
    /// if let Received::Down { monitor: fired, reason, .. } = mailbox.recv().await? {
    ///     assert_eq!(fired, monitor);
    ///     println!("{pid} has ended: {reason}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, takes no spawn requests or refuses this one, an
    /// argument is none that can be sent, or the mailbox has ended. It waits as long as
    /// the link lasts: put a time limit around it.
    ///
    /// Cancel safe, but the process may begin all the same.
    pub async fn spawn(
        &self,
        node: &NodeName,
        module: &str,
        function: &str,
        args: Vec<Term>,
    ) -> Result<Pid, SpawnError> {
        let (pid, _) = self
            .request(node, (module, function), args, Bond::None)
            .await?;
        Ok(pid)
    }

    /// As [`spawn`](Self::spawn), and links the two, as `spawn_link/4` does: nothing
    /// comes between.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// Cancel safe: dropped before the node's answer, it makes the process end, too.
    pub async fn spawn_link(
        &self,
        node: &NodeName,
        module: &str,
        function: &str,
        args: Vec<Term>,
    ) -> Result<Pid, SpawnError> {
        let (pid, _) = self
            .request(node, (module, function), args, Bond::Link)
            .await?;
        Ok(pid)
    }

    /// As [`spawn`](Self::spawn), and monitors the process, as `spawn_monitor/4` does:
    /// its end is [`Received::Down`](crate::Received::Down) with the reference that this
    /// returns.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// Cancel safe, but the process may begin all the same; it is not monitored then.
    pub async fn spawn_monitor(
        &self,
        node: &NodeName,
        module: &str,
        function: &str,
        args: Vec<Term>,
    ) -> Result<(Pid, Reference), SpawnError> {
        self.request(node, (module, function), args, Bond::Monitor)
            .await
    }

    async fn request(
        &self,
        node: &NodeName,
        (module, function): (&str, &str),
        args: Vec<Term>,
        bond: Bond,
    ) -> Result<(Pid, Reference), SpawnError> {
        let arity = i32::try_from(args.len()).map_err(|_| TermError::TooMany)?;
        let arity = Term::from(FixInteger::from(arity));
        let function = encoded(&tuple(vec![atom(module), atom(function), arity]))?;
        let args = encoded(&list(args))?;
        let inner = &self.node().inner;
        let place = inner.place_of_node(node.as_str())?;
        if let Reached::Over(sender) = inner.reach(&place).await?
            && !sender.spawns
        {
            return Err(SpawnError::NotSupported(node.clone()));
        }
        let number = inner.next_id();
        let mut guard = Abandon {
            mailbox: self,
            number: Some(number),
            reply: self.post_request(&place, number, &function, &args, bond)?,
        };
        // Not kept while it waits.
        drop((function, args));
        match (&mut guard.reply).await {
            Ok(Ok(pid)) => Ok((pid, guard.keep())),
            Ok(Err(reason)) => {
                let peer = node.clone();
                Err(SpawnError::Refused { peer, reason })
            }
            Err(_) => {
                self.living()?;
                Err(SpawnError::LinkLost(node.clone()))
            }
        }
    }

    fn post_request(
        &self,
        place: &Place,
        number: u64,
        function: &[u8],
        args: &[u8],
        bond: Bond,
    ) -> Result<oneshot::Receiver<SpawnReply>, SendError> {
        let (reply, receiver) = oneshot::channel();
        let request = SpawnRequest {
            number,
            reference: raw(self.reference(number)),
            leader: self.node().inner.no_leader(),
            function,
            options: &raw(match bond {
                Bond::None => list(vec![]),
                Bond::Link => list(vec![atom("link")]),
                Bond::Monitor => list(vec![atom("monitor")]),
            }),
            args,
        };
        self.change(place, |link, process| {
            process.spawn(link, request, reply).map(Some)
        })?;
        Ok(receiver)
    }
}

impl Inner {
    /// Takes what others print, and drops it.
    fn no_leader(self: &Arc<Self>) -> Vec<u8> {
        match self.identity.get() {
            Some(identity) => raw(own_pid::pid(identity, own_pid::CALLER)),
            None => raw(Atom::from("undefined")),
        }
    }

    /// A reference that stands for nothing else.
    pub(super) fn make_reference(&self) -> Option<Reference> {
        let identity = self.identity.get()?;
        Some(own_reference::reference(identity, self.next_id()))
    }
}

/// Forgets a request whose caller no longer waits.
struct Abandon<'a> {
    mailbox: &'a Mailbox,
    number: Option<u64>,
    reply: oneshot::Receiver<SpawnReply>,
}

impl Abandon<'_> {
    /// It has been answered: returns its reference.
    fn keep(mut self) -> Reference {
        let number = self.number.take().unwrap_or_default();
        self.mailbox.reference(number)
    }
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.mailbox.abandon(number, &mut self.reply);
        }
    }
}
