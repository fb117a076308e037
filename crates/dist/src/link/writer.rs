//! The sending half of a link.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::frames::TICK;
use super::ticks::{INTENSITY, TickClock, TickDue};
use super::{Shared, cost};
use crate::error::{Failure, FailureKind};

/// Frames joined into one write, up to about this many bytes.
const JOINED: usize = 64 * 1024;
/// Frames taken from the queue at once.
const BATCH: usize = 128;

/// Writes what is queued, ticks, and notices a peer that fell silent.
pub(super) async fn write(
    mut stream: impl AsyncWrite + Unpin,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    shared: &Shared,
    net_ticktime: Duration,
) -> Failure {
    let mut interval = tokio::time::interval(net_ticktime / INTENSITY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    let mut outgoing = Outgoing::default();
    let (mut clock, mut writes) = (TickClock::default(), 0);
    loop {
        tokio::select! {
            written = stream.write_buf(&mut outgoing.current), if outgoing.has_more() => {
                match written {
                    Ok(count) => shared.counting.sent_bytes.add(count),
                    Err(error) => return Failure::io(&error),
                }
                outgoing.written(shared);
                writes += 1;
                if !outgoing.has_more() && let Err(error) = stream.flush().await {
                    return Failure::io(&error);
                }
            }
            count = queue.recv_many(&mut outgoing.waiting, BATCH), if !outgoing.has_more() => {
                // No sender is left: the node itself is gone.
                if count == 0 {
                    return Failure::new(FailureKind::ClosedByUs, "this node has stopped");
                }
                outgoing.join();
            }
            () = shared.ticked.notified() => {
                if clock.on_tick(writes) == TickDue::Tick {
                    outgoing.tick(shared);
                }
            }
            _ = interval.tick() => {
                match clock.on_interval(shared.reads.load(Ordering::Relaxed), writes) {
                    TickDue::Nothing => {}
                    TickDue::Tick => outgoing.tick(shared),
                    TickDue::PeerIsGone => {
                        let detail = format!("nothing was heard for {net_ticktime:?}");
                        return Failure::new(FailureKind::TickTimeout, detail);
                    }
                }
            }
        }
    }
}

/// Bytes on their way out: one buffer being written, and frames behind it.
#[derive(Default)]
struct Outgoing {
    current: Bytes,
    /// What `current` counted for in the queue.
    current_cost: usize,
    /// How many frames are in it; a tick is none.
    current_frames: usize,
    waiting: Vec<Bytes>,
    /// How many of `waiting` have been moved to `current`.
    moved: usize,
}

impl Outgoing {
    fn has_more(&self) -> bool {
        self.current.has_remaining()
    }

    /// Ticks, unless something is on its way that says as much.
    fn tick(&mut self, shared: &Shared) {
        if !self.has_more() {
            self.current = TICK;
            shared.counting.sent_ticks.add(1);
        }
    }

    fn written(&mut self, shared: &Shared) {
        if !self.has_more() {
            shared.sent(std::mem::take(&mut self.current_cost));
            let frames = std::mem::take(&mut self.current_frames);
            shared.counting.sent_messages.add(frames);
            self.join();
        }
    }

    /// Makes the next buffer: a large frame as it is, small ones joined.
    fn join(&mut self) {
        let rest = &self.waiting[self.moved..];
        let mut joined = 0;
        let mut len = 0;
        for frame in rest {
            if joined > 0 && len + frame.len() > JOINED {
                break;
            }
            len += frame.len();
            joined += 1;
        }
        self.current_cost = rest[..joined].iter().map(cost).sum();
        self.current_frames = joined;
        self.current = match &rest[..joined] {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => many
                .iter()
                .fold(BytesMut::with_capacity(len), join_two)
                .freeze(),
        };
        self.moved += joined;
        if self.moved == self.waiting.len() {
            self.waiting.clear();
            self.moved = 0;
        }
    }
}

fn join_two(mut joined: BytesMut, frame: &Bytes) -> BytesMut {
    joined.extend_from_slice(frame);
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_are_joined_in_order_and_large_ones_left_alone() {
        let mut outgoing = Outgoing::default();
        let large = Bytes::from(vec![9; JOINED]);
        outgoing.waiting = vec![Bytes::from("ab"), Bytes::from("c"), large.clone()];
        outgoing.join();
        assert_eq!(outgoing.current, "abc");
        outgoing.current.clear();
        outgoing.join();
        assert_eq!(outgoing.current.as_ptr(), large.as_ptr(), "not copied");
        outgoing.current.clear();
        outgoing.join();
        assert!(!outgoing.has_more() && outgoing.waiting.is_empty());
    }
}
