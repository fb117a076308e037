//! One link's task: reads, ticks and writes, in turns that end.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use super::frames::Body;
use super::reader::{Progress, Reader};
use super::writer::Writer;
use super::{LinkConfig, Shared};
use crate::error::Failure;

/// Reads before others have their turn.
const READS: usize = 16;

pub(super) struct Carrier<'a, H> {
    reader: Reader,
    writer: Writer,
    shared: &'a Shared,
    handle: H,
}

impl<'a, H: FnMut(Body<'_>)> Carrier<'a, H> {
    pub(super) fn new(
        config: &LinkConfig,
        received: BytesMut,
        shared: &'a Shared,
        handle: H,
    ) -> Self {
        Self {
            reader: Reader::new(received, config.max_frame),
            writer: Writer::new(config.net_ticktime, config.ticks_from),
            shared,
            handle,
        }
    }

    /// Handles what came with the handshake.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        let progress = self.reader.begin(self.shared, &mut self.handle)?;
        self.answer_ticks(progress);
        Ok(())
    }

    /// Carries the link as far as it goes now; ready once it is over.
    pub(super) fn poll<S: AsyncRead + AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut S>,
    ) -> Poll<Failure> {
        self.shared.wake_for_more(cx.waker());
        if let Some(failure) = self.shared.failure.get() {
            return Poll::Ready(failure.clone());
        }
        if let Err(failure) = self.read(cx, stream.as_mut()) {
            return Poll::Ready(failure);
        }
        if let Err(failure) = self.watch_time(cx) {
            return Poll::Ready(failure);
        }
        self.writer.poll_write(cx, stream, self.shared)
    }

    fn read<S: AsyncRead>(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut S>,
    ) -> Result<(), Failure> {
        for _ in 0..READS {
            let stream = stream.as_mut();
            let read = self
                .reader
                .poll_read(cx, stream, self.shared, &mut self.handle);
            let Poll::Ready(progress) = read else {
                return Ok(());
            };
            let progress = progress?;
            self.answer_ticks(progress);
            if progress.has_more {
                break;
            }
        }
        yield_now(cx);
        Ok(())
    }

    fn answer_ticks(&mut self, progress: Progress) {
        if progress.has_ticks() {
            self.writer.on_tick(self.shared);
        }
    }

    fn watch_time(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let reads = self.reader.reads();
        while let Poll::Ready(judged) = self.writer.poll_interval(cx, reads, self.shared) {
            judged?;
            self.reader.shrink();
            self.writer.shrink();
            self.shared.waiting().queue.shrink();
        }
        Ok(())
    }
}

/// Wakes the task once all others have had their turn, those who got a message among them.
fn yield_now(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
