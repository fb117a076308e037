//! The clock of all links of a node: it wakes them together, once in an interval.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Inner, Links};
use crate::link::{INTENSITY, LinkSender};

impl Inner {
    /// Has the clock run while there are links. Under the lock, with each new one: where a
    /// node has no runtime of its own, the one that carried the clock may be gone.
    pub(super) fn keep_ticking(self: &Arc<Self>, links: &mut Links) {
        if links.clock.as_ref().is_none_or(JoinHandle::is_finished) {
            let period = self.config.net_ticktime / INTENSITY;
            links.clock = Some(self.spawn(tick(Arc::downgrade(self), period)));
        }
    }

    /// An interval is over; `false` if there is nobody any more to be told.
    fn tick(&self) -> bool {
        let mut links = self.links();
        links.senders.values().for_each(LinkSender::interval_over);
        if links.senders.is_empty() {
            links.clock = None;
        }
        links.clock.is_some()
    }
}

async fn tick(node: Weak<Inner>, period: Duration) {
    // A period of nothing is none, and the runtime panics at it.
    let period = period.max(Duration::from_millis(1));
    let mut interval = interval_at(Instant::now() + period, period);
    // What was missed is not made up for.
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        if !node.upgrade().is_some_and(|node| node.tick()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt as _, duplex};
    use tokio::runtime::{Builder, Runtime};

    use super::super::{Node, NodeConfig};
    use crate::Cookie;
    use crate::link::{self, LinkId};

    use super::*;

    /// Has a link of this node until it has ticked twice.
    async fn ticks(node: &Node, link: LinkId) {
        let inner = &node.inner;
        let (sender, task) = link::open(&inner.config.link_config(), &inner.queued);
        {
            let mut links = inner.links();
            links.senders.insert(link, sender);
            inner.keep_ticking(&mut links);
        }
        let (ours, mut theirs) = duplex(64);
        let carried = tokio::spawn(task.run(ours, BytesMut::new(), |_| {}));
        let mut both = [0; 8];
        let read = theirs.read_exact(&mut both);
        let read = tokio::time::timeout(Duration::from_secs(10), read).await;
        read.expect("no ticks in time").unwrap();
        inner.links().senders.remove(&link);
        carried.abort();
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn node() -> Node {
        let mut config = NodeConfig::new("a@h".parse().unwrap(), Cookie::new("c"));
        config.net_ticktime = Duration::from_millis(200);
        Node::dynamic(config).0
    }

    #[test]
    fn clock_begins_anew_where_the_runtime_that_had_it_is_gone() {
        let node = node();
        runtime().block_on(ticks(&node, LinkId(1)));
        runtime().block_on(ticks(&node, LinkId(2)));
    }

    #[tokio::test]
    async fn clock_stops_without_links_and_begins_anew_with_the_next() {
        let node = node();
        ticks(&node, LinkId(1)).await;
        let is_over = || node.inner.links().clock.is_none();
        let stopping = async {
            while !is_over() {
                tokio::task::yield_now().await;
            }
        };
        let stopped = tokio::time::timeout(Duration::from_secs(10), stopping).await;
        stopped.expect("it runs for nobody");
        ticks(&node, LinkId(2)).await;
    }
}
