//! Links that we open: resolve, ask EPMD, connect, shake hands.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pgmesh_name::NodeName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link_table::{Attempt, Busy};
use super::{Direction, Identity, Inner, Node};
use crate::epmd::EpmdError;
use crate::error::{Failure, FailureKind};
use crate::handshake::{self, HandshakeStream, Initiator, Proven};
use crate::{ConnectError, Step, epmd};

/// After giving way to the peer's own dial: how long that may take to arrive.
const OTHER_DIAL_LIMIT: Duration = Duration::from_secs(2);

impl Node {
    /// Dials a node, and returns once there is a link to it, whoever opened it.
    /// Unless `accept_hidden`, hidden nodes are turned away before a digest
    /// leaves us.
    ///
    /// Returns at once if there is a link already. While another call dials the
    /// same node, waits for the outcome of that.
    ///
    /// # Errors
    ///
    /// Says at which step the dial failed; each step has the set-up time-out for
    /// itself.
    ///
    /// Cancel safe: dropped, it gives up the dial and leaves no trace.
    pub async fn connect(&self, peer: &NodeName, accept_hidden: bool) -> Result<(), ConnectError> {
        let inner = &self.inner;
        let attempt = inner.next_attempt();
        let started = inner.links().table.start_dial(peer, attempt);
        let outcome = match started {
            Err(Busy::Linked) => Ok(()),
            Err(Busy::Dialling) => Err(gave_way()),
            Ok(()) => {
                inner
                    .dial_unless_superseded(peer, attempt, accept_hidden)
                    .await
            }
        };
        match outcome {
            Err(failure) if leaves_it_to_the_peer(failure.kind) => inner
                .wait_for_link(peer)
                .await
                .map_err(|()| ConnectError::new(peer, failure)),
            outcome => outcome.map_err(|failure| ConnectError::new(peer, failure)),
        }
    }
}

fn gave_way() -> Failure {
    let detail = "gave way to the peer's own dial, which brought no link";
    Failure::new(FailureKind::Simultaneous, detail)
}

fn leaves_it_to_the_peer(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Simultaneous | FailureKind::AlreadyLinked)
}

/// Takes a dial off the table however it ends, also when its caller drops it.
struct DialGuard<'a> {
    inner: &'a Inner,
    peer: &'a NodeName,
    attempt: Attempt,
}

impl Drop for DialGuard<'_> {
    fn drop(&mut self) {
        let mut links = self.inner.links();
        links.table.end_dial(self.peer, self.attempt);
        links.dials.remove(&self.attempt.0);
    }
}

impl Inner {
    async fn dial_unless_superseded(
        self: &Arc<Self>,
        peer: &NodeName,
        attempt: Attempt,
        accept_hidden: bool,
    ) -> Result<(), Failure> {
        let _guard = DialGuard {
            inner: self,
            peer,
            attempt,
        };
        let superseded = CancellationToken::new();
        self.links().dials.insert(attempt.0, superseded.clone());
        tokio::select! {
            biased;
            () = superseded.cancelled() => Err(gave_way()),
            () = self.stopped.cancelled() => {
                Err(Failure::new(FailureKind::ClosedByUs, "this node stops"))
            }
            outcome = self.dial(peer, attempt, accept_hidden) => outcome,
        }
    }

    async fn dial(
        self: &Arc<Self>,
        peer: &NodeName,
        attempt: Attempt,
        accept_hidden: bool,
    ) -> Result<(), Failure> {
        self.check_form(peer)?;
        let host = self.resolve(peer).await?;
        let port = self.ask_epmd(host, peer).await?;
        let stream = self.open(SocketAddr::new(host, port)).await?;
        if !self.links().table.send_name(peer, attempt) {
            return Err(gave_way());
        }
        let mut stream = HandshakeStream::new(stream, self.config.setup_timeout);
        let initiator = Initiator::new(self.local(), peer.clone(), accept_hidden, rand::random());
        let wants_link = || self.links().table.wants_link(peer);
        let proven = handshake::dial(&mut stream, initiator, wants_link).await?;
        self.take_name(&proven);
        if self.link_up(&proven, Direction::Initiator, Some(attempt), stream) {
            Ok(())
        } else {
            Err(gave_way())
        }
    }

