//! A link: one connection to one node, after the handshake.
//!
//! A reader that waits for nothing but the socket, and a writer that sends what
//! is queued and owns the ticks, side by side in one task. Source: erl_dist_protocol,
//! "Protocol between Connected Nodes".

mod answers;
mod control;
mod frames;
mod reader;
pub(crate) mod signals;
mod ticks;
mod traffic;
mod writer;

pub(crate) use answers::{ATOM_ABANDONED, Answered, answer, let_go, monitor_exit};
pub(crate) use control::{Control, Spawn};
pub(crate) use frames::frame_of;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use frames::take_frame;
pub use traffic::Traffic;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::error::{Failure, FailureKind};
use traffic::Counting;

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

/// What waits to be sent over all links of a node.
pub(crate) type TotalQueued = Arc<AtomicUsize>;

/// What a queued frame takes beside its bytes.
const FRAME_OVERHEAD: usize = 128;
/// A link with less than this waiting reads fast enough, whatever others do.
const SMALL_QUEUE: usize = 256 * 1024;

/// The sending end of a link. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkSender {
    /// Whether the peer acknowledges the ends of links between processes.
    pub(crate) unlink_ids: bool,
    /// Whether the peer takes spawn requests.
    pub(crate) spawns: bool,
    queue: mpsc::UnboundedSender<Bytes>,
    shared: Arc<Shared>,
}

/// What reader, writer and senders have in common.
struct Shared {
    queued: AtomicUsize,
    total: TotalQueued,
    max_queued: usize,
    /// Wakes those who wait for [`LinkSender::room`] or [`LinkSender::emptied`].
    drained: Notify,
    reads: AtomicU64,
    /// Tells the writer that the peer has ticked.
    ticked: Notify,
    counting: Counting,
    over: CancellationToken,
    failure: std::sync::OnceLock<Failure>,
}

impl LinkSender {
    /// Queues a whole frame. Never waits: a peer that reads too slowly loses its
    /// link instead of our memory. The bound holds for each link, and for all of
    /// them together: then it meets those that have something waiting.
    pub(crate) fn send(&self, frame: Bytes) {
        let cost = cost(&frame);
        let queued = self.shared.queued.fetch_add(cost, Ordering::Relaxed) + cost;
        let total = self.shared.total.fetch_add(cost, Ordering::Relaxed) + cost;
        let max = self.shared.max_queued;
        if queued > max || (total > max && queued > SMALL_QUEUE) {
            let detail = format!("the peer leaves {queued} bytes unread");
            self.shared
                .end(Failure::new(FailureKind::QueueFull, detail));
        }
        // A closed queue means that the link is over, and its end is told elsewhere.
        let _ = self.queue.send(frame);
    }

    /// Waits until little enough is queued that [`send`](Self::send) costs no link,
    /// or the link is over. As a BEAM does with a process that sends to a busy port.
    pub(crate) async fn room(&self) {
        self.queued_below(self.shared.busy_at()).await;
    }

    async fn queued_below(&self, bytes: usize) {
        let shared = &self.shared;
        loop {
            let drained = shared.drained.notified();
            if shared.queued.load(Ordering::Relaxed) < bytes {
                return;
            }
            tokio::select! {
                () = drained => {}
                () = shared.over.cancelled() => return,
            }
        }
    }

    /// Waits until nothing is queued, or the link is over.
    pub(crate) async fn emptied(&self) {
        self.queued_below(1).await;
    }

    /// What went over the link so far.
    pub(crate) fn traffic(&self) -> Traffic {
        let queued = self.shared.queued.load(Ordering::Relaxed);
        self.shared.counting.traffic(queued)
    }

    /// Ends the link; [`LinkTasks::run`] returns why.
    pub(crate) fn close(&self, failure: Failure) {
        self.shared.end(failure);
    }
}

fn cost(frame: &Bytes) -> usize {
    frame.len() + FRAME_OVERHEAD
}

impl Shared {
    /// A frame has left the queue.
    fn sent(&self, cost: usize) {
        let before = self.queued.fetch_sub(cost, Ordering::Relaxed);
        self.total.fetch_sub(cost, Ordering::Relaxed);
        let (busy_at, left) = (self.busy_at(), before - cost);
        if left == 0 || (before >= busy_at && left < busy_at) {
            self.drained.notify_waiters();
        }
    }

