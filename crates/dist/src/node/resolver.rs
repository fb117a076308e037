//! Host names to addresses, within bounds.
//!
//! The system's resolver blocks a thread for as long as DNS is silent, and cannot
//! be told to stop. Any database role can make us look up hosts that do not
//! exist; so only a few threads wait at one time, and while they are all taken a
//! host that was found before is taken to be where it was.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// Lookups at one time, those among them whose caller has given up.
const MAX_LOOKUPS: usize = 16;
/// Hosts remembered.
const MAX_KNOWN: usize = 1024;

#[derive(Debug)]
pub(super) struct Resolver {
    free: Arc<Semaphore>,
    known: Mutex<BTreeMap<String, Vec<IpAddr>>>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            known: Mutex::default(),
        }
    }
}

impl Resolver {
    /// All addresses of a host, IPv4 first: there nodes and EPMD listen unless
    /// they are told otherwise.
    ///
    /// Cancel safe, but the lookup goes on in its thread.
    pub(super) async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match self.recall(host) {
                Some(addresses) => return Ok(addresses),
                None => {
                    let waited = self.free.clone().acquire_owned().await;
                    waited.map_err(io::Error::other)?
                }
            },
        };
        let name = host.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            // Held until the system answers, whoever still waits for it.
            let _permit = permit;
            look_up(&name)
        });
        let addresses = lookup.await.map_err(io::Error::other)??;
        self.remember(host, &addresses);
        Ok(addresses)
    }

    fn recall(&self, host: &str) -> Option<Vec<IpAddr>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(host).cloned()
    }

    fn remember(&self, host: &str, addresses: &[IpAddr]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN && !known.contains_key(host) {
            known.pop_first();
        }
        known.insert(host.to_owned(), addresses.to_vec());
    }
}

fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = (host, 0).to_socket_addrs()?;
    let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn known_host_is_found_while_all_lookups_are_taken() {
        let resolver = Resolver::default();
        let found = resolver.addresses("localhost").await.unwrap();
        assert!(found[0].is_loopback() && found[0].is_ipv4(), "{found:?}");
        let all = u32::try_from(MAX_LOOKUPS).unwrap();
        let _taken = resolver.free.acquire_many(all).await.unwrap();
        assert_eq!(resolver.addresses("localhost").await.unwrap(), found);
    }

    #[test]
    fn memory_of_hosts_is_bounded() {
        let resolver = Resolver::default();
        for number in 0..2 * MAX_KNOWN {
            resolver.remember(&format!("host{number}"), &[]);
        }
        let known = resolver.known.lock().unwrap();
        assert_eq!(known.len(), MAX_KNOWN);
    }
}
