//! The sending half of a link.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::Shared;
use super::frames::TICK;
use super::queue::Batch;
use super::ticks::{TickClock, TickDue};
use crate::error::{Failure, FailureKind};

/// Writes before others have their turn.
const WRITES: usize = 16;

/// Writes what is queued, ticks, and notices a peer that fell silent.
pub(super) struct Writer {
    batch: Batch,
    unflushed: bool,
    writes: u64,
    clock: TickClock,
    net_ticktime: Duration,
}

impl Writer {
    pub(super) fn new(net_ticktime: Duration) -> Self {
        Self {
            batch: Batch::default(),
            unflushed: false,
            writes: 0,
            clock: TickClock::default(),
            net_ticktime,
        }
    }

    /// How often anything was written.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Writes until nothing waits, the stream takes no more, or others have their turn.
    pub(super) fn poll_write<S: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut S>,
        shared: &Shared,
    ) -> Poll<Failure> {
        for _ in 0..WRITES {
            if self.batch.is_empty() && !shared.take_queued(&mut self.batch) {
                return self.poll_flush(cx, stream);
            }
            let written = if self.batch.has_many() && stream.is_write_vectored() {
                let (slices, count) = self.batch.slices();
                stream.as_mut().poll_write_vectored(cx, &slices[..count])
            } else {
                stream.as_mut().poll_write(cx, self.batch.first())
            };
            match ready!(written) {
                Ok(0) => return Poll::Ready(Failure::closed_by_peer()),
                Ok(count) => self.written(count, shared),
                Err(error) => return Poll::Ready(Failure::io(&error)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready only if it fails.
    fn poll_flush<S: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        stream: Pin<&mut S>,
    ) -> Poll<Failure> {
        if self.unflushed {
            if let Err(error) = ready!(stream.poll_flush(cx)) {
                return Poll::Ready(Failure::io(&error));
            }
            self.unflushed = false;
        }
        Poll::Pending
    }

    fn written(&mut self, count: usize, shared: &Shared) {
        let frames = self.batch.advance(count);
        self.writes += 1;
        self.unflushed = true;
        shared.counting.sent_bytes.add(count);
        shared.counting.sent_messages.add(frames);
        shared.sent(count);
    }

    /// The peer has ticked.
    pub(super) fn on_tick(&mut self, shared: &Shared) {
        if self.clock.on_tick(self.writes) == TickDue::Tick {
            self.tick(shared);
        }
    }

    /// Looks, once an interval, at how often the link was read. Fails if the peer is gone.
    pub(super) fn end_interval(&mut self, reads: u64, shared: &Shared) -> Result<(), Failure> {
        match self.clock.on_interval(reads, self.writes) {
            TickDue::Nothing => {}
            TickDue::Tick => self.tick(shared),
            TickDue::PeerIsGone => {
                let detail = format!("nothing was heard for {:?}", self.net_ticktime);
                return Err(Failure::new(FailureKind::TickTimeout, detail));
            }
        }
        Ok(())
    }

    /// Ticks, unless something is on its way that says as much.
    fn tick(&mut self, shared: &Shared) {
        if self.batch.is_empty() {
            self.batch.tick();
            // Given back when it is written.
            shared.queued.fetch_add(TICK.len(), Ordering::Relaxed);
            shared.total.fetch_add(TICK.len(), Ordering::Relaxed);
            shared.counting.sent_ticks.add(1);
        }
    }

    /// Gives back what a link does not need while nothing is sent.
    pub(super) fn shrink(&mut self) {
        self.batch.shrink();
    }
}
