//! Which connections of a listener may be open.
//!
//! One that waits for its next request keeps nobody out: the one that waits
//! longest makes room.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Room for every reader of events, and for many who ask at once.
const MAX_OPEN: usize = 128;

/// The connections of one listener.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    /// Those that wait for a request, longest first.
    waiting: BTreeMap<u64, CancellationToken>,
    /// How many are being answered.
    in_use: usize,
    next_turn: u64,
}

/// The place of one connection.
pub(super) struct Place {
    connections: Connections,
    turn: AtomicU64,
    lost: CancellationToken,
}

/// While this lives, the connection's place is not given to another.
pub(super) struct InUse(Arc<Place>);

impl Connections {
    /// A place for a new connection; `None` if all are in use.
    pub(super) fn admit(&self) -> Option<Arc<Place>> {
        let lost = CancellationToken::new();
        let mut table = self.table();
        if table.in_use + table.waiting.len() >= MAX_OPEN {
            let (_, longest) = table.waiting.pop_first()?;
            longest.cancel();
        }
        let turn = table.wait(lost.clone());
        Some(Arc::new(Place {
            connections: self.clone(),
            turn: AtomicU64::new(turn),
            lost,
        }))
    }

    /// The lock is held for a look or a change, never across an await.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn wait(&mut self, lost: CancellationToken) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.waiting.insert(turn, lost);
        turn
    }
}

impl Place {
    /// A request has come.
    pub(super) fn take_up(self: &Arc<Self>) -> InUse {
        let mut table = self.connections.table();
        table.waiting.remove(&self.turn.load(Ordering::Relaxed));
        table.in_use += 1;
        InUse(self.clone())
    }

    /// Returns once the place is another's. Cancel safe.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut table = self.0.connections.table();
        table.in_use -= 1;
        let turn = table.wait(self.0.lost.clone());
        self.0.turn.store(turn, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let turn = *self.turn.get_mut();
        self.connections.table().waiting.remove(&turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(place: &Place) -> bool {
        place.lost.is_cancelled()
    }

    #[test]
    fn whoever_waits_longest_makes_room_and_nobody_who_is_answered() {
        let connections = Connections::default();
        let places: Vec<_> = (0..MAX_OPEN)
            .map(|_| connections.admit().unwrap())
            .collect();
        let answered = places[0].take_up();
        let newcomer = connections.admit().unwrap();
        assert!(is_lost(&places[1]) && !is_lost(&places[0]));
        // After its answer it waits behind all others.
        drop(answered);
        let another = connections.admit().unwrap();
        assert!(is_lost(&places[2]) && !is_lost(&places[0]));
        assert!(!is_lost(&newcomer) && !is_lost(&another));
    }

    #[test]
    fn nobody_is_let_in_while_all_are_being_answered() {
        let connections = Connections::default();
        let places: Vec<_> = (0..MAX_OPEN)
            .map(|_| connections.admit().unwrap())
            .collect();
        let mut answered: Vec<_> = places.iter().map(Place::take_up).collect();
        assert!(connections.admit().is_none());
        answered.pop();
        assert!(connections.admit().is_some());
    }

    #[test]
    fn connections_that_end_leave_nothing_behind() {
        let connections = Connections::default();
        for _ in 0..3 * MAX_OPEN {
            let place = connections.admit().unwrap();
            drop(place.take_up());
            let _unanswered = place.take_up();
        }
        let table = connections.table();
        assert_eq!((table.in_use, table.waiting.len()), (0, 0));
    }
}
