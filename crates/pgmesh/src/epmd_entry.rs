//! Whom an entry of this host's EPMD means, by what the node says of itself.

use std::net::SocketAddr;

use pgmesh_dist::{FailureKind, Node, ProbeError, Probed};
use pgmesh_name::NodeName;

/// Asks at EPMD's own address first, and where nobody listens at the one of this
/// host's name: a node may be bound to that alone (`inet_dist_use_interface`).
///
/// # Errors
///
/// Of the first question. Cancel safe.
pub(crate) async fn ask(
    asker: &Node,
    entry: Option<&NodeName>,
    address: SocketAddr,
) -> Result<Probed, ProbeError> {
    let error = match asker.probe(address).await {
        Err(error) if error.kind() == FailureKind::Refused => error,
        answered => return answered,
    };
    let Some(name) = entry else {
        return Err(error);
    };
    asker.find(name).await.map_err(|_| error)
}

/// An alive name on the host of another name.
pub(crate) fn beside(own: &NodeName, alive: &str) -> Option<NodeName> {
    format!("{alive}@{}", own.host()).parse().ok()
}
