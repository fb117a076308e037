//! What waits for a mailbox's owner, bounded in bytes.
//!
//! Whoever fills it must never wait, since that is a link's reading half; and
//! nothing may be left out in silence, since signals between two processes come in
//! order and without gaps. So a full mailbox is killed, as the BEAM kills a process
//! that outgrows its `max_heap_size`: its memory is given back, those who are linked
//! to it or monitor it hear of it, and its owner hears why.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use eetf::Pid;
use pgmesh_name::NodeName;
use tokio::sync::Notify;

use crate::MailboxEnded;
use crate::node::ServerRef;

/// What keeping anything takes beside its bytes.
pub(super) const OVERHEAD: usize = 128;

/// What has arrived, as the bytes it came in: terms without a version byte.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::node) enum Arrival {
    Message(Bytes),
    Exit {
        from: Pid,
        reason: Bytes,
    },
    LinkBroken {
        from: Pid,
        reason: Bytes,
    },
    Down {
        monitor: u64,
        target: ServerRef,
        reason: Bytes,
    },
    NodeDown(NodeName),
}

impl Arrival {
    fn cost(&self) -> usize {
        let bytes = match self {
            Self::Message(bytes) => bytes.len(),
            Self::Exit { reason, .. }
            | Self::LinkBroken { reason, .. }
            | Self::Down { reason, .. } => OVERHEAD + reason.len(),
            Self::NodeDown(_) => OVERHEAD,
        };
        OVERHEAD + bytes
    }
}

#[derive(Debug)]
pub(in crate::node) struct Inbox {
    limit: usize,
    content: Mutex<Content>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Content {
    waiting: VecDeque<Arrival>,
    bytes: usize,
    ended: Option<MailboxEnded>,
}

impl Content {
    fn hold(&mut self, bytes: usize, limit: usize) -> Result<(), MailboxEnded> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > limit {
            return Err(MailboxEnded::Overflowed { limit });
        }
        Ok(())
    }
}

impl Inbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            content: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, arrival: Arrival) -> Result<(), MailboxEnded> {
        let mut content = self.content();
        content.hold(arrival.cost(), self.limit)?;
        content.waiting.push_back(arrival);
        drop(content);
        self.arrived.notify_one();
        Ok(())
    }

    /// Counts what is kept for others elsewhere: their links and monitors.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), MailboxEnded> {
        self.content().hold(bytes, self.limit)
    }

    pub(super) fn release(&self, bytes: usize) {
        let mut content = self.content();
        content.bytes = content.bytes.saturating_sub(bytes);
    }

    /// Takes out what is not wanted any more.
    pub(super) fn flush(&self, unwanted: impl Fn(&Arrival) -> bool) {
        let mut content = self.content();
        let mut freed = 0;
        content.waiting.retain(|arrival| {
            let is_unwanted = unwanted(arrival);
            freed += if is_unwanted { arrival.cost() } else { 0 };
            !is_unwanted
        });
        content.bytes = content.bytes.saturating_sub(freed);
    }

    /// Nothing arrives any more, and what waited is gone.
    pub(super) fn end(&self, ended: MailboxEnded) {
        let mut content = self.content();
        content.waiting = VecDeque::new();
        content.ended.get_or_insert(ended);
        drop(content);
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    pub(in crate::node) fn ended(&self) -> Option<MailboxEnded> {
        self.content().ended
    }

    /// The next arrival. Cancel safe: nothing is taken out before it is returned.
    pub(in crate::node) async fn pop(&self) -> Result<Arrival, MailboxEnded> {
        loop {
            if let Some(taken) = self.take() {
                return taken;
            }
            let mut arrived = pin!(self.arrived.notified());
            // A call that finds nobody waiting is kept, but not a second one: whoever looks
            // again waits already, or of two who look at once one would miss its call.
            arrived.as_mut().enable();
            // Since the first look something may have come and its call been missed.
            if let Some(taken) = self.take() {
                return taken;
            }
            arrived.await;
        }
    }

    fn take(&self) -> Option<Result<Arrival, MailboxEnded>> {
        let mut content = self.content();
        if let Some(ended) = content.ended {
            return Some(Err(ended));
        }
        let arrival = content.waiting.pop_front()?;
        content.bytes = content.bytes.saturating_sub(arrival.cost());
        Some(Ok(arrival))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize) -> Arrival {
        Arrival::Message(Bytes::from(vec![7; len]))
    }

    impl Inbox {
        pub(in crate::node::processes) fn bytes(&self) -> usize {
            self.content().bytes
        }
    }

    #[tokio::test]
    async fn arrivals_come_out_in_order_and_give_their_room_back() {
        let inbox = Inbox::new(2 * OVERHEAD + 3);
        for _ in 0..5 {
            inbox.push(message(1)).unwrap();
            inbox.push(message(2)).unwrap();
            assert_eq!(inbox.pop().await, Ok(message(1)));
            assert_eq!(inbox.pop().await, Ok(message(2)));
        }
    }

    #[tokio::test]
    async fn too_much_is_an_error_and_the_end_empties_it() {
        let limit = OVERHEAD + 3;
        let inbox = Inbox::new(limit);
        inbox.push(message(2)).unwrap();
        let full = MailboxEnded::Overflowed { limit };
        assert_eq!(inbox.hold(2), Err(full));
        inbox.end(full);
        inbox.end(MailboxEnded::Killed);
        assert_eq!(inbox.pop().await, Err(full), "the first end counts");
        assert!(inbox.content().waiting.is_empty());
    }

    #[tokio::test]
    async fn end_wakes_everybody_who_waits() {
        let inbox = Inbox::new(1);
        let end = async { inbox.end(MailboxEnded::Killed) };
        let (a, b, ()) = tokio::join!(inbox.pop(), inbox.pop(), end);
        assert_eq!(
            (a, b),
            (Err(MailboxEnded::Killed), Err(MailboxEnded::Killed))
        );
    }

    #[tokio::test]
    async fn what_is_flushed_gives_its_room_back() {
        let inbox = Inbox::new(2 * OVERHEAD + 3);
        inbox.push(message(1)).unwrap();
        inbox.push(message(2)).unwrap();
        inbox.flush(|arrival| *arrival == message(1));
        inbox.push(message(1)).unwrap();
        assert_eq!(inbox.pop().await, Ok(message(2)));
        assert_eq!(inbox.pop().await, Ok(message(1)));
    }
}
