//! Which nodes live on this host: EPMD knows their alive names, they themselves the
//! rest.
//!
//! EPMD tells neither a full name nor whether a node is hidden; so each of its
//! entries is asked once, by a handshake that ends at the challenge.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pgmesh_dist::{Node, epmd};
use pgmesh_name::{AliveName, NodeName};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::run_loop::Outcome;
use crate::epmd_entry;

/// How often EPMD is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often, and how often the same is told again, once nothing has changed for a while.
/// To ask costs more than all else that a daemon at rest does.
const QUIET_INTERVAL: Duration = Duration::from_secs(1);
const TOLD_AGAIN: Duration = Duration::from_secs(5);
const QUIET_AFTER: Duration = Duration::from_secs(10);
const ASK_LIMIT: Duration = Duration::from_secs(2);
/// A node of this host answers in milliseconds.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// How long who could not be asked is left alone.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Stops asking when it is dropped.
pub(super) struct Asking(JoinHandle<()>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks EPMD again and again. Where it does not answer nothing is told: that it
/// lists nobody would be something else.
pub(super) fn spawn(
    epmd: SocketAddr,
    own_alive: String,
    node: Node,
    outcomes: mpsc::UnboundedSender<Outcome>,
) -> Asking {
    Asking(tokio::spawn(async move {
        let mut entries = Entries {
            epmd,
            own_alive,
            node,
            known: HashMap::new(),
        };
        let mut rhythm = Rhythm::new(Instant::now());
        loop {
            if let Ok(listed) = epmd::names_unhurried(epmd, ASK_LIMIT).await
                && rhythm.is_due(&listed, Instant::now())
            {
                let listed = listed
                    .into_iter()
                    .map(|(name, port)| (name.to_string(), port));
                let names = entries.learn(listed.collect()).await;
                if outcomes.send(Outcome::LocalNames(names)).is_err() {
                    return;
                }
            }
            sleep(rhythm.pause(Instant::now())).await;
        }
    }))
}

/// When EPMD is asked, and when what it says is worth a look.
struct Rhythm {
    last: Vec<(AliveName, u16)>,
    changed_at: Instant,
    told_at: Instant,
}

impl Rhythm {
    fn new(now: Instant) -> Self {
        Self {
            last: Vec::new(),
            changed_at: now,
            told_at: now,
        }
    }

    fn is_due(&mut self, listed: &[(AliveName, u16)], now: Instant) -> bool {
        if listed != self.last {
            self.last = listed.to_vec();
            self.changed_at = now;
        }
        let is_due = !self.is_quiet(now) || now >= self.told_at + TOLD_AGAIN;
        if is_due {
            self.told_at = now;
        }
        is_due
    }

    fn pause(&self, now: Instant) -> Duration {
        if self.is_quiet(now) {
            QUIET_INTERVAL
        } else {
            INTERVAL
        }
    }

    fn is_quiet(&self, now: Instant) -> bool {
        now >= self.changed_at + QUIET_AFTER
    }
}

struct Entries {
    epmd: SocketAddr,
    own_alive: String,
    node: Node,
    known: HashMap<(String, u16), Entry>,
}

enum Entry {
    Visible(NodeName),
    Hidden,
    /// No node, or none that answers.
    Nobody {
        ask_again_at: Instant,
    },
}

impl Entries {
    /// Everybody who is not known yet is asked at the same time: one who is silent
    /// holds up nobody else for longer than a probe may take.
    async fn learn(&mut self, listed: Vec<(String, u16)>) -> Vec<NodeName> {
        self.known.retain(|entry, _| listed.contains(entry));
        let mut probes = JoinSet::new();
        for (alive, port) in listed {
            if alive != self.own_alive && self.is_to_be_asked(&alive, port) {
                let (node, address) = (self.node.clone(), SocketAddr::new(self.epmd.ip(), port));
                probes.spawn(async move {
                    let entry = probe(&node, &alive, address).await;
                    ((alive, port), entry)
                });
            }
        }
        while let Some(probed) = probes.join_next().await {
            self.known.extend(probed);
        }
        let mut names: Vec<_> = self.known.values().filter_map(Entry::name).collect();
        names.sort();
        names
    }

    fn is_to_be_asked(&self, alive: &str, port: u16) -> bool {
        match self.known.get(&(alive.to_owned(), port)) {
            None => true,
            Some(Entry::Nobody { ask_again_at }) => *ask_again_at <= Instant::now(),
            Some(Entry::Visible(_) | Entry::Hidden) => false,
        }
    }
}

impl Entry {
    fn name(&self) -> Option<NodeName> {
        match self {
            Self::Visible(name) => Some(name.clone()),
            Self::Hidden | Self::Nobody { .. } => None,
        }
    }
}

async fn probe(node: &Node, alive: &str, address: SocketAddr) -> Entry {
    let nobody = || Entry::Nobody {
        ask_again_at: Instant::now() + ASK_AGAIN,
    };
    let name = node.name().and_then(|own| epmd_entry::beside(own, alive));
    let question = epmd_entry::ask(node, name.as_ref(), address);
    let error = match timeout(PROBE_LIMIT, question).await {
        Ok(Ok(probed)) if probed.hidden => return Entry::Hidden,
        Ok(Ok(probed)) => return Entry::Visible(probed.name),
        Ok(Err(error)) => error,
        Err(_) => {
            tracing::debug!(
                %address,
                "{alive} of this host's EPMD does not answer at {address}"
            );
            return nobody();
        }
    };
    tracing::debug!(%address, kind = error.kind().as_str(), "{alive} of this host's EPMD: {error}");
    nobody()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(alive: &str) -> Vec<(AliveName, u16)> {
        let name: NodeName = format!("{alive}@h").parse().unwrap();
        vec![(name.alive_name(), 9100)]
    }

    #[test]
    fn what_stays_the_same_is_asked_and_told_more_seldom() {
        let started = Instant::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let mut rhythm = Rhythm::new(started);
        let due: Vec<_> = (0..=21)
            .filter(|n| rhythm.is_due(&listed("a"), at(*n)))
            .collect();
        assert_eq!(due, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 19]);
        assert_eq!(rhythm.pause(at(21)), QUIET_INTERVAL);
        assert!(rhythm.is_due(&listed("b"), at(22)) && rhythm.is_due(&listed("b"), at(23)));
        assert_eq!(rhythm.pause(at(23)), INTERVAL);
    }
}
