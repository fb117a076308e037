//! Links that others open.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pgmesh_name::NodeName;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::link_table::goes_on;
use super::unfinished::Unfinished;
use super::{Direction, Inner, NodeEvent};
use crate::error::{Failure, FailureKind};
use crate::handshake::{self, Acceptor, Offer, Status};

/// Waited when the system has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Between two words about that.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// The handshakes under way at all addresses, seen by all of them.
pub(super) type Places = Arc<Mutex<Unfinished>>;

pub(super) async fn accept_all(inner: Arc<Inner>, listener: TcpListener, places: Places) {
    let mut complaint = Complaint::default();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let place = Place::take(&places, address.ip());
                tokio::spawn(accept_or_log(inner.clone(), stream, address, place));
            }
            Err(error) => {
                if complaint.is_due(Instant::now()) {
                    tracing::warn!(
                        "cannot accept connections: {error} (raise the limit of open files)"
                    );
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// When a listener last said that it cannot accept.
#[derive(Default)]
struct Complaint {
    made_at: Option<Instant>,
}

impl Complaint {
    /// Whether it is to be made, for then it is.
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.made_at.is_none_or(|at| at + WARNING_PAUSE <= now);
        if is_due {
            self.made_at = Some(now);
        }
        is_due
    }
}

/// A place among the unfinished handshakes; given back when dropped.
struct Place {
    places: Places,
    number: u64,
    evicted: CancellationToken,
}

impl Place {
    fn take(places: &Places, address: IpAddr) -> Self {
        let (number, evicted) = lock(places).enter(address);
        Self {
            places: places.clone(),
            number,
            evicted,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.places).leave(self.number);
    }
}

fn lock(places: &Mutex<Unfinished>) -> MutexGuard<'_, Unfinished> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept_or_log(inner: Arc<Inner>, stream: TcpStream, address: SocketAddr, place: Place) {
    let evicted = place.evicted.clone();
    let outcome = tokio::select! {
        outcome = accept_one(&inner, stream) => outcome,
        () = evicted.cancelled() => {
            let detail = "made room for newer connections";
            Err(Failure::new(FailureKind::ClosedByUs, detail))
        }
        () = inner.stopped.cancelled() => Ok(()),
    };
    let Err(failure) = outcome else {
        return;
    };
    let kind = failure.kind.as_str();
    tracing::debug!(%address, kind, "handshake failed: {}", failure.detail);
    // Somebody with another cookie is news; port scanners are not.
    if failure.kind == FailureKind::CookieRejectedByUs {
        let detail = failure.detail;
        inner.tell(NodeEvent::CookieRejected { address, detail });
    }
}

async fn accept_one(inner: &Arc<Inner>, stream: TcpStream) -> Result<(), Failure> {
    let mut stream = inner.take(stream).await?;
    let acceptor = Acceptor::new(inner.local(), rand::random());
    let mut offered = None;
    let decide = |offer: &Offer| decide(inner, offer, &mut offered);
    if let Some(proven) = handshake::accept(&mut stream, acceptor, decide).await? {
        inner.link_up(&proven, Direction::Acceptor, None, stream);
    }
    Ok(())
}

/// A handshake that was told to go on; its end is told to who waits for it.
struct Offered<'a> {
    inner: &'a Inner,
    peer: NodeName,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        self.inner.links().table.end_offer(&self.peer);
        self.inner.note_change();
    }
}

fn decide<'a>(inner: &'a Inner, offer: &Offer, offered: &mut Option<Offered<'a>>) -> Status {
    let Some(identity) = inner.identity.get() else {
        return Status::NotAllowed;
    };
    let peer = match offer {
        Offer::Named(peer) => peer,
        Offer::Nameless { host } => return inner.invent_name(host),
    };
    let mut links = inner.links();
    let verdict = links.table.on_offer(&identity.name, peer);
    if goes_on(&verdict.status) {
        let peer = peer.clone();
        *offered = Some(Offered { inner, peer });
    }
    if let Some(attempt) = verdict.superseded {
        links.cancel_dial(attempt);
    }
    verdict.status
}

impl Inner {
    /// A name for a peer that has none (NAME_ME): unlikely to be anybody's, and
    /// not linked.
    fn invent_name(&self, host: &str) -> Status {
        let alive = format!("{:013X}", rand::random::<u64>() >> 12);
        match format!("{alive}@{host}").parse::<NodeName>() {
            Ok(name) if self.links().table.link(name.as_str()).is_none() => Status::Named {
                name,
                creation: rand::random_range(super::FIRST_RANDOM_CREATION..=u32::MAX),
            },
            _ => Status::NotAllowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listener_that_cannot_accept_says_so_once_a_minute() {
        let (mut complaint, begin) = (Complaint::default(), Instant::now());
        let looks = (0..1800).map(|n| begin + ACCEPT_PAUSE * n);
        let made = looks.filter(|now| complaint.is_due(*now)).count();
        assert_eq!(made, 3);
    }
}
