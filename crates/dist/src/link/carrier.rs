//! One link's task: reads, ticks and writes, in turns that end.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep};

use super::frames::Body;
use super::pace::{Pace, Pacer};
use super::reader::{Progress, Reader, Sink};
use super::writer::Writer;
use super::{LinkConfig, Shared};
use crate::error::Failure;
use crate::socket::Quietable;

/// Reads before others have their turn.
const READS: usize = 16;
/// Until the next look. The runtime's clock goes by milliseconds and rounds up, so that this
/// is one, and a whole one would be two.
const LOOK: Duration = Duration::from_micros(100);

pub(super) struct Carrier<'a, H> {
    reader: Reader,
    writer: Writer,
    shared: &'a Shared,
    sink: Sink<'a, H>,
    pacer: Pacer,
    /// While it looks by the clock.
    next_look: Option<Pin<Box<Sleep>>>,
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
            writer: Writer::new(config.net_ticktime),
            shared,
            sink: Sink {
                counting: &shared.counting,
                handle,
            },
            pacer: Pacer::default(),
            next_look: None,
        }
    }

    /// Handles what came with the handshake.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        let progress = self.reader.begin(&mut self.sink)?;
        self.answer_ticks(progress);
        Ok(())
    }

    /// Carries the link as far as it goes now; ready once it is over.
    pub(super) fn poll<S: AsyncRead + AsyncWrite + Quietable + Unpin>(
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
        if self.shared.take_interval()
            && let Err(failure) = self.end_interval()
        {
            return Poll::Ready(failure);
        }
        self.writer.poll_write(cx, stream, self.shared)
    }

    fn read<S: AsyncRead + Quietable + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut S>,
    ) -> Result<(), Failure> {
        if let Some(next_look) = &mut self.next_look
            && next_look.as_mut().poll(cx).is_pending()
        {
            return Ok(());
        }
        for _ in 0..READS {
            let read = self.reader.poll_read(cx, stream.as_mut(), &mut self.sink);
            let Poll::Ready(progress) = read else {
                return self.keep_pace(cx, stream);
            };
            let progress = progress?;
            self.pacer.on_read(progress.bytes, progress.messages);
            self.answer_ticks(progress);
            if progress.has_more {
                break;
            }
        }
        yield_now(cx);
        Ok(())
    }

    /// Once all that was there is read: has the link woken, or looks again later.
    fn keep_pace<S: Quietable + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        mut stream: Pin<&mut S>,
    ) -> Result<(), Failure> {
        if let Some(pace) = self.pacer.on_all_read(self.writer.writes(), Instant::now) {
            let set = stream.set_quiet(pace == Pace::Looks);
            set.map_err(|error| Failure::io(&error))?;
            if pace == Pace::Woken {
                self.next_look = None;
                // What has come since the last look has woken nobody.
                cx.waker().wake_by_ref();
            }
        }
        if self.pacer.pace() == Pace::Looks {
            let mut next_look = Box::pin(sleep(LOOK));
            // Has the task woken then.
            if next_look.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            self.next_look = Some(next_look);
        }
        Ok(())
    }

    fn answer_ticks(&mut self, progress: Progress) {
        if progress.has_ticks() {
            self.writer.on_tick(self.shared);
        }
    }

    fn end_interval(&mut self) -> Result<(), Failure> {
        self.writer.end_interval(self.reader.reads(), self.shared)?;
        self.reader.shrink();
        self.writer.shrink();
        self.shared.waiting().queue.shrink();
        Ok(())
    }
}

/// Wakes the task once all others have had their turn, those who got a message among them.
fn yield_now(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tokio::io::ReadBuf;

    use super::*;
    use crate::link::frames::frame;
    use crate::link::{TotalQueued, open};

    const FRAMES: usize = 5000;

    /// Brings a frame for each time that its task is woken; where it wakes nobody, fifty in
    /// a millisecond.
    struct Drip {
        left: usize,
        is_next: bool,
        quiet_since: Option<Instant>,
        told: Arc<Mutex<Vec<bool>>>,
    }

    impl Drip {
        fn is_there(&mut self, cx: &mut Context<'_>) -> bool {
            match &mut self.quiet_since {
                _ if self.left == 0 => false,
                Some(since) if since.elapsed() >= Duration::from_micros(20) => {
                    *since += Duration::from_micros(20);
                    true
                }
                Some(_) => false,
                None => {
                    self.is_next = !self.is_next;
                    if !self.is_next {
                        cx.waker().wake_by_ref();
                    }
                    self.is_next
                }
            }
        }
    }

    impl AsyncRead for Drip {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.is_there(cx) {
                return Poll::Pending;
            }
            self.left -= 1;
            buf.put_slice(&frame(&[&self.left.to_be_bytes()]));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Drip {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Quietable for Drip {
        fn set_quiet(&mut self, quiet: bool) -> io::Result<()> {
            self.quiet_since = quiet.then(Instant::now);
            self.told.lock().unwrap().push(quiet);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stream_is_looked_at_by_the_clock_until_it_ends_and_comes_whole() {
        let config = LinkConfig::bounded(1024, 1024);
        let (_sender, tasks) = open(&config, &TotalQueued::default());
        let told = Arc::default();
        let drip = Drip {
            left: FRAMES,
            is_next: false,
            quiet_since: None,
            told: Arc::clone(&told),
        };
        let (came, mut coming) = tokio::sync::mpsc::unbounded_channel();
        let handle = move |body: Body<'_>| came.send(body.bytes()[1..].to_vec()).unwrap();
        let link = tokio::spawn(tasks.run(drip, BytesMut::new(), handle));
        for left in (0..FRAMES).rev() {
            assert_eq!(coming.recv().await, Some(left.to_be_bytes().to_vec()));
        }
        // It finds nothing the next time.
        let is_woken = || !*told.lock().unwrap().last().unwrap();
        while !is_woken() {
            sleep(LOOK).await;
        }
        assert_eq!(*told.lock().unwrap(), [true, false]);
        link.abort();
    }
}
