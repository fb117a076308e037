//! Links that we open: locate, connect, shake hands.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgmesh_name::NodeName;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link_table::{Attempt, Busy};
use super::resolver::LookupError;
use super::{Direction, Identity, Inner, Node};
use crate::epmd::EpmdError;
use crate::error::{Failure, FailureKind};
use crate::handshake::{self, Initiator, Proven};
use crate::{ConnectError, Step};

/// How long the peer's own dials may keep ours waiting, from the first one that it gave way
/// to; after that it gives way to nobody.
const OTHER_DIAL_LIMIT: Duration = Duration::from_secs(2);

impl Node {
    /// Dials a node, and returns once there is a link to it, whoever opened it.
    /// Unless `accept_hidden`, hidden nodes are turned away before a digest
    /// leaves us; to a [`dynamic`](Self::dynamic) node every peer shows itself as
    /// hidden.
    ///
    /// Returns at once if there is a link already. While another call dials the
    /// same node, waits for the end of that, however long it takes, and dials itself if it
    /// brought no link.
    ///
    /// # Errors
    ///
    /// Says at which step the dial failed; each step has the set-up time-out for
    /// itself. Waiting for others who dial the same node has no limit: put one around it.
    ///
    /// Cancel safe: dropped, it gives up the dial and leaves no trace. While it is not
    /// polled the dial goes on, and a link that has come up meanwhile stays.
    pub async fn connect(&self, peer: &NodeName, accept_hidden: bool) -> Result<(), ConnectError> {
        let inner = &self.inner;
        let mut gave_way_at: Option<Instant> = None;
        loop {
            let attempt = inner.next_attempt();
            let determined = gave_way_at.is_some_and(|at| at.elapsed() >= OTHER_DIAL_LIMIT);
            let started = inner.links().table.start_dial(peer, attempt, determined);
            let outcome = match started {
                Err(Busy::Linked) => return Ok(()),
                Err(Busy::Dialling | Busy::Offered) => Err(superseded()),
                Ok(()) => inner.dial_once(peer, attempt, accept_hidden).await,
            };
            match outcome {
                Ok(()) => return Ok(()),
                // The peer's own dial may bring the link.
                Err(failure) if leaves_it_to_the_peer(failure.kind) => {
                    // Another dial of our own is none to give way to.
                    if started != Err(Busy::Dialling) {
                        gave_way_at.get_or_insert_with(Instant::now);
                    }
                    inner.wait_while_pending(peer, failure.kind).await;
                    if inner.links().table.link(peer.as_str()).is_some() {
                        return Ok(());
                    }
                    if failure.kind != FailureKind::Superseded {
                        return Err(ConnectError::new(peer, failure));
                    }
                }
                Err(failure) => return Err(ConnectError::new(peer, failure)),
            }
        }
    }
}

fn superseded() -> Failure {
    let detail = "gave way to the peer's own dial, which brought no link";
    Failure::new(FailureKind::Superseded, detail)
}

fn leaves_it_to_the_peer(kind: FailureKind) -> bool {
    use FailureKind::{AlreadyLinked, Simultaneous, Superseded};
    matches!(kind, Simultaneous | AlreadyLinked | Superseded)
}

/// Takes a dial off the table and ends it. Its task has one, for however it ends, and so
/// has its caller, who may drop it.
#[derive(Clone)]
struct DialGuard {
    inner: Arc<Inner>,
    peer: NodeName,
    attempt: Attempt,
}

impl Drop for DialGuard {
    fn drop(&mut self) {
        let mut links = self.inner.links();
        links.table.end_dial(&self.peer, self.attempt);
        links.cancel_dial(self.attempt);
        drop(links);
        self.inner.note_change();
    }
}

impl DialGuard {
    /// Dials until it is told to end.
    async fn carry(self, cancelled: CancellationToken, accept_hidden: bool) -> Result<(), Failure> {
        let inner = &self.inner;
        tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(superseded()),
            () = inner.stopped.cancelled() => {
                Err(Failure::new(FailureKind::ClosedByUs, "this node stops"))
            }
            outcome = inner.dial(&self.peer, self.attempt, accept_hidden) => outcome,
        }
    }
}

impl Inner {
    /// In a task of its own: others wait for a dial, and must not have to wait until its
    /// caller is polled again.
    async fn dial_once(
        self: &Arc<Self>,
        peer: &NodeName,
        attempt: Attempt,
        accept_hidden: bool,
    ) -> Result<(), Failure> {
        let guard = DialGuard {
            inner: self.clone(),
            peer: peer.clone(),
            attempt,
        };
        let cancelled = CancellationToken::new();
        self.links().dials.insert(attempt.0, cancelled.clone());
        let dial = guard.clone().carry(cancelled, accept_hidden);
        let lost = |error| {
            let detail = format!("its task has ended: {error}");
            Failure::new(FailureKind::ClosedByUs, detail)
        };
        self.spawn(dial).await.map_err(lost)?
    }

