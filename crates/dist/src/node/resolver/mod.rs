//! Host names to addresses, within bounds.
//!
//! Any database role can make us look up hosts that do not exist, and DNS may be
//! silent about them for as long as we ask. So hosts are looked up in
//! `/etc/hosts` and in DNS by ourselves, which takes no thread and ends with its
//! dial: hundreds can wait for silence, and a host that DNS knows is found beside
//! them.
//!
//! The system may know more (mDNS, SSSD), but its resolver blocks a thread until it
//! is done. It is asked about what DNS denies, which takes it milliseconds as a
//! rule; and, in threads of their own, about what DNS is silent about: a host may be
//! known elsewhere while DNS is down. Whoever makes up hosts can fill the latter,
//! and delays by that only hosts that the system knows and DNS is silent about.

mod dns;
mod files;
mod sockets;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use dns::{Answer, Dns};
use files::{Hosts, Watched};
use sockets::Sockets;

/// Hosts that DNS is asked about at one time, which takes some 50 kB each: twice as
/// many as there may be dials of names that nobody has proven.
const MAX_QUERIES: usize = 512;
/// How long DNS alone is asked. It answers in milliseconds what it knows.
const DNS_ALONE: Duration = Duration::from_secs(1);
/// Threads for hosts that DNS denies, those among them whose caller has given up.
const MAX_DENIED: usize = 8;
/// Threads for hosts that the system may wait for in vain.
const MAX_UNSURE: usize = 8;
/// Hosts remembered.
const MAX_KNOWN: usize = 1024;

pub(super) struct Resolver {
    files: Mutex<Files>,
    dns_port: u16,
    sockets: Sockets,
    queries: Semaphore,
    system: System,
    known: Mutex<BTreeMap<String, Vec<IpAddr>>>,
}

/// Nothing of this exists before the first host that is no address.
struct Files {
    hosts: Watched<Hosts>,
    /// `None` while the file names no server.
    dns: Watched<Option<Arc<Dns>>>,
}

/// The system's own resolver, which blocks.
struct System {
    look_up: fn(&str) -> io::Result<Vec<IpAddr>>,
    denied: Arc<Semaphore>,
    unsure: Arc<Semaphore>,
}

/// Where to look.
struct Sources {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    dns_port: u16,
    system: fn(&str) -> io::Result<Vec<IpAddr>>,
}

/// Why a host has no addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LookupError {
    /// Nobody knows it; for a person.
    Unknown(String),
    /// Nobody has said so in time.
    Timeout,
}

/// What the files say.
enum Listed {
    Here(Vec<IpAddr>),
    AskDns(Arc<Dns>),
    /// They name no server of DNS.
    AskSystem,
}

/// What one lookup came to without a host's addresses.
struct Missing {
    /// DNS has denied the host, and the system does not know it either.
    denied: bool,
    cause: String,
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(Sources {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            dns_port: 53,
            system: ask_system,
        })
    }
}

impl Resolver {
    fn new(sources: Sources) -> Self {
        Self {
            files: Mutex::new(Files {
                hosts: Watched::new(sources.hosts),
                dns: Watched::new(sources.resolv_conf),
            }),
            dns_port: sources.dns_port,
            sockets: Sockets::default(),
            queries: Semaphore::new(MAX_QUERIES),
            system: System {
                look_up: sources.system,
                denied: Arc::new(Semaphore::new(MAX_DENIED)),
                unsure: Arc::new(Semaphore::new(MAX_UNSURE)),
            },
            known: Mutex::default(),
        }
    }

