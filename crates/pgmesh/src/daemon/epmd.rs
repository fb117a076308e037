//! `--epmd`: which EPMD this host has, or one for a host that runs none.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use pgmesh_epmd::{Commands, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::service_manager;
use crate::file_limit;
use crate::settings::{EpmdMode, RunSettings};

const START_LIMIT: Duration = Duration::from_secs(1);
const LOOK_LIMIT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// An EPMD within this process, gone when dropped.
pub(super) struct Embedded(JoinHandle<()>);

impl Drop for Embedded {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sees to it that there is an EPMD, as the settings say, and puts into them what
/// came of `auto`.
///
/// # Errors
///
/// When one of our own is asked for and cannot listen.
pub(super) async fn ensure(settings: &mut RunSettings) -> anyhow::Result<Option<Embedded>> {
    match settings.epmd {
        EpmdMode::Auto => Ok(find_or_start(settings).await),
        EpmdMode::External | EpmdMode::None => Ok(None),
        EpmdMode::Embedded => {
            let port = settings.epmd_port;
            let embedded = embed(settings).with_context(|| {
                format!(
                    "cannot be the EPMD at port {port} (stop the one that runs there, or use \
                     --epmd auto)"
                )
            })?;
            Ok(Some(embedded))
        }
    }
}

/// The EPMD that answers, else `epmd -daemon` as `erl` starts it, else ours.
async fn find_or_start(settings: &mut RunSettings) -> Option<Embedded> {
    let address = SocketAddr::new(settings.epmd_host, settings.epmd_port);
    settings.epmd = EpmdMode::External;
    if answers(address).await {
        return None;
    }
    let port = settings.epmd_port;
    let started = tokio::task::spawn_blocking(move || start(port)).await;
    let error = match started.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(()) => {
            wait_for(address).await;
            return None;
        }
        Err(error) => error,
    };
    if error.kind() != ErrorKind::NotFound {
        tracing::warn!("epmd -daemon cannot be started: {error}");
    }
    match embed(settings) {
        Ok(embedded) => {
            settings.epmd = EpmdMode::Embedded;
            Some(embedded)
        }
        Err(error) => {
            tracing::warn!("no EPMD answers on port {port}, and we cannot be it: {error}");
            None
        }
    }
}

/// Nobody may end it from outside: it lives as long as this process.
fn embed(settings: &RunSettings) -> anyhow::Result<Embedded> {
    file_limit::raise();
    let listeners = pgmesh_epmd::bind(&settings.epmd_addresses, settings.epmd_port)?;
    let addresses: Vec<_> = listeners.iter().flat_map(TcpListener::local_addr).collect();
    tracing::info!(?addresses, "this host's EPMD is within this process");
    let config = ServerConfig {
        commands: Commands::Refused,
        ..ServerConfig::default()
    };
    Ok(Embedded(tokio::spawn(async move {
        if let Err(error) = pgmesh_epmd::serve(listeners, config).await {
            tracing::error!("the EPMD within this process has ended: {error}");
        }
    })))
}

async fn answers(address: SocketAddr) -> bool {
    matches!(
        timeout(LOOK_LIMIT, TcpStream::connect(address)).await,
        Ok(Ok(_))
    )
}

fn start(port: u16) -> io::Result<()> {
    let mut epmd = Command::new("epmd");
    service_manager::forget_in(&mut epmd);
    let status = epmd
        .args(["-daemon", "-port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        tracing::info!(port, "started epmd -daemon");
        return Ok(());
    }
    Err(io::Error::other(format!("it ended with {status}")))
}

async fn wait_for(address: SocketAddr) {
    let give_up = Instant::now() + START_LIMIT;
    while Instant::now() < give_up && !answers(address).await {
        sleep(LOOK_AGAIN).await;
    }
}
