//! A node of ours for the time of the examination.
//!
//! It stands in for the daemon where none runs, shows whether EPMD takes names, and
//! dials others as the daemon does, with a name of its own: the daemon's links, and
//! what EPMD has of it, stay as they are.

use std::net::SocketAddr;
use std::time::Duration;

use pgmesh_dist::{Node, NodeConfig, NodeEvent, NodeEvents, StartError};
use pgmesh_name::{AllowList, NodeName, PeerAddress, PeerMap};
use tokio::time::timeout;

use crate::daemon::node_config;
use crate::settings::{EpmdMode, RunSettings};

/// EPMD has answered by the time the node has started, or does not.
const REGISTERED_LIMIT: Duration = Duration::from_millis(500);

pub(super) struct Visitor {
    node: Node,
    name: NodeName,
    registered: bool,
    /// Why it does not listen where the settings say.
    listen_error: Option<StartError>,
    /// Asks for any node, whatever may be dialled; nobody gets a digest from it.
    asker: Node,
}

impl Visitor {
    /// Listens where the settings say, unless the daemon does.
    ///
    /// # Errors
    ///
    /// When no port at all can be listened on.
    pub(super) async fn start(settings: &RunSettings, daemon_runs: bool) -> anyhow::Result<Self> {
        let alive = format!("{}-doctor-{}", settings.name.alive(), std::process::id());
        let name: NodeName = format!("{alive}@{}", settings.name.host()).parse()?;
        let mut config = NodeConfig {
            name: name.clone(),
            ..node_config(settings)
        };
        if daemon_runs {
            config.listen.set_port(0);
        }
        let (started, listen_error) = match Node::start(config.clone()).await {
            Err(error @ StartError::Listen { .. }) => {
                config.listen = SocketAddr::from(([0, 0, 0, 0], 0)).into();
                (Node::start(config.clone()).await?, Some(error))
            }
            started => (started?, None),
        };
        let (node, mut events) = started;
        if settings.epmd == EpmdMode::None {
            know_ourselves(settings, &name, &mut config.peers);
        }
        let anywhere = NodeConfig {
            allow: AllowList::parse(["*@*"]).unwrap_or_default(),
            ..config
        };
        Ok(Self {
            registered: is_registered(&mut events).await,
            node,
            name,
            listen_error,
            asker: Node::dynamic(anywhere).0,
        })
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn asker(&self) -> &Node {
        &self.asker
    }

    pub(super) fn name(&self) -> &NodeName {
        &self.name
    }

    pub(super) fn alive(&self) -> &str {
        self.name.alive()
    }

    pub(super) fn is_registered(&self) -> bool {
        self.registered
    }

    pub(super) fn listen_error(&self) -> Option<&StartError> {
        self.listen_error.as_ref()
    }

    /// Closes its links, and gives its name back.
    pub(super) fn leave(&self) {
        self.node.stop();
        self.asker.stop();
    }
}

/// Without EPMD we are where we listen, which need not be where all others do.
fn know_ourselves(settings: &RunSettings, visitor: &NodeName, peers: &mut PeerMap) {
    let (ip, port) = (None, settings.listen.port());
    for name in [&settings.name, visitor] {
        peers.insert(name.clone(), PeerAddress { ip, port });
    }
}

async fn is_registered(events: &mut NodeEvents) -> bool {
    let first = timeout(REGISTERED_LIMIT, events.recv()).await;
    matches!(first, Ok(Some(NodeEvent::Registered)))
}