    /// Below this no queue costs its link, whatever others hold.
    fn busy_at(&self) -> usize {
        SMALL_QUEUE.min(self.max_queued / 2)
    }

    /// The first failure is the one that counts.
    fn end(&self, failure: Failure) {
        let _ = self.failure.set(failure);
        self.over.cancel();
    }
}

impl Drop for Shared {
    /// What was never sent waits no longer.
    fn drop(&mut self) {
        let left = *self.queued.get_mut();
        self.total.fetch_sub(left, Ordering::Relaxed);
    }
}

/// Opens a link's queue; frames sent before [`LinkTasks::run`] wait in it.
pub(crate) fn open(config: &LinkConfig, total: &TotalQueued) -> (LinkSender, LinkTasks) {
    let (queue, queued) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        queued: AtomicUsize::new(0),
        total: Arc::clone(total),
        max_queued: config.max_queued,
        drained: Notify::new(),
        reads: AtomicU64::new(0),
        ticked: Notify::new(),
        counting: Counting::default(),
        over: CancellationToken::new(),
        failure: std::sync::OnceLock::new(),
    });
    let sender = LinkSender {
        unlink_ids: true,
        spawns: true,
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

/// A link that was opened, ready to run.
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
        let (_sender, tasks) = open(&config, &TotalQueued::default());
        let (ours, mut theirs) = duplex(1024);
        // Ticks without end: there is always something to read.
        let link = tokio::spawn(tasks.run(join(repeat(0), ours), BytesMut::new(), drop));
        let mut ticks = [0; 12];
        let limit = Duration::from_secs(10);
        let read = tokio::time::timeout(limit, theirs.read_exact(&mut ticks)).await;
        read.expect("no ticks in time").unwrap();
        link.abort();
    }

    #[tokio::test]
    async fn what_goes_over_a_link_is_counted() {
        let config = LinkConfig {
            net_ticktime: Duration::from_millis(400),
            max_frame: 1024,
            max_queued: 4096,
        };
        let (sender, tasks) = open(&config, &TotalQueued::default());
        sender.send(frames::frame(&[b"ab"]));
        sender.send(frames::frame(&[b"c"]));
        assert_eq!(sender.traffic().queued_bytes, 7 + 6 + 2 * 128);
        let (ours, mut theirs) = duplex(1024);
        // A message came with the handshake, and a tick behind it.
        let received = BytesMut::from(&b"\0\0\0\x02pq\0\0\0\0"[..]);
        let link = tokio::spawn(tasks.run(ours, received, drop));
        let limit = Duration::from_secs(10);
        // Both messages, and the tick after the first interval without a write.
        let mut written = [0; 7 + 6 + 4];
        let read = tokio::time::timeout(limit, theirs.read_exact(&mut written)).await;
        read.expect("no tick in time").unwrap();
        let traffic = sender.traffic();
        assert_eq!(traffic.received_bytes, 10);
        assert_eq!((traffic.received_messages, traffic.received_ticks), (1, 1));
        assert_eq!(traffic.sent_messages, 2);
        assert!(traffic.sent_bytes >= 17 && traffic.sent_ticks >= 1);
        assert_eq!(traffic.queued_bytes, 0);
        link.abort();
    }

    /// A link whose peer reads nothing, and what its queue is told to hold.
    fn stuck(total: &TotalQueued, frames: usize) -> (LinkSender, LinkTasks) {
        let config = LinkConfig {
            net_ticktime: Duration::from_secs(60),
            max_frame: 1024,
            max_queued: 4 * SMALL_QUEUE,
        };
        let (sender, tasks) = open(&config, total);
        for _ in 0..frames {
            sender.send(Bytes::from_static(&[0; 1024]));
        }
        (sender, tasks)
    }

    #[test]
    fn all_queues_together_are_bounded_and_small_ones_spared() {
        let total = TotalQueued::default();
        let (small, _small_tasks) = stuck(&total, 1);
        let links: Vec<_> = (0..10).map(|_| stuck(&total, 400)).collect();
        let ended = |sender: &LinkSender| sender.shared.over.is_cancelled();
        assert!(links.iter().any(|(sender, _)| ended(sender)));
        small.send(Bytes::from_static(&[0; 1024]));
        assert!(!ended(&small));
        drop(links);
        let left = total.load(Ordering::Relaxed);
        assert_eq!(left, 2 * (1024 + FRAME_OVERHEAD), "only the small one's");
    }
}
