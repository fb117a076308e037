//! What went over a link, and what waits to.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

/// What went over a link or over several, ticks and all, from the end of the
/// handshake on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received, those of ticks and lengths included.
    pub received_bytes: u64,
    /// Messages received.
    pub received_messages: u64,
    /// Ticks received.
    pub received_ticks: u64,
    /// Bytes sent, those of ticks and lengths included.
    pub sent_bytes: u64,
    /// Messages sent whole.
    pub sent_messages: u64,
    /// Ticks sent.
    pub sent_ticks: u64,
    /// Bytes that wait to be sent, those of lengths included.
    pub queued_bytes: u64,
}

impl Traffic {
    /// What remains of a link that has ended: nothing waits any more.
    pub(crate) fn ended(self) -> Self {
        Self {
            queued_bytes: 0,
            ..self
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.received_bytes += other.received_bytes;
        self.received_messages += other.received_messages;
        self.received_ticks += other.received_ticks;
        self.sent_bytes += other.sent_bytes;
        self.sent_messages += other.sent_messages;
        self.sent_ticks += other.sent_ticks;
        self.queued_bytes += other.queued_bytes;
    }
}

/// Counts as a link goes. One task writes it, anybody may read.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) received_bytes: Counter,
    pub(super) received_messages: Counter,
    pub(super) received_ticks: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) sent_messages: Counter,
    pub(super) sent_ticks: Counter,
}

impl Counting {
    pub(super) fn traffic(&self, queued_bytes: usize) -> Traffic {
        Traffic {
            received_bytes: self.received_bytes.get(),
            received_messages: self.received_messages.get(),
            received_ticks: self.received_ticks.get(),
            sent_bytes: self.sent_bytes.get(),
            sent_messages: self.sent_messages.get(),
            sent_ticks: self.sent_ticks.get(),
            queued_bytes: wide(queued_bytes),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(wide(count), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// No system counts further than this.
fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
