//! Our name at EPMD: taken at start, taken again whenever EPMD comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{FIRST_RANDOM_CREATION, Inner, NodeConfig, NodeEvent};
use crate::StartError;
use crate::epmd::{self, EpmdError, Registration};

/// How long "name taken" is believed to be the echo of a node that just died.
const TAKEN_LIMIT: Duration = Duration::from_secs(3);
const TAKEN_RETRY: Duration = Duration::from_millis(50);
/// Between two tries while EPMD is away.
const RETRY: Duration = Duration::from_millis(500);
const EXCHANGE_LIMIT: Duration = Duration::from_secs(2);

/// The outcome of the first registration.
pub(super) enum First {
    Registered {
        connection: TcpStream,
        creation: u32,
    },
    /// No EPMD, or not yet; the creation is ours to choose, as in an EPMD-less node.
    NoEpmd { creation: u32 },
}

impl First {
    fn without_epmd() -> Self {
        Self::NoEpmd {
            creation: rand::random_range(FIRST_RANDOM_CREATION..=u32::MAX),
        }
    }

    pub(super) fn creation(&self) -> u32 {
        match self {
            Self::Registered { creation, .. } | Self::NoEpmd { creation } => *creation,
        }
    }
}

/// Registers once; an absent EPMD is no error, a taken name is one after a while.
pub(super) async fn first(config: &NodeConfig, port: u16) -> Result<First, StartError> {
    if !config.registers {
        return Ok(First::without_epmd());
    }
    let give_up = Instant::now() + TAKEN_LIMIT;
    let mut told = false;
    loop {
        match register(config, port).await {
            Ok((connection, creation)) => {
                return Ok(First::Registered {
                    connection,
                    creation,
                });
            }
            Err(EpmdError::NameTaken(_)) if Instant::now() < give_up => {
                if !std::mem::replace(&mut told, true) {
                    let name = &config.name;
                    tracing::warn!("EPMD has {name} already; trying again for {TAKEN_LIMIT:?}");
                }
                sleep(TAKEN_RETRY).await;
            }
            Err(EpmdError::NameTaken(_)) => {
                return Err(StartError::NameTaken(config.name.clone()));
            }
            Err(error) => {
                tracing::warn!("not registered yet: {error}");
                return Ok(First::without_epmd());
            }
        }
    }
}

/// Keeps the name registered for as long as the node lives. The creation stays
/// the first one: links and pids carry it.
pub(super) async fn keep(inner: Arc<Inner>, port: u16, first: First) {
    if let First::Registered { connection, .. } = first {
        hold(&inner, connection).await;
    }
    loop {
        // Before each try: an EPMD that closes at once must not keep us busy.
        sleep(RETRY).await;
        match register(&inner.config, port).await {
            Ok((connection, _)) => hold(&inner, connection).await,
            Err(error) => tracing::debug!("not registered: {error}"),
        }
    }
}

/// Waits for the end of a registration.
async fn hold(inner: &Inner, mut connection: TcpStream) {
    inner.tell(NodeEvent::Registered);
    // EPMD says nothing here until it ends.
    let mut byte = [0];
    while matches!(connection.read(&mut byte).await, Ok(1)) {}
    inner.tell(NodeEvent::Unregistered);
}

async fn register(config: &NodeConfig, port: u16) -> Result<(TcpStream, u32), EpmdError> {
    let address = SocketAddr::new(config.epmd_host, config.epmd_port);
    let registration = Registration {
        name: config.name.alive_name(),
        port,
    };
    epmd::register(address, &registration, EXCHANGE_LIMIT).await
}
