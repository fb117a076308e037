//! `--epmd`: which EPMD this host has, or one for a host that runs none.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use pgmesh_epmd::{Commands, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::run_loop::Outcome;
use super::service_manager;
use crate::file_limit;
use crate::settings::{EpmdMode, RunSettings};

const START_LIMIT: Duration = Duration::from_secs(1);
const LOOK_LIMIT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Whoever else sees to EPMD, or starts a node here, goes first.
const GRACE: Duration = Duration::from_secs(3);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// An EPMD within this process, gone when dropped.
pub(super) struct Embedded(JoinHandle<()>);

impl Embedded {
    fn serves(&self) -> bool {
        !self.0.is_finished()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// This host's EPMD, as far as we see to it.
pub(super) struct HostEpmd {
    place: Place,
    /// With `auto` it is brought back, whoever it was.
    is_ours_to_find: bool,
    embedded: Option<Embedded>,
    /// One at a time: a second would take the first one's for somebody else's.
    bringing_back: Option<JoinHandle<()>>,
}

/// Where it listens.
#[derive(Clone)]
struct Place {
    /// For us.
    address: SocketAddr,
    /// For all, if it is ours.
    addresses: Vec<IpAddr>,
}

impl HostEpmd {
    /// Sees to it that there is an EPMD, as the settings say, and puts into them what
    /// came of `auto`.
    ///
    /// # Errors
    ///
    /// When one of our own is asked for and cannot listen.
    pub(super) async fn ensure(settings: &mut RunSettings) -> anyhow::Result<Self> {
        let place = Place {
            address: SocketAddr::new(settings.epmd_host, settings.epmd_port),
            addresses: settings.epmd_addresses.clone(),
        };
        let is_ours_to_find = settings.epmd == EpmdMode::Auto;
        let embedded = match settings.epmd {
            EpmdMode::Auto => find_or_start(&place).await,
            EpmdMode::External | EpmdMode::None => None,
            EpmdMode::Embedded => Some(embed(&place).with_context(|| {
                let port = place.address.port();
                format!(
                    "cannot be the EPMD at port {port} (stop the one that runs there, or use \
                     --epmd auto)"
                )
            })?),
        };
        if is_ours_to_find {
            settings.epmd = mode(embedded.as_ref());
        }
        Ok(Self {
            place,
            is_ours_to_find,
            embedded,
            bringing_back: None,
        })
    }

    /// It is gone, or may never have been there: brings it back, unless that is for
    /// others to do. What comes of it is to be given to [`Self::take`].
    pub(super) fn bring_back(&mut self, outcomes: mpsc::UnboundedSender<Outcome>) {
        let is_ours = self.embedded.as_ref().is_some_and(Embedded::serves);
        let is_under_way = |task: &JoinHandle<()>| !task.is_finished();
        if !self.is_ours_to_find || is_ours || self.bringing_back.as_ref().is_some_and(is_under_way)
        {
            return;
        }
        let place = self.place.clone();
        self.bringing_back = Some(tokio::spawn(async move {
            let mut pause = GRACE;
            loop {
                sleep(pause).await;
                let embedded = find_or_start(&place).await;
                if embedded.is_some() || answers(place.address).await {
                    let _ = outcomes.send(Outcome::EpmdFound(embedded));
                    return;
                }
                pause = MAX_PAUSE.min(pause * 2);
            }
        }));
    }

    /// Keeps what was found, and says what it is.
    pub(super) fn take(&mut self, embedded: Option<Embedded>) -> EpmdMode {
        self.embedded = embedded;
        mode(self.embedded.as_ref())
    }
}

fn mode(embedded: Option<&Embedded>) -> EpmdMode {
    match embedded {
        Some(_) => EpmdMode::Embedded,
        None => EpmdMode::External,
    }
}

/// The EPMD that answers, else `epmd -daemon` as `erl` starts it, else ours.
async fn find_or_start(place: &Place) -> Option<Embedded> {
    if answers(place.address).await {
        return None;
    }
    let port = place.address.port();
    let started = tokio::task::spawn_blocking(move || start(port)).await;
    let error = match started.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(()) => {
            wait_for(place.address).await;
            return None;
        }
        Err(error) => error,
    };
    if error.kind() != ErrorKind::NotFound {
        tracing::warn!("epmd -daemon cannot be started: {error}");
    }
    embed(place)
        .inspect_err(|error| {
            tracing::warn!("no EPMD answers on port {port}, and we cannot be it: {error}");
        })
        .ok()
}

/// Nobody may end it from outside: it lives as long as this process.
fn embed(place: &Place) -> anyhow::Result<Embedded> {
    file_limit::raise();
    let listeners = pgmesh_epmd::bind(&place.addresses, place.address.port())?;
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
