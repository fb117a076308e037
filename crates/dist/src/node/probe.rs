//! Asks who listens at an address, without proving anything to it.

use std::net::SocketAddr;

use pgmesh_name::NodeName;

use super::{Inner, Node};
use crate::error::{Failure, FailureKind};
use crate::handshake::{self, Challenge, Inquirer, Local, LocalName, is_hidden};
use crate::{ConnectError, ProbeError};

/// What a node says of itself in its challenge. Nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Its full name: EPMD knows only the part before the `@`.
    pub name: NodeName,
    /// Which life of that name it is.
    pub creation: u32,
    /// Whether it is a hidden node.
    pub hidden: bool,
    /// Where it was asked.
    pub address: SocketAddr,
}

impl Node {
    /// Asks the node that listens at this address for its full name, and closes
    /// before a digest leaves us. For ports that an EPMD lists.
    ///
    /// Asked under a name of its own, `alive-probe@host`: a node that dials us at this
    /// moment would take the same name for our dial, wait for it, and fail with it.
    /// Links and dials in either direction are left as they are. Where
    /// `net_kernel:allow/1` refuses that name, it is asked once more under ours.
    ///
    /// # Errors
    ///
    /// Says at which step it failed; each has the set-up time-out for itself.
    ///
    /// Cancel safe: dropped, it closes the connection.
    pub async fn probe(&self, address: SocketAddr) -> Result<Probed, ProbeError> {
        let inner = &self.inner;
        let outcome = tokio::select! {
            biased;
            () = inner.stopped.cancelled() => {
                Err(Failure::new(FailureKind::ClosedByUs, "this node stops"))
            }
            // Its name is not known yet; who is probed lives on our own host.
            outcome = inner.inquire(address, inner.config.name.host()) => outcome,
        };
        outcome.map_err(|failure| ProbeError::new(address, failure))
    }

    /// [`probe`](Self::probe) by name: takes every step of a dial up to the challenge.
    /// For finding out whether a node can be reached under its name, and where.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), up to the challenge. Cancel safe.
    pub async fn find(&self, peer: &NodeName) -> Result<Probed, ConnectError> {
        let found = self.inner.find(peer).await;
        found.map_err(|failure| ConnectError::new(peer, failure))
    }
}

impl Inner {
    async fn find(&self, peer: &NodeName) -> Result<Probed, Failure> {
        let address = self.locate(peer).await?;
        let probed = self.inquire(address, peer.host()).await?;
        if probed.name == *peer {
            return Ok(probed);
        }
        let detail = format!("another node answered, {}", probed.name);
        Err(Failure::new(FailureKind::NameMismatch, detail))
    }

    async fn inquire(&self, address: SocketAddr, host: &str) -> Result<Probed, Failure> {
        // This host's own nodes may be asked whatever networks may be dialled: they get
        // no digest.
        let own_host = address.ip() == self.config.epmd_host;
        if !own_host && !self.allows_address(address.ip()) {
            let detail = "its address is not allowed";
            return Err(Failure::new(FailureKind::AddressNotAllowed, detail));
        }
        let challenge = match self.challenge_of(address, host, self.prober()).await {
            Err(failure) if failure.kind == FailureKind::NotAllowed => {
                self.challenge_of(address, host, self.local()).await?
            }
            answered => answered?,
        };
        let name = challenge.name.parse().map_err(|error| {
            Failure::new(FailureKind::Malformed, format!("malformed name: {error}"))
        })?;
        Ok(Probed {
            name,
            creation: challenge.creation,
            hidden: is_hidden(challenge.flags),
            address,
        })
    }
    async fn challenge_of(
        &self,
        address: SocketAddr,
        host: &str,
        asker: Local,
    ) -> Result<Challenge, Failure> {
        let mut stream = self.open(address, host).await?;
        handshake::inquire(&mut stream, Inquirer::new(asker)).await
    }

    /// Who asks. Without a name yet it is the peer that gives one, and nobody dials it.
    fn prober(&self) -> Local {
        let mut asker = self.local();
        if let LocalName::Full(name) = &asker.name {
            asker.name = LocalName::Full(probing(name).unwrap_or_else(|| name.clone()));
        }
        asker
    }
}

/// None for a name that is as long as names may be.
fn probing(name: &NodeName) -> Option<NodeName> {
    format!("{}-probe@{}", name.alive(), name.host())
        .parse()
        .ok()
}
