//! A link: one connection to one node, after the handshake.
//!
//! A reader that waits for nothing but the socket, and a writer that sends what
//! is queued and owns the ticks, side by side in one task. Source: erl_dist_protocol,
//! "Protocol between Connected Nodes".

mod answers;
mod control;
mod frames;
mod reader;
mod ticks;
mod writer;

pub(crate) use answers::{Answered, answer};
pub(crate) use control::Control;
pub(crate) use frames::frame_of;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use frames::take_frame;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{Failure, FailureKind};

/// Names one link for as long as the process lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Limits of one link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkConfig {
    pub(crate) net_ticktime: Duration,
    pub(crate) max_frame: usize,
    pub(crate) max_queued: usize,
}

/// The sending end of a link. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkSender {
    queue: mpsc::UnboundedSender<Bytes>,
    shared: Arc<Shared>,
}

/// What reader, writer and senders have in common.
struct Shared {
    queued: AtomicUsize,
    max_queued: usize,
    reads: AtomicU64,
    over: CancellationToken,
    failure: std::sync::OnceLock<Failure>,
}

impl LinkSender {
    /// Queues whole frames. Never waits: a peer that reads too slowly loses its
    /// link instead of our memory.
    pub(crate) fn send(&self, frames: Bytes) {
        let len = frames.len();
        let queued = self.shared.queued.fetch_add(len, Ordering::Relaxed) + len;
        if queued > self.shared.max_queued {
            let detail = format!("the peer leaves {queued} bytes unread");
            self.shared
                .end(Failure::new(FailureKind::QueueFull, detail));
        }
        // A closed queue means that the link is over, and its end is told elsewhere.
        let _ = self.queue.send(frames);
    }

    /// Ends the link; `handle` of [`run`] is told why.
    pub(crate) fn close(&self, failure: Failure) {
        self.shared.end(failure);
    }
}

impl Shared {
    /// The first failure is the one that counts.
    fn end(&self, failure: Failure) {
        let _ = self.failure.set(failure);
        self.over.cancel();
    }
}

/// Opens a link's queue; frames sent before [`run`] wait in it.
pub(crate) fn open(config: &LinkConfig) -> (LinkSender, LinkTasks) {
    let (queue, queued) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        queued: AtomicUsize::new(0),
        max_queued: config.max_queued,
        reads: AtomicU64::new(0),
        over: CancellationToken::new(),
        failure: std::sync::OnceLock::new(),
    });
    let sender = LinkSender {
        queue,
        shared: Arc::clone(&shared),
    };
    let tasks = LinkTasks {
        queued,
        shared,
        config: *config,
    };
    (sender, tasks)
}

/// What [`run`] needs of a link that was opened.
pub(crate) struct LinkTasks {
    queued: mpsc::UnboundedReceiver<Bytes>,
    shared: Arc<Shared>,
    config: LinkConfig,
}

impl LinkTasks {
    /// Carries the link until it ends, and says why it did. `handle` gets the
    /// body of every frame that is no tick and must not block; `received` are
    /// bytes that came with the handshake.
    pub(crate) async fn run<S>(
        self,
        stream: S,
        received: BytesMut,
        handle: impl FnMut(Bytes),
    ) -> Failure
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read_half, write_half) = tokio::io::split(stream);
        let shared = Arc::clone(&self.shared);
        let write = writer::write(write_half, self.queued, &shared, self.config.net_ticktime);
        let read = reader::read(read_half, received, &shared, self.config.max_frame, handle);
        // In turns: under a flood either half would use up the task's budget.
        let both = async {
            tokio::select! {
                failure = read => failure,
                failure = write => failure,
            }
        };
        let failure = tokio::select! {
            biased;
            () = shared.over.cancelled() => None,
            failure = both => Some(failure),
        };
        if let Some(failure) = failure {
            shared.end(failure);
        }
        let ended = shared.failure.get().cloned();
        ended.unwrap_or_else(Failure::closed_by_peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, duplex, join, repeat};

    #[tokio::test]
    async fn peer_that_never_stops_sending_still_gets_its_ticks() {
        let config = LinkConfig {
            net_ticktime: Duration::from_millis(200),
            max_frame: 1024,
            max_queued: 1024,
        };
        let (_sender, tasks) = open(&config);
        let (ours, mut theirs) = duplex(1024);
        // Ticks without end: there is always something to read.
        let link = tokio::spawn(tasks.run(join(repeat(0), ours), BytesMut::new(), drop));
        let mut ticks = [0; 12];
        let limit = Duration::from_secs(10);
        let read = tokio::time::timeout(limit, theirs.read_exact(&mut ticks)).await;
        read.expect("no ticks in time").unwrap();
        link.abort();
    }
}
