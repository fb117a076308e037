//! The clock of all links of a node: it wakes them together, once in an interval.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Inner, Links};
use crate::link::{INTENSITY, LinkSender};

impl Inner {
    /// Has the clock run while there are links. Under the lock, with the first of them.
    pub(super) fn keep_ticking(self: &Arc<Self>, links: &mut Links) {
        if !std::mem::replace(&mut links.are_ticking, true) {
            tokio::spawn(tick(
                Arc::downgrade(self),
                self.config.net_ticktime / INTENSITY,
            ));
        }
    }

    /// An interval is over; `false` if there is nobody any more to be told.
    fn tick(&self) -> bool {
        let mut links = self.links();
        links.senders.values().for_each(LinkSender::interval_over);
        links.are_ticking = !links.senders.is_empty();
        links.are_ticking
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