    async fn dial(
        self: &Arc<Self>,
        peer: &NodeName,
        attempt: Attempt,
        accept_hidden: bool,
    ) -> Result<(), Failure> {
        let address = self.locate(peer).await?;
        let mut stream = self.open(address, peer.host()).await?;
        if !self.links().table.send_name(peer, attempt) {
            return Err(superseded());
        }
        let initiator = Initiator::new(self.local(), peer.clone(), accept_hidden, rand::random());
        let wants_link = || self.links().table.wants_link(peer);
        // Since the address was chosen fewer may be allowed.
        let may_prove = || self.allowed(peer, [address.ip()]).map(drop);
        let proven = handshake::dial(&mut stream, initiator, wants_link, may_prove).await?;
        if !self.take_name(&proven) {
            let detail = "another peer gave us another name meanwhile";
            return Err(Failure::new(FailureKind::Superseded, detail));
        }
        if self.link_up(&proven, Direction::Initiator, Some(attempt), stream) {
            Ok(())
        } else {
            Err(superseded())
        }
    }

    /// Where a peer listens: as we were told beforehand, else as DNS and its EPMD say.
    pub(super) async fn locate(&self, peer: &NodeName) -> Result<SocketAddr, Failure> {
        self.check_form(peer)?;
        let given = self.given_address(peer);
        let host = match given.and_then(|given| given.ip) {
            Some(ip) => self.allowed(peer, [ip])?,
            None => self.resolve(peer).await?,
        };
        let port = match given {
            Some(given) => given.port,
            None => self.port_of(host, peer).await?,
        };
        if given.is_none_or(|given| given.ip.is_none()) {
            self.check_port(peer, port)?;
        }
        Ok(SocketAddr::new(host, port))
    }

    /// Without EPMD all are looked for at one port, which on our host may be ours.
    fn check_port(&self, peer: &NodeName, port: u16) -> Result<(), Failure> {
        let own = self.identity.get().map(|identity| &identity.name);
        let is_other = own.is_some_and(|own| own != peer && own.host() == peer.host());
        if is_other && port == self.config.listen.port() {
            let detail = format!("port {port} of its host is our own");
            return Err(Failure::new(FailureKind::NameMismatch, detail));
        }
        Ok(())
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

    /// The first allowed address of the peer's host.
    async fn resolve(&self, peer: &NodeName) -> Result<IpAddr, Failure> {
        if let Some(address) = peer.host_ip() {
            return self.allowed(peer, [address]);
        }
        let limit = self.config.setup_timeout;
        match self.resolver.addresses(peer.host(), limit).await {
            Ok(found) => self.allowed(peer, found),
            Err(LookupError::Unknown(cause)) => {
                let detail = format!("host {} is unknown: {cause}", peer.host());
                Err(Failure::new(FailureKind::HostUnknown, detail))
            }
            Err(LookupError::Timeout) => Err(Failure::timeout(Step::Resolve)),
        }
    }

    fn allowed(
        &self,
        peer: &NodeName,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<IpAddr, Failure> {
        let mut refused = None;
        for address in addresses {
            if self.allows_address(address) {
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

    /// Where a peer on this host listens.
    async fn port_of(&self, host: IpAddr, peer: &NodeName) -> Result<u16, Failure> {
        if let Some(port) = self.config.peer_port {
            return Ok(port);
        }
        let address = self.epmd_address(host);
        let limit = self.config.setup_timeout;
        match self.port_lookups.port(address, peer.alive(), limit).await {
            Ok(Some(port)) => Ok(port),
            Ok(None) => {
                let detail = format!("its EPMD does not know {}", peer.alive());
                Err(Failure::new(FailureKind::NameUnknown, detail))
            }
            Err(EpmdError::Timeout(_)) => Err(Failure::timeout(Step::Epmd)),
            Err(error) => Err(Failure::new(FailureKind::EpmdUnreachable, error.detail())),
        }
    }

    /// Becomes who the first peer says that a dynamic node is; `false` if another peer
    /// was the first.
    fn take_name(&self, proven: &Proven) -> bool {
        let Some((name, creation)) = proven.named.clone() else {
            return true;
        };
        self.identity.set(Identity { name, creation }).is_ok()
    }

    /// Waits for a link, or for the end of everything that could bring one. What
    /// the peer has not begun yet is waited for for a while.
    async fn wait_while_pending(&self, peer: &NodeName, kind: FailureKind) {
        let announced = kind != FailureKind::Superseded;
        let mut changes = self.changes.subscribe();
        let wait = async {
            loop {
                {
                    let links = self.links();
                    let settled = !announced && !links.table.is_pending(peer);
                    if links.table.link(peer.as_str()).is_some() || settled {
                        return;
                    }
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Whoever holds a handshake open longer than this holds it open on purpose.
        let _ = timeout(OTHER_DIAL_LIMIT, wait).await;
    }
}