    /// All addresses of a host, IPv4 first: there nodes and EPMD listen unless
    /// they are told otherwise. A host that was found before is taken to be where it
    /// was when half of the limit brings no answer.
    ///
    /// # Errors
    ///
    /// When nobody knows the host, or says so within the limit.
    ///
    /// Cancel safe: dropped, it asks DNS no more. What the system is being asked goes
    /// on in its thread.
    pub(super) async fn addresses(
        &self,
        host: &str,
        limit: Duration,
    ) -> Result<Vec<IpAddr>, LookupError> {
        let known = lock(&self.known).get(host).cloned();
        let limit = if known.is_some() { limit / 2 } else { limit };
        let error = match timeout(limit, self.look_up(host)).await {
            Ok(Ok(mut found)) => {
                found.sort_by_key(IpAddr::is_ipv6);
                found.dedup();
                self.remember(host, &found);
                return Ok(found);
            }
            Ok(Err(missing)) if missing.denied => {
                lock(&self.known).remove(host);
                return Err(LookupError::Unknown(missing.cause));
            }
            Ok(Err(missing)) => LookupError::Unknown(missing.cause),
            Err(_) => LookupError::Timeout,
        };
        known.ok_or(error)
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, Missing> {
        let dns = match self.read_files(host) {
            Listed::Here(found) => return Ok(found),
            Listed::AskDns(dns) => dns,
            // The system has an own idea of where DNS is, and waits for it.
            Listed::AskSystem => return self.system.ask(host, &self.system.unsure).await,
        };
        let mut asked = pin!(self.ask_dns(&dns, host));
        match timeout(DNS_ALONE, &mut asked).await {
            Ok(Answer::Found(found)) => Ok(found),
            Ok(Answer::Denied) => {
                let threads = self.system.for_denied(host);
                let asked = self.system.ask(host, threads).await;
                asked.map_err(|missing| Missing {
                    denied: true,
                    ..missing
                })
            }
            Ok(Answer::Unsure(cause)) => {
                let asked = self.system.ask(host, &self.system.unsure).await;
                asked.map_err(|_| Missing::unsure(&cause))
            }
            // Slow or silent: the system may know it from elsewhere.
            Err(_) => tokio::select! {
                Answer::Found(found) = asked => Ok(found),
                Ok(found) = self.system.ask(host, &self.system.unsure) => Ok(found),
                else => Err(Missing::unsure(&"neither DNS nor the system tells")),
            },
        }
    }

    async fn ask_dns(&self, dns: &Dns, host: &str) -> Answer {
        match self.queries.acquire().await {
            Ok(_query) => dns.ask(host).await,
            Err(error) => Answer::Unsure(error.to_string()),
        }
    }

    fn read_files(&self, host: &str) -> Listed {
        let mut files = lock(&self.files);
        let hosts = files.hosts.get(|text| match text {
            Ok(text) => Hosts::parse(&text),
            Err(_) => Hosts::default(),
        });
        if let Some(found) = hosts.find(host) {
            return Listed::Here(found);
        }
        let dns = files.dns.get(|text| {
            let dns = text.and_then(|text| Dns::new(&text, self.dns_port, &self.sockets));
            dns.ok().map(Arc::new)
        });
        match dns {
            Some(dns) => Listed::AskDns(dns.clone()),
            None => Listed::AskSystem,
        }
    }

    fn remember(&self, host: &str, addresses: &[IpAddr]) {
        let mut known = lock(&self.known);
        if known.len() >= MAX_KNOWN && !known.contains_key(host) {
            known.pop_first();
        }
        known.insert(host.to_owned(), addresses.to_vec());
    }
}

impl System {
    async fn ask(&self, host: &str, threads: &Arc<Semaphore>) -> Result<Vec<IpAddr>, Missing> {
        let permit = threads.clone().acquire_owned().await;
        let permit = permit.map_err(|error| Missing::unsure(&error))?;
        let (look_up, host) = (self.look_up, host.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            // Held until the system answers, whoever still waits for it.
            let _permit = permit;
            look_up(&host)
        });
        let found = found.await.map_err(|error| Missing::unsure(&error))?;
        found.map_err(|error| Missing::unsure(&error))
    }

    /// Multicast DNS is denied by DNS, and silent about what nobody has.
    fn for_denied(&self, host: &str) -> &Arc<Semaphore> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_multicast = host.to_ascii_lowercase().ends_with(".local");
        if is_multicast {
            &self.unsure
        } else {
            &self.denied
        }
    }
}

impl Missing {
    fn unsure(cause: &impl ToString) -> Self {
        Self {
            denied: false,
            cause: cause.to_string(),
        }
    }
}

fn ask_system(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = (host, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
