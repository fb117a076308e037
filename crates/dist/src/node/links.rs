//! What becomes of a connection once its handshake is done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgmesh_name::NodeName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::calls::CallAnswer;
use super::link_table::Attempt;
use super::{Direction, Inner, Links, NodeEvent, NodeTraffic, PeerInfo, own_pid};
use crate::LinkError;
use crate::error::{Failure, FailureKind};
use crate::handshake::{HandshakeStream, Proven, is_hidden, knows_unlink_id, takes_spawns};
use crate::link::{self, Answered, Body, Control, LinkId, LinkSender};
use crate::socket::Quietable;

impl Inner {
    /// Enters a proven connection as a link and carries it until it ends.
    /// `false` if the dial it came from was superseded.
    pub(super) fn link_up<S>(
        self: &Arc<Self>,
        proven: &Proven,
        direction: Direction,
        dialled: Option<Attempt>,
        stream: HandshakeStream<S>,
    ) -> bool
    where
        S: AsyncRead + AsyncWrite + Quietable + Unpin + Send + 'static,
    {
        let link = LinkId(self.next_id());
        let (mut sender, task) = link::open(&self.config.link_config(), &self.queued);
        sender.unlink_ids = knows_unlink_id(proven.flags);
        sender.spawns = takes_spawns(proven.flags);
        let peer = PeerInfo {
            name: proven.peer.clone(),
            creation: proven.creation,
            hidden: is_hidden(proven.flags),
            direction,
        };
        if !self.enter(&peer, link, dialled, &sender, stream.age()) {
            return false;
        }
        let inner = Arc::clone(self);
        self.spawn(async move {
            let (stream, received) = stream.into_parts();
            let handle = |body: Body<'_>| inner.on_body(link, &sender, body);
            let failure = task.run(stream, received, handle).await;
            inner.leave(peer, link, failure);
        });
        true
    }

    /// The event is told under the lock: whoever sees the table sees events in
    /// the same order.
    fn enter(
        self: &Arc<Self>,
        peer: &PeerInfo,
        link: LinkId,
        dialled: Option<Attempt>,
        sender: &LinkSender,
        after: Duration,
    ) -> bool {
        let mut links = self.links();
        // Under the lock: what `stop` did not see must not come up behind it.
        if self.stopped.is_cancelled() {
            return false;
        }
        let Some(replaced) = links.table.link_up(&peer.name, link, dialled) else {
            return false;
        };
        if let Some(old) = replaced.and_then(|old| links.remove(old)) {
            let detail = "a newer link of this name took its place";
            old.close(Failure::new(FailureKind::Replaced, detail));
        }
        links.senders.insert(link, sender.clone());
        self.keep_ticking(&mut links);
        let peer = peer.clone();
        self.tell(NodeEvent::LinkUp { peer, link, after });
        self.note_change();
        true
    }

    fn leave(&self, peer: PeerInfo, link: LinkId, failure: Failure) {
        let mut links = self.links();
        links.remove(link);
        if links.table.link_down(&peer.name, link) {
            let name = peer.name;
            let error = LinkError::new(name.clone(), failure);
            self.tell(NodeEvent::LinkDown { name, link, error });
            self.note_change();
        }
    }

    /// Handles one message; runs inside the reader and must not wait. What was read
    /// together with others counts no more once the link is over.
    fn on_body(&self, link: LinkId, sender: &LinkSender, body: Body<'_>) {
        if sender.is_over() {
            return;
        }
        let Some(control) = Control::parse(body.bytes()) else {
            return self.count_unreadable(body.bytes());
        };
        if self.signal(link, &control, body) {
            return;
        }
        if let Control::Spawn(spawn) = &control
            && self.on_spawn(link, spawn)
        {
            return;
        }
        self.note_monitor(link, &control);
        match link::answer(&control, |pid| self.is_own_pid(pid)) {
            Answered::With(frame) => sender.send(frame),
            Answered::Silently => {}
            Answered::No => self.deliver(link, &control),
        }
    }

    fn deliver(&self, link: LinkId, control: &Control<'_>) {
        let creation = self.identity.get().map_or(0, |own| own.creation);
        if let Some(answer) = CallAnswer::of(control, creation) {
            return self.links().calls.take(link, &answer);
        }
        match *control {
            Control::Send { to, message } => match self.own_number(to.bytes()) {
                Some(number) => self.on_news(link, number, message),
                None => self.count_undelivered(),
            },
            // To nobody: a BEAM drops such messages in silence, too.
            _ => self.count_undelivered(),
        }
    }

