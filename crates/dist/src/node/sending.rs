//! What a process sends: the way to the receiver's node, and the frame.

use std::sync::Arc;

use bytes::Bytes;
use eetf::Atom;
use pgmesh_name::NodeName;

use super::destination::{Destination, Place, ServerRef};
use super::processes::raw;
use super::routing::LOCAL;
use super::{Identity, Inner, Links, Node, own_pid};
use crate::SendError;
use crate::link::{LinkId, LinkSender, signals};
use crate::terms::{self, Term, TermError};

/// What a frame's length can say, without its control message.
const MAX_MESSAGE: usize = (u32::MAX - 65_536) as usize;

/// A way to a node, once there is one.
pub(super) enum Reached {
    Here,
    Over(LinkSender),
}

impl Links {
    pub(super) fn link_to(&self, place: &Place) -> Result<LinkId, SendError> {
        match place {
            Place::Here => Ok(LOCAL),
            Place::At(node) => {
                let link = self.table.link(node);
                link.ok_or_else(|| SendError::LinkLost(node.clone()))
            }
        }
    }
}

impl Inner {
    /// Waits until there is a link to a node, and room in it.
    pub(super) async fn reach(self: &Arc<Self>, place: &Place) -> Result<Reached, SendError> {
        let Place::At(peer) = place else {
            return Ok(Reached::Here);
        };
        let sender = match self.sender_to(peer) {
            Some(sender) => sender,
            None => {
                let inner = self.clone();
                Node { inner }.connect(peer, true).await?;
                let lost = || SendError::LinkLost(peer.clone());
                self.sender_to(peer).ok_or_else(lost)?
            }
        };
        sender.room().await;
        Ok(Reached::Over(sender))
    }

    fn sender_to(&self, peer: &NodeName) -> Option<LinkSender> {
        let links = self.links();
        let link = links.table.link(peer)?;
        links.senders.get(&link).cloned()
    }

    pub(super) fn post_to(&self, reached: Reached, frame: Bytes) {
        match reached {
            Reached::Here => self.links().post([(LOCAL, frame)]),
            Reached::Over(sender) => sender.send(frame),
        }
    }

    /// Where a message goes to, if that can be said in one.
    pub(super) fn place_for(&self, to: &Destination) -> Result<Place, SendError> {
        match to {
            Destination::Process(process) => {
                check(process)?;
                self.place_of(process)
            }
            Destination::Alias(alias) => {
                terms::check(&Term::from(alias.clone()))?;
                self.place_of_node(&alias.node.name)
            }
        }
    }

    pub(super) async fn send(
        self: &Arc<Self>,
        from: u32,
        to: Destination,
        message: &Term,
    ) -> Result<(), SendError> {
        self.send_encoded(from, to, &encoded(message)?).await
    }

    pub(super) async fn send_encoded(
        self: &Arc<Self>,
        from: u32,
        to: Destination,
        message: &[u8],
    ) -> Result<(), SendError> {
        let place = self.place_for(&to)?;
        let reached = self.reach(&place).await?;
        let Some(identity) = self.identity.get() else {
            return Ok(());
        };
        let frame = message_frame(identity, from, to, message);
        self.post_to(reached, frame);
        Ok(())
    }
}

pub(super) fn message_frame(
    identity: &Identity,
    from: u32,
    to: Destination,
    message: &[u8],
) -> Bytes {
    let from = || raw(own_pid::pid(identity, from));
    match to {
        Destination::Process(ServerRef::Pid(pid)) => signals::send(&raw(pid), &[message]),
        Destination::Process(ServerRef::Name { name, .. }) => {
            signals::send_to_name(&from(), &raw(Atom::from(name)), &[message])
        }
        Destination::Alias(alias) => signals::send_to_alias(&from(), &raw(alias), &[message]),
    }
}

/// That a process can be named in a signal.
pub(super) fn check(process: &ServerRef) -> Result<(), TermError> {
    match process {
        ServerRef::Name { name, .. } => terms::check(&Term::from(Atom::from(name.as_str()))),
        ServerRef::Pid(_) => Ok(()),
    }
}

/// A term of a caller as bytes, without a version byte.
pub(super) fn encoded(term: &Term) -> Result<Vec<u8>, TermError> {
    let mut bytes = terms::encode(term.clone())?;
    if bytes.len() > MAX_MESSAGE {
        return Err(TermError::TooMany);
    }
    Ok(bytes.split_off(1))
}
