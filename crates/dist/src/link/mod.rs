//! A link: one connection to one node, after the handshake.
//!
//! One task reads and writes: what is read is handled at once, what is to be sent waits in
//! a queue that all senders fill and the task empties. Source: erl_dist_protocol, "Protocol
//! between Connected Nodes".

mod answers;
mod carrier;
mod control;
mod frames;
mod pace;
mod queue;
mod reader;
pub(crate) mod signals;
mod ticks;
mod traffic;
mod writer;

pub(crate) use answers::{ATOM_ABANDONED, Answered, answer, let_go, monitor_exit};
pub(crate) use control::{Control, Spawn};
#[cfg(test)]
pub(crate) use frames::body_of;
pub(crate) use frames::{Body, LENGTH};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use reader::fuzz_frames;
pub(crate) use ticks::INTENSITY;
pub use traffic::Traffic;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use crate::error::{Failure, FailureKind};
use crate::socket::Quietable;
use carrier::Carrier;
use queue::{Batch, Queue};
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

#[cfg(any(test, feature = "fuzzing"))]
impl LinkConfig {
    /// With these limits, and OTP's net_ticktime.
    fn bounded(max_frame: usize, max_queued: usize) -> Self {
        Self {
            net_ticktime: Duration::from_secs(60),
            max_frame,
            max_queued,
        }
    }
}

/// What waits to be sent over all links of a node.
pub(crate) type TotalQueued = Arc<AtomicUsize>;