    pub(super) fn count_unreadable(&self, message: &[u8]) {
        self.counters.unreadable.fetch_add(1, Ordering::Relaxed);
        // Never the bytes themselves: a log must not grow with them.
        tracing::debug!(bytes = message.len(), "unreadable message passed over");
    }

    pub(super) fn count_undelivered(&self) {
        self.counters.undelivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn own_number(&self, pid: &[u8]) -> Option<u32> {
        own_pid::number(pid, self.identity.get()?.creation)
    }

    fn is_own_pid(&self, pid: &[u8]) -> bool {
        match self.own_number(pid) {
            Some(own_pid::CALLER) => true,
            Some(number) => self.links().processes.lives(number),
            None => false,
        }
    }
}

impl Links {
    /// Removes what belongs to one link. One that was replaced comes here twice: its task
    /// may have been handling a frame meanwhile.
    fn remove(&mut self, link: LinkId) -> Option<LinkSender> {
        self.take_watch(link);
        let sender = self.senders.remove(&link);
        self.calls.link_lost(link);
        let told = self.processes.link_lost(link);
        self.post(told);
        self.ended += sender.as_ref()?.traffic().ended();
        sender
    }

    pub(super) fn traffic(&self) -> NodeTraffic {
        let link = |name: &NodeName| {
            let sender = self.senders.get(&self.table.link(name.as_str())?)?;
            Some((name.clone(), sender.traffic()))
        };
        let links: Vec<_> = self.table.linked().filter_map(link).collect();
        let mut total = self.ended;
        links.iter().for_each(|(_, traffic)| total += *traffic);
        NodeTraffic { total, links }
    }

    pub(super) fn cancel_dial(&mut self, attempt: Attempt) {
        if let Some(dial) = self.dials.remove(&attempt.0) {
            dial.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use eetf::Pid;

    use super::super::processes::raw;
    use super::super::{Identity, Mailbox, Node, NodeConfig};
    use super::*;
    use crate::link::{LENGTH, LinkTask, signals};
    use crate::{Cookie, MailboxEnded, Received};

    const LINK: LinkId = LinkId(1);

    /// A process, and a link of its node that nobody carries.
    fn linked() -> (Mailbox, LinkSender, LinkTask) {
        let name: NodeName = "m@h".parse().unwrap();
        let config = NodeConfig::new(name.clone(), Cookie::new("c"));
        let (node, _events) = Node::build(config, Some(Identity { name, creation: 5 }), None);
        let (sender, task) = link::open(&node.inner.config.link_config(), &node.inner.queued);
        node.inner.links().senders.insert(LINK, sender.clone());
        (node.mailbox().unwrap(), sender, task)
    }

    /// A process of the peer links to ours.
    fn link_from_there(mailbox: &Mailbox, sender: &LinkSender) {
        let from = raw(Pid::new("a@h", 1, 0, 9));
        let frame = signals::link(&from, &raw(mailbox.pid().clone()));
        let body = Body::Borrowed(&frame[LENGTH..]);
        mailbox.node().inner.on_body(LINK, sender, body);
    }

    fn remove(mailbox: &Mailbox) {
        mailbox.node().inner.links().remove(LINK);
    }

    /// What has arrived, if anything has.
    async fn arrived(mailbox: &Mailbox) -> Option<Result<Received, MailboxEnded>> {
        tokio::select! {
            biased;
            received = mailbox.recv() => Some(received),
            () = ready(()) => None,
        }
    }

    #[tokio::test]
    async fn what_a_replaced_link_still_brought_ends_with_it() {
        let (mailbox, sender, _task) = linked();
        // As another takes its place, just when its task is about to handle a frame.
        remove(&mailbox);
        link_from_there(&mailbox, &sender);
        assert!(arrived(&mailbox).await.is_none());
        // And now its task is over.
        remove(&mailbox);
        let broken = arrived(&mailbox).await;
        assert!(matches!(broken, Some(Ok(Received::LinkBroken { .. }))));
    }

    #[tokio::test]
    async fn frames_of_a_link_that_is_over_are_not_handled() {
        for closed in [false, true] {
            let (mailbox, sender, _task) = linked();
            if closed {
                sender.close(Failure::closed_by_peer());
            }
            link_from_there(&mailbox, &sender);
            remove(&mailbox);
            let broken = arrived(&mailbox).await;
            assert_eq!(broken.is_none(), closed);
        }
    }
}
