//! Connections whose handshake has not proven a cookie yet, kept within bounds.
//!
//! Anybody who reaches the port can open connections and say nothing. A newcomer
//! never waits for a free place: the oldest connection of the address that has
//! most of them makes room. An honest handshake takes milliseconds, so what makes
//! room is almost never an honest one, even if all come from one address.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use tokio_util::sync::CancellationToken;

/// How many there may be at one time.
pub(super) const MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Unfinished {
    last: u64,
    // Numbers grow, so the first of an address is its oldest.
    connections: BTreeMap<u64, Connection>,
    per_address: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    evicted: CancellationToken,
}

impl Unfinished {
    /// Enters a connection; the token is cancelled when it has to make room.
    pub(super) fn enter(&mut self, address: IpAddr) -> (u64, CancellationToken) {
        if self.connections.len() >= MAX {
            self.evict();
        }
        self.last += 1;
        let evicted = CancellationToken::new();
        let connection = Connection {
            address,
            evicted: evicted.clone(),
        };
        self.connections.insert(self.last, connection);
        *self.per_address.entry(address).or_default() += 1;
        (self.last, evicted)
    }

    /// Its handshake is over, one way or the other.
    pub(super) fn leave(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        if let Some(count) = self.per_address.get_mut(&connection.address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&connection.address);
            }
        }
    }

    fn evict(&mut self) {
        let Some(most) = self.per_address.values().max().copied() else {
            return;
        };
        let is_busiest = |address| self.per_address.get(address) == Some(&most);
        let oldest = self
            .connections
            .iter()
            .find(|(_, c)| is_busiest(&c.address));
        if let Some((&number, connection)) = oldest {
            connection.evicted.cancel();
            self.leave(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn oldest_of_the_busiest_address_makes_room() {
        let mut unfinished = Unfinished::default();
        let (honest, honest_evicted) = unfinished.enter(address(1));
        let flood: Vec<_> = (1..MAX).map(|_| unfinished.enter(address(2)).1).collect();
        let (_, newcomer_evicted) = unfinished.enter(address(3));
        assert!(flood[0].is_cancelled() && !flood[1].is_cancelled());
        assert!(!honest_evicted.is_cancelled() && !newcomer_evicted.is_cancelled());
        unfinished.leave(honest);
        unfinished.enter(address(3));
        assert!(!flood[1].is_cancelled(), "there was room");
    }

    #[test]
    fn newcomer_from_the_flooding_address_gets_in() {
        let mut unfinished = Unfinished::default();
        for _ in 0..10 * MAX {
            let (_, evicted) = unfinished.enter(address(1));
            assert!(!evicted.is_cancelled());
        }
        assert_eq!(unfinished.connections.len(), MAX);
        assert_eq!(unfinished.per_address[&address(1)], MAX);
    }
}