    /// A BEAM never dials a name of the other form, nor is it of use to know one.
    fn check_form(&self, peer: &NodeName) -> Result<(), Failure> {
        let (own, theirs) = (self.config.name.form(), peer.form());
        if own == theirs {
            return Ok(());
        }
        let detail = format!("our name is {own} and its name {theirs}");
        Err(Failure::new(FailureKind::LongShortNames, detail))
    }

    /// The first allowed address of the peer's host; IPv4 first, where nodes and
    /// EPMD listen unless they are told otherwise.
    async fn resolve(&self, peer: &NodeName) -> Result<IpAddr, Failure> {
        if let Some(address) = peer.host_ip() {
            return self.allowed(peer, [address]);
        }
        let lookup = tokio::net::lookup_host((peer.host(), 0));
        match timeout(self.config.setup_timeout, lookup).await {
            Ok(Ok(found)) => {
                let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
                addresses.sort_by_key(IpAddr::is_ipv6);
                self.allowed(peer, addresses)
            }
            Ok(Err(error)) => {
                let detail = format!("host {} is unknown: {error}", peer.host());
                Err(Failure::new(FailureKind::HostUnknown, detail))
            }
            Err(_) => Err(Failure::timeout(Step::Resolve)),
        }
    }

    fn allowed(
        &self,
        peer: &NodeName,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<IpAddr, Failure> {
        let mut refused = None;
        for address in addresses {
            if self.config.allow.allows_address(address) {
                return Ok(address);
            }
            refused = Some(address);
        }
        Err(match refused {
            Some(address) => {
                let detail = format!("its address {address} is not allowed");
                Failure::new(FailureKind::AddressNotAllowed, detail)
            }
            None => {
                let detail = format!("host {} has no address", peer.host());
                Failure::new(FailureKind::HostUnknown, detail)
            }
        })
    }

    async fn ask_epmd(&self, host: IpAddr, peer: &NodeName) -> Result<u16, Failure> {
        let address = self.epmd_address(host);
        match epmd::lookup(address, peer.alive(), self.config.setup_timeout).await {
            Ok(Some(port)) => Ok(port),
            Ok(None) => {
                let detail = format!("its EPMD does not know {}", peer.alive());
                Err(Failure::new(FailureKind::NameUnknown, detail))
            }
            Err(EpmdError::Timeout(_)) => Err(Failure::timeout(Step::Epmd)),
            Err(error) => Err(Failure::new(
                FailureKind::EpmdUnreachable,
                error.to_string(),
            )),
        }
    }

    async fn open(&self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let connect = TcpStream::connect(address);
        let connected = timeout(self.config.setup_timeout, connect).await;
        let stream = connected
            .map_err(|_| Failure::timeout(Step::Connect))?
            .map_err(|error| Failure::io(&error))?;
        // Before the first frame: later it costs 40 ms a handshake.
        stream.set_nodelay(true).map_err(|e| Failure::io(&e))?;
        Ok(stream)
    }

    /// Becomes who the first peer says that a dynamic node is.
    fn take_name(&self, proven: &Proven) {
        if let Some((name, creation)) = proven.named.clone() {
            let _ = self.identity.set(Identity { name, creation });
        }
    }

    async fn wait_for_link(&self, peer: &NodeName) -> Result<(), ()> {
        let mut changes = self.changes.subscribe();
        let wait = async {
            while self.links().table.link(peer).is_none() {
                if changes.changed().await.is_err() {
                    return Err(());
                }
            }
            Ok(())
        };
        timeout(OTHER_DIAL_LIMIT, wait).await.unwrap_or(Err(()))
    }
}
