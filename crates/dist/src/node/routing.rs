//! The way of signals between links and the processes that live here.
//!
//! Processes of our own node reach each other by the same frames, over a link of the
//! node to itself: what is true of others is true of them.

use std::collections::VecDeque;

use bytes::Bytes;

use super::calls::CallAnswer;
use super::processes::{Outgoing, Receiver};
use super::{Inner, Links, own_pid, own_reference};
use crate::MailboxEnded;
use crate::link::{self, Answered, Body, Control, LENGTH, LinkId};

/// The link of the node to itself. Others are counted from 1.
pub(super) const LOCAL: LinkId = LinkId(0);

impl<'a> Receiver<'a> {
    /// Whom a signal is for, if that could be one who lives here.
    fn of(control: &Control<'a>, creation: u32) -> Option<Self> {
        let to = match *control {
            Control::RegSend {
                to_name: "net_kernel",
                ..
            }
            | Control::Spawn(_)
            | Control::Other(_) => return None,
            Control::RegSend { to_name, .. } => return Some(Self::Name(to_name)),
            Control::Send { to, .. }
            | Control::Link { to, .. }
            | Control::Unlink { to, .. }
            | Control::UnlinkId { to, .. }
            | Control::UnlinkIdAck { to, .. }
            | Control::Exit { to, .. }
            | Control::Exit2 { to, .. }
            | Control::Monitor { to, .. }
            | Control::Demonitor { to, .. }
            | Control::MonitorExit { to, .. }
            | Control::SpawnReply { to, .. } => to,
        };
        match own_pid::number(to.bytes(), creation) {
            Some(own_pid::CALLER) => None,
            Some(number) => Some(Self::Number(number)),
            None => to.atom().map(Self::Name).or_else(|| {
                let alias = own_reference::number(to.bytes(), creation);
                alias.map(Self::Alias)
            }),
        }
    }
}

impl Inner {
    /// Hands a signal to the process that it is for; `false` if it is for none.
    pub(super) fn signal(&self, link: LinkId, control: &Control<'_>, body: Body<'_>) -> bool {
        let creation = self.identity.get().map_or(0, |own| own.creation);
        match Receiver::of(control, creation) {
            Some(receiver) => self.links().signal(link, receiver, control, body),
            None => false,
        }
    }
}

impl Links {
    fn signal(
        &mut self,
        link: LinkId,
        receiver: Receiver<'_>,
        control: &Control<'_>,
        body: Body<'_>,
    ) -> bool {
        let Some(number) = self.processes.find(receiver) else {
            return false;
        };
        let outgoing = self.processes.signal(number, link, control, body);
        self.post(outgoing);
        true
    }

    /// Sends what processes have to send. Over a link that is gone nothing goes:
    /// its end has been told to both sides.
    pub(super) fn post(&mut self, outgoing: impl IntoIterator<Item = Outgoing>) {
        let mut waiting: VecDeque<_> = outgoing.into_iter().collect();
        while let Some((link, frame)) = waiting.pop_front() {
            if link == LOCAL {
                waiting.extend(self.arrive_here(&frame));
            } else if let Some(sender) = self.senders.get(&link) {
                sender.send(frame);
            }
        }
    }

    /// What follows from a frame of ours to ourselves.
    fn arrive_here(&mut self, frame: &Bytes) -> Vec<Outgoing> {
        if frame.len() < LENGTH {
            return Vec::new();
        }
        let body = frame.slice(LENGTH..);
        let Some(control) = Control::parse(&body) else {
            return Vec::new();
        };
        let creation = self.processes.creation();
        let receiver = Receiver::of(&control, creation);
        if let Some(number) = receiver.and_then(|receiver| self.processes.find(receiver)) {
            let body = Body::Whole(&body);
            return self.processes.signal(number, LOCAL, &control, body);
        }
        if let Control::Spawn(spawn) = &control
            && let Some(reply) = self.spawn_here(LOCAL, spawn)
        {
            return vec![(LOCAL, reply)];
        }
        let lives = |pid: &[u8]| match own_pid::number(pid, creation) {
            Some(number) => number == own_pid::CALLER || self.processes.lives(number),
            None => false,
        };
        match link::answer(&control, lives) {
            Answered::With(frame) => return vec![(LOCAL, frame)],
            Answered::Silently => {}
            Answered::No => {
                if let Some(answer) = CallAnswer::of(&control, creation) {
                    self.calls.take(LOCAL, &answer);
                }
            }
        }
        Vec::new()
    }

    /// Ends a process, unless it has ended.
    pub(super) fn end_process(&mut self, number: u32, reason: &[u8]) {
        let outgoing = self.processes.end(number, reason, MailboxEnded::Closed);
        self.post(outgoing);
    }

    pub(super) fn kill_process(&mut self, number: u32, ended: MailboxEnded) {
        let outgoing = self.processes.kill(number, ended);
        self.post(outgoing);
    }
}
