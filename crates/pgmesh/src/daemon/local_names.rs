//! Which nodes live on this host: EPMD knows their alive names, they themselves the
//! rest.
//!
//! EPMD tells neither a full name nor whether a node is hidden; so each of its
//! entries is asked once, by a handshake that ends at the challenge.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pgmesh_dist::{FailureKind, Node, epmd};
use pgmesh_name::NodeName;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::run_loop::Outcome;

/// How often EPMD is asked.
const INTERVAL: Duration = Duration::from_millis(500);
const ASK_LIMIT: Duration = Duration::from_secs(2);
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
        loop {
            if let Ok(listed) = epmd::names(epmd, ASK_LIMIT).await {
                let listed = listed
                    .into_iter()
                    .map(|(name, port)| (name.to_string(), port));
                let names = entries.learn(listed.collect()).await;
                if outcomes.send(Outcome::LocalNames(names)).is_err() {
                    return;
                }
            }
            sleep(INTERVAL).await;
        }
    }))
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
    async fn learn(&mut self, listed: Vec<(String, u16)>) -> Vec<NodeName> {
        self.known.retain(|entry, _| listed.contains(entry));
        let mut names = Vec::new();
        for (alive, port) in listed {
            if alive != self.own_alive
                && let Entry::Visible(name) = self.entry(alive, port).await
            {
                names.push(name.clone());
            }
        }
        names.sort();
        names
    }

    async fn entry(&mut self, alive: String, port: u16) -> &Entry {
        let key = (alive, port);
        let known = match self.known.remove(&key) {
            Some(Entry::Nobody { ask_again_at }) if ask_again_at <= Instant::now() => None,
            known => known,
        };
        let entry = match known {
            Some(entry) => entry,
            None => self.probe(&key.0, port).await,
        };
        self.known.entry(key).or_insert(entry)
    }

    async fn probe(&self, alive: &str, port: u16) -> Entry {
        let address = SocketAddr::new(self.epmd.ip(), port);
        let error = match self.node.probe(address).await {
            Ok(probed) if probed.hidden => return Entry::Hidden,
            Ok(probed) => return Entry::Visible(probed.name),
            Err(error) => error,
        };
        // Who is linked to us does not say its name again: the link has it.
        let linked = (error.kind() == FailureKind::AlreadyLinked).then(|| self.linked(alive));
        if let Some(name) = linked.flatten() {
            return Entry::Visible(name);
        }
        tracing::debug!("port {port} of this host's EPMD: {error}");
        Entry::Nobody {
            ask_again_at: Instant::now() + ASK_AGAIN,
        }
    }

    /// Whom of those linked to us an entry means: if several have that alive name, the
    /// one with our own host.
    fn linked(&self, alive: &str) -> Option<NodeName> {
        let own_host = self.node.name().map(|name| name.host().to_owned());
        let linked = self.node.linked().into_iter();
        let linked: Vec<_> = linked.filter(|name| name.alive() == alive).collect();
        let ours = linked
            .iter()
            .find(|name| Some(name.host()) == own_host.as_deref());
        ours.or(linked.first().filter(|_| linked.len() == 1))
            .cloned()
    }
}
