//! The addresses of the servers' hosts.
//!
//! The system's resolver blocks a thread for as long as DNS is silent and cannot
//! be told to stop; a daemon that tries for ever must not add a thread each time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

type Lookup = JoinHandle<io::Result<Vec<IpAddr>>>;

/// At most one lookup for each host of the connection string, and what the last
/// ones found.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    under_way: HashMap<String, Lookup>,
    known: HashMap<String, Vec<IpAddr>>,
}

impl Resolver {
    /// All addresses of a host. While DNS fails or is silent, those it had before.
    ///
    /// Cancel safe: a lookup that nobody waited for is found by the next call.
    pub(super) async fn addresses(
        &mut self,
        host: &str,
        limit: Duration,
    ) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        match self.look_up(host, limit).await {
            Ok(found) => {
                self.known.insert(host.to_owned(), found.clone());
                Ok(found)
            }
            Err(error) => self.known.get(host).cloned().ok_or(error),
        }
    }

    async fn look_up(&mut self, host: &str, limit: Duration) -> io::Result<Vec<IpAddr>> {
        let start = || {
            let host = host.to_owned();
            spawn_blocking(move || ask_system(&host))
        };
        let lookup = self.under_way.entry(host.to_owned()).or_insert_with(start);
        let finished = timeout(limit, lookup).await;
        let found = finished.map_err(|_| io::Error::other("no answer from DNS in time"))?;
        self.under_way.remove(host);
        found.map_err(io::Error::other)?
    }
}

fn ask_system(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<_> = (host, 0).to_socket_addrs()?.map(|a| a.ip()).collect();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn addresses_stay_known_while_dns_fails() {
        let mut resolver = Resolver::default();
        let gone = vec![IpAddr::from([10, 0, 0, 7])];
        resolver
            .known
            .insert("gone.invalid".to_owned(), gone.clone());
        let found = resolver.addresses("gone.invalid", LIMIT).await.unwrap();
        assert_eq!(found, gone);
        assert!(resolver.addresses("never.invalid", LIMIT).await.is_err());
        assert!(resolver.under_way.is_empty());
    }

    #[tokio::test]
    async fn one_lookup_for_each_host_however_often_it_is_asked_for() {
        let mut resolver = Resolver::default();
        let silent = tokio::spawn(std::future::pending());
        resolver.under_way.insert("slow.test".to_owned(), silent);
        for _ in 0..3 {
            let asked = resolver.addresses("slow.test", Duration::from_millis(1));
            assert!(asked.await.is_err());
        }
        assert_eq!(resolver.under_way.len(), 1);
    }
}
