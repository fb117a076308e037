//! Links that others open.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Direction, Inner};
use crate::error::Failure;
use crate::handshake::{self, Acceptor, HandshakeStream, Offer, Status};

/// Handshakes that have not proven a cookie yet.
const MAX_UNFINISHED: usize = 256;
/// Waited when the system has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn accept_all(inner: Arc<Inner>, listener: TcpListener) {
    let unfinished = Arc::new(Semaphore::new(MAX_UNFINISHED));
    loop {
        let Ok(permit) = unfinished.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, address)) => {
                let inner = Arc::clone(&inner);
                tokio::spawn(async move {
                    if let Err(failure) = accept_one(&inner, stream).await {
                        tracing::debug!(%address, kind = failure.kind.as_str(), "handshake failed: {}", failure.detail);
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept_one(inner: &Arc<Inner>, stream: TcpStream) -> Result<(), Failure> {
    stream.set_nodelay(true).map_err(|e| Failure::io(&e))?;
    let mut stream = HandshakeStream::new(stream, inner.config.setup_timeout);
    let acceptor = Acceptor::new(inner.local(), rand::random());
    let decide = |offer: &Offer| decide(inner, offer);
    let handshake = handshake::accept(&mut stream, acceptor, decide);
    let proven = tokio::select! {
        proven = handshake => proven?,
        () = inner.stopped.cancelled() => return Ok(()),
    };
    if let Some(proven) = proven {
        inner.link_up(&proven, Direction::Acceptor, None, stream);
    }
    Ok(())
}

fn decide(inner: &Inner, offer: &Offer) -> Status {
    let Some(identity) = inner.identity.get() else {
        return Status::NotAllowed;
    };
    let mut links = inner.links();
    let verdict = links.table.on_offer(&identity.name, &offer.peer);
    if let Some(attempt) = verdict.superseded {
        links.cancel_dial(attempt);
    }
    verdict.status
}
