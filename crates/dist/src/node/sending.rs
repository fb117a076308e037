//! What a process sends: the way to the receiver's node, and the frame.

use std::sync::Arc;

use bytes::Bytes;

use super::destination::{Destination, Place, ServerRef};
use super::routing::LOCAL;
use super::{Identity, Inner, Links, Node, own_pid};
use crate::SendError;
use crate::link::{LinkId, LinkSender, frame_with, signals};
use crate::terms::{self, Payload, Term, TermError};

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
                let link = self.table.link(node.as_str());
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
        let sender = match self.sender_to(peer.as_str()) {
            Some(sender) => sender,
            None => {
                let inner = self.clone();
                Node { inner }.connect(peer, true).await?;
                let lost = || SendError::LinkLost(peer.clone());
                self.sender_to(peer.as_str()).ok_or_else(lost)?
            }
        };
        sender.room().await;
        Ok(Reached::Over(sender))
    }

    fn sender_to(&self, peer: &str) -> Option<LinkSender> {
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
                terms::write_reference(&mut Vec::new(), alias)?;
                self.place_of_node(&alias.node.name)
            }
        }
    }

    pub(super) async fn send(
        self: &Arc<Self>,
        from: u32,
        to: &Destination,
        message: &Payload<'_>,
    ) -> Result<(), SendError> {
        let reached = self.way_to(to).await?;
        let Some(identity) = self.identity.get() else {
            return Ok(());
        };
        let write = |frame: &mut Vec<u8>| write_message(frame, identity, from, to, message);
        match reached {
            Reached::Over(sender) => sender.send_with(write)?,
            Reached::Here => self.links().post([(LOCAL, frame_with(write)?)]),
        }
        Ok(())
    }

    /// As [`reach`](Self::reach), at little cost where there is a link.
    async fn way_to(self: &Arc<Self>, to: &Destination) -> Result<Reached, SendError> {
        let linked = to.node().and_then(|node| self.sender_to(node));
        match linked {
            Some(sender) => {
                sender.room().await;
                Ok(Reached::Over(sender))
            }
            None => {
                let place = self.place_for(to)?;
                self.reach(&place).await
            }
        }
    }

    /// Sends what is encoded already, without a version byte.
    pub(super) async fn send_encoded(
        self: &Arc<Self>,
        from: u32,
        to: &Destination,
        message: &[u8],
    ) -> Result<(), SendError> {
        let reached = self.way_to(to).await?;
        let Some(identity) = self.identity.get() else {
            return Ok(());
        };
        let frame = message_frame(identity, from, to, message)?;
        self.post_to(reached, frame);
        Ok(())
    }
}

/// A message that is encoded already, as a frame.
pub(super) fn message_frame(
    identity: &Identity,
    from: u32,
    to: &Destination,
    message: &[u8],
) -> Result<Bytes, TermError> {
    frame_with(|frame| {
        begin_message(frame, identity, from, to)?;
        frame.extend_from_slice(message);
        Ok(None)
    })
}

fn write_message(
    frame: &mut Vec<u8>,
    identity: &Identity,
    from: u32,
    to: &Destination,
    message: &Payload<'_>,
) -> Result<Option<Bytes>, TermError> {
    begin_message(frame, identity, from, to)?;
    message.write(frame)
}

fn begin_message(
    frame: &mut Vec<u8>,
    identity: &Identity,
    from: u32,
    to: &Destination,
) -> Result<(), TermError> {
    let write_from = |frame: &mut Vec<u8>| own_pid::write(frame, identity, from);
    match to {
        Destination::Process(ServerRef::Pid(pid)) => signals::begin_send(frame, pid),
        Destination::Process(ServerRef::Name { name, .. }) => {
            signals::begin_send_to_name(frame, write_from, name)
        }
        Destination::Alias(alias) => signals::begin_send_to_alias(frame, write_from, alias),
    }
}

/// That a process can be named in a signal.
pub(super) fn check(process: &ServerRef) -> Result<(), TermError> {
    match process {
        ServerRef::Name { name, .. } => terms::write_atom(&mut Vec::new(), name),
        ServerRef::Pid(_) => Ok(()),
    }
}

/// A term of a caller as bytes, without a version byte.
pub(super) fn encoded(term: &Term) -> Result<Vec<u8>, TermError> {
    let mut bytes = Vec::new();
    Payload::from(term).write(&mut bytes)?;
    Ok(bytes)
}
