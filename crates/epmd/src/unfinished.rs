//! Connections whose peers are waited for, and until when.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::RawFd;

use tokio::time::Instant;

use crate::connection::Connection;

#[derive(Default)]
pub(crate) struct Unfinished {
    connections: HashMap<RawFd, Connection>,
    deadlines: BTreeSet<(Instant, RawFd)>,
}

impl Unfinished {
    pub(crate) fn insert(&mut self, connection: Connection) {
        let number = connection.number();
        self.deadlines.insert((connection.deadline(), number));
        self.connections.insert(number, connection);
    }

    pub(crate) fn remove(&mut self, number: RawFd) -> Option<Connection> {
        let connection = self.connections.remove(&number)?;
        self.deadlines.remove(&(connection.deadline(), number));
        Some(connection)
    }

    /// Takes one out that is late, if there is one.
    pub(crate) fn remove_late(&mut self, now: Instant) -> Option<Connection> {
        let (deadline, number) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.remove(number)
    }

    /// When the next one is late.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}
