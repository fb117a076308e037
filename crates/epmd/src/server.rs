//! An EPMD over sockets: listeners in, a task for each connection.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::connection;
use crate::mapper::{Commands, Mapper};
use crate::names::RegistrationId;

/// Waited when the system has no descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How an EPMD behaves.
#[derive(Clone, Copy, Debug)]
pub struct ServerConfig {
    /// What local peers may tell it to do.
    pub commands: Commands,
    /// How long a connection may take for its request, and for taking its answer.
    pub packet_timeout: Duration,
    /// Waited before each connection is accepted, to play a busy EPMD.
    pub delay_accept: Duration,
    /// Waited before each answer while all others wait, to play a busy EPMD.
    pub delay_write: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            commands: Commands::default(),
            packet_timeout: Duration::from_secs(60),
            delay_accept: Duration::ZERO,
            delay_write: Duration::ZERO,
        }
    }
}

/// Serves until a peer ends it, as it may with [`Commands::Safe`] and
/// [`Commands::Relaxed`].
///
/// Cancel safe: dropped, it closes all connections and listeners. Must be called
/// within a tokio runtime.
///
/// # Errors
///
/// When a listener has no address of its own.
pub async fn serve(listeners: Vec<TcpListener>, config: ServerConfig) -> io::Result<()> {
    let port = match listeners.first() {
        Some(listener) => listener.local_addr()?.port(),
        None => return Err(io::Error::other("EPMD has nothing to listen on")),
    };
    let mapper = Mapper::new(port, config.commands, rand::random());
    let shared = Arc::new(Shared {
        config,
        state: Mutex::new(State {
            mapper,
            holders: HashMap::new(),
        }),
        ended: Notify::new(),
        busy: tokio::sync::Mutex::new(()),
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept_all(shared.clone(), listener));
    }
    shared.ended.notified().await;
    Ok(())
}

/// What all connections of one EPMD share.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    state: Mutex<State>,
    pub(crate) ended: Notify,
    /// Held by whoever plays busy.
    pub(crate) busy: tokio::sync::Mutex<()>,
}

pub(crate) struct State {
    pub(crate) mapper: Mapper,
    /// Dropped, each closes the connection that waits for it.
    pub(crate) holders: HashMap<RegistrationId, oneshot::Sender<()>>,
}

impl Shared {
    /// Held for a look or a change, never across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept_all(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    let delay = shared.config.delay_accept;
    loop {
        if !delay.is_zero() {
            sleep(delay).await;
        }
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((stream, peer)) => match connection::begin(&shared, stream, peer) {
                        Ok(None) => {}
                        Ok(Some(begun)) => {
                            connections.spawn(connection::serve(shared.clone(), Box::new(begun)));
                        }
                        Err(error) => tracing::debug!(%peer, "no request: {error}"),
                    },
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