/// A link with less than this waiting reads fast enough, whatever others do.
const SMALL_QUEUE: usize = 256 * 1024;
thread_local! {
    /// Where frames are made, before they are queued.
    static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The sending end of a link. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LinkSender {
    /// Whether the peer acknowledges the ends of links between processes.
    pub(crate) unlink_ids: bool,
    /// Whether the peer takes spawn requests.
    pub(crate) spawns: bool,
    shared: Arc<Shared>,
}

/// What the link's task and its senders have in common.
struct Shared {
    waiting: Mutex<Waiting>,
    /// Bytes that are not written yet.
    queued: AtomicUsize,
    total: TotalQueued,
    max_queued: usize,
    /// Whether an interval has ended that the link's task has not looked at yet.
    interval_over: AtomicBool,
    /// Wakes those who wait for [`LinkSender::room`] or [`LinkSender::emptied`].
    drained: Notify,
    counting: Counting,
    /// Why the link is over, once it is.
    failure: OnceLock<Failure>,
}

#[derive(Default)]
struct Waiting {
    queue: Queue,
    /// The link's task.
    waker: Option<Waker>,
}

impl LinkSender {
    /// Queues a whole frame. Never waits: a peer that reads too slowly loses its
    /// link instead of our memory. The bound holds for each link, and for all of
    /// them together: then it meets those that have something waiting. What is judged is
    /// what waits already, so that no message is too long for an idle link: a link holds
    /// its bound and a frame at most, and all together the bound and, for each of them,
    /// [`SMALL_QUEUE`] and a frame.
    pub(crate) fn send(&self, frame: Bytes) {
        let len = frame.len();
        self.shared.push(len, |queue| queue.push_bytes(frame));
    }

    /// The same with a frame whose body `write` adds to what it is given; it returns what
    /// comes behind that without being copied.
    pub(crate) fn send_with<E>(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Option<Bytes>, E>,
    ) -> Result<(), E> {
        FRAME.with_borrow_mut(|frame| {
            frames::begin(frame);
            let tail = write(frame)?;
            let more = tail.as_ref().map_or(0, Bytes::len);
            frames::finish(frame, more);
            let len = frame.len() + more;
            self.shared.push(len, |queue| queue.push(frame, tail));
            Ok(())
        })
    }

    /// Waits until little enough is queued that [`send`](Self::send) costs no link,
    /// or the link is over. As a BEAM does with a process that sends to a busy port.
    pub(crate) async fn room(&self) {
        self.queued_below(self.shared.busy_at()).await;
    }

    async fn queued_below(&self, bytes: usize) {
        let shared = &self.shared;
        let is_below = || shared.queued.load(Ordering::Relaxed) < bytes || shared.is_over();
        while !is_below() {
            let drained = shared.drained.notified();
            if is_below() {
                return;
            }
            drained.await;
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

    /// Says that an interval of ticks is over: a quarter of the net_ticktime. Must be said
    /// once in each, or the link neither ticks nor notices a silent peer.
    pub(crate) fn interval_over(&self) {
        self.shared.interval_over.store(true, Ordering::Release);
        self.shared.wake();
    }

    /// Whether the link has ended, or been told to.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// Ends the link; [`LinkTask::run`] returns why.
    pub(crate) fn close(&self, failure: Failure) {
        self.shared.end(failure);
    }
}

/// A whole frame whose body `write` adds to what it is given, as in
/// [`LinkSender::send_with`].
pub(crate) fn frame_with<E>(
    write: impl FnOnce(&mut Vec<u8>) -> Result<Option<Bytes>, E>,
) -> Result<Bytes, E> {
    let mut frame = Vec::new();
    frames::begin(&mut frame);
    let tail = write(&mut frame)?;
    frame.extend_from_slice(&tail.unwrap_or_default());
    frames::finish(&mut frame, 0);
    Ok(Bytes::from(frame))
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, len: usize, push: impl FnOnce(&mut Queue)) {
        if self.is_over() {
            return;
        }
        let before = self.queued.fetch_add(len, Ordering::Relaxed);
        let total_before = self.total.fetch_add(len, Ordering::Relaxed);
        let max = self.max_queued;
        if before > max || (total_before > max && before > SMALL_QUEUE) {
            let detail = format!("the peer leaves {before} bytes unread");
            self.end(Failure::new(FailureKind::QueueFull, detail));
        }
        let mut waiting = self.waiting();
        let was_empty = waiting.queue.is_empty();
        push(&mut waiting.queue);
        let waker = was_empty.then(|| waiting.waker.take()).flatten();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves what waits to an empty batch; `false` if nothing does.
    fn take_queued(&self, batch: &mut Batch) -> bool {
        let mut waiting = self.waiting();
        let is_there = !waiting.queue.is_empty();
        if is_there {
            batch.take(&mut waiting.queue);
        }
        is_there
    }

    /// Has this task woken when something waits, or the link is over.
    fn wake_for_more(&self, task: &Waker) {
        let waker = &mut self.waiting().waker;
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(task)) {
            *waker = Some(task.clone());
        }
    }

    /// So many bytes have been written.
    fn sent(&self, bytes: usize) {
        let before = self.queued.fetch_sub(bytes, Ordering::Relaxed);
        self.total.fetch_sub(bytes, Ordering::Relaxed);
        let (busy_at, left) = (self.busy_at(), before - bytes);
        if left == 0 || (before >= busy_at && left < busy_at) {
            self.drained.notify_waiters();
        }
    }

    /// Below this no queue costs its link, whatever others hold.
    fn busy_at(&self) -> usize {
        SMALL_QUEUE.min(self.max_queued / 2)
    }

    fn is_over(&self) -> bool {
        self.failure.get().is_some()
    }

    /// The first failure is the one that counts.
    fn end(&self, failure: Failure) {
        let _ = self.failure.set(failure);
        self.drained.notify_waiters();
        self.wake();
    }

    /// Wakes the link's task.
    fn wake(&self) {
        let waker = self.waiting().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether an interval has ended since the last time that somebody asked.
    fn take_interval(&self) -> bool {
        self.interval_over.load(Ordering::Acquire)
            && self.interval_over.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Shared {
    /// What was never sent waits no longer.
    fn drop(&mut self) {
        let left = *self.queued.get_mut();
        self.total.fetch_sub(left, Ordering::Relaxed);
    }
}

/// Opens a link's queue; frames sent before [`LinkTask::run`] wait in it.
pub(crate) fn open(config: &LinkConfig, total: &TotalQueued) -> (LinkSender, LinkTask) {
    let shared = Arc::new(Shared {
        waiting: Mutex::default(),
        queued: AtomicUsize::new(0),
        total: Arc::clone(total),
        max_queued: config.max_queued,
        interval_over: AtomicBool::new(false),
        drained: Notify::new(),
        counting: Counting::default(),
        failure: OnceLock::new(),
    });
    let sender = LinkSender {
        unlink_ids: true,
        spawns: true,
        shared: Arc::clone(&shared),
    };
    let task = LinkTask {
        shared,
        config: *config,
    };
    (sender, task)
}

/// A link that was opened, ready to run.
pub(crate) struct LinkTask {
    shared: Arc<Shared>,
    config: LinkConfig,
}

impl LinkTask {
    /// Carries the link until it ends, and says why it did. `handle` gets the
    /// body of every frame that is no tick and must not block; `received` are
    /// bytes that came with the handshake.
    pub(crate) async fn run<S>(
        self,
        stream: S,
        received: BytesMut,
        handle: impl FnMut(Body<'_>),
    ) -> Failure
    where
        S: AsyncRead + AsyncWrite + Quietable + Unpin,
    {
        let mut stream = pin!(stream);
        let shared = &*self.shared;
        let mut carrier = Carrier::new(&self.config, received, shared, handle);
        let failure = match carrier.begin() {
            Ok(()) => poll_fn(|cx| carrier.poll(cx, stream.as_mut())).await,
            Err(failure) => failure,
        };
        shared.end(failure);
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
        let config = LinkConfig::bounded(1024, 1024);
        let (sender, tasks) = open(&config, &TotalQueued::default());
        let (ours, mut theirs) = duplex(1024);
        // Ticks without end: there is always something to read.
        let link = tokio::spawn(tasks.run(join(repeat(0), ours), BytesMut::new(), |_| {}));
        let limit = Duration::from_secs(10);
        for _ in 0..3 {
            sender.interval_over();
            let mut tick = [1; 4];
            let read = tokio::time::timeout(limit, theirs.read_exact(&mut tick)).await;
            read.expect("no tick in time").unwrap();
            assert_eq!(tick, [0; 4]);
        }
        link.abort();
    }

    #[tokio::test]
    async fn what_goes_over_a_link_is_counted() {
        let config = LinkConfig::bounded(1024, 4096);
        let (sender, tasks) = open(&config, &TotalQueued::default());
        sender.send(frames::frame(&[b"ab"]));
        sender.send(frames::frame(&[b"c"]));
        assert_eq!(sender.traffic().queued_bytes, 7 + 6);
        let (ours, mut theirs) = duplex(1024);
        // A message came with the handshake, and a tick behind it.
        let received = BytesMut::from(&b"\0\0\0\x02pq\0\0\0\0"[..]);
        let link = tokio::spawn(tasks.run(ours, received, |_| {}));
        let limit = Duration::from_secs(10);
        let mut written = [0; 7 + 6];
        let read = tokio::time::timeout(limit, theirs.read_exact(&mut written)).await;
        read.expect("no messages in time").unwrap();
        // Nothing is written in the second.
        for _ in 0..2 {
            sender.interval_over();
            tokio::task::yield_now().await;
        }
        let read = tokio::time::timeout(limit, theirs.read_exact(&mut [0; 4])).await;
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
    fn stuck(total: &TotalQueued, frames: usize) -> (LinkSender, LinkTask) {
        let config = LinkConfig::bounded(1024, 4 * SMALL_QUEUE);
        let (sender, tasks) = open(&config, total);
        for _ in 0..frames {
            sender.send(Bytes::from_static(&[0; 1024]));
        }
        (sender, tasks)
    }

    #[test]
    fn idle_link_takes_a_message_of_any_length_and_no_second_behind_it() {
        let config = LinkConfig::bounded(1024, 2048);
        let (sender, _tasks) = open(&config, &TotalQueued::default());
        sender.send(Bytes::from_static(&[0; 4096]));
        assert!(!sender.shared.is_over());
        sender.send(Bytes::from_static(&[0; 1]));
        assert!(sender.shared.is_over());
    }

    #[test]
    fn large_message_to_each_of_many_idle_links_costs_none_of_them() {
        let total = TotalQueued::default();
        let message = Bytes::from(vec![0; 2 * SMALL_QUEUE]);
        let links: Vec<_> = (0..20).map(|_| stuck(&total, 0)).collect();
        for (sender, _) in &links {
            sender.send(message.clone());
        }
        assert!(links.iter().all(|(sender, _)| !sender.shared.is_over()));
        // Whoever has not read it by the next one does not read.
        links[0].0.send(message);
        assert!(links[0].0.shared.is_over());
    }

    #[test]
    fn all_queues_together_are_bounded_and_small_ones_spared() {
        let total = TotalQueued::default();
        let (small, _small_tasks) = stuck(&total, 1);
        let links: Vec<_> = (0..10).map(|_| stuck(&total, 400)).collect();
        let ended = |sender: &LinkSender| sender.shared.is_over();
        assert!(links.iter().any(|(sender, _)| ended(sender)));
        small.send(Bytes::from_static(&[0; 1024]));
        assert!(!ended(&small));
        drop(links);
        let left = total.load(Ordering::Relaxed);
        assert_eq!(left, 2 * 1024, "only the small one's");
    }
}
