//! `pgmesh run`: starts everything, runs the loop, stops everything.

mod answers;
mod effects;
mod epmd;
mod event_log;
mod local_names;
mod log_limit;
mod metrics;
mod news;
mod postgres_view;
mod reload;
mod run_loop;
mod service_manager;
mod stopping;
mod view;

use std::panic::resume_unwind;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use pgmesh_discovery as discovery;
use pgmesh_dist::{Node, NodeConfig};
use pgmesh_mesh::{AnnounceScope, Config, IntroduceScope, Mesh};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::servers::Servers;
use crate::api::socket::ControlSocket;
use crate::api::{Asker, http};
use crate::logging;
use crate::settings::{EpmdMode, RunSettings};
use epmd::HostEpmd;
use metrics::Metrics;
use reload::Reloading;
use run_loop::{Daemon, Sources};

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let settings = RunSettings::read(flags)?;
    let level = logging::start(settings.log_format, settings.log);
    // One thread: a daemon waits far more than it works, and links of one node
    // share the little work there is.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let reloading = Reloading::new(flags.clone(), level);
    // As a task: what a runtime blocks on is woken through the kernel, which costs two system
    // calls and another turn of all for each thing that happens. Boxed: a runtime moves its
    // tasks over the stack, of which each page that was used once stays resident.
    let served = runtime.spawn(Box::pin(serve(settings, reloading)));
    runtime
        .block_on(served)
        .unwrap_or_else(|ended| resume_unwind(ended.into_panic()))?;
    // Lookups in threads of their own may still wait for DNS; nobody waits for them.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(mut settings: RunSettings, reloading: Reloading) -> anyhow::Result<()> {
    reload::log_warnings(&settings.warnings);
    tracing::info!(
        node = %settings.name,
        version = env!("CARGO_PKG_VERSION"),
        settings = settings.raw.summary(),
        "starting"
    );
    let metrics = Metrics::new().context("cannot set up metrics (please report this)")?;
    // Before anything that takes time: a stop must never be missed.
    let mut stop = Stop::new()?;
    let hangup = reload::hangup(&settings)?;
    let (_socket, control) = ControlSocket::bind(&settings.socket)?;
    let http_listener = listen_http(&settings).await?;
    // Before our node, which registers with it.
    let epmd = HostEpmd::ensure(&mut settings).await?;
    let (node, node_events) = tokio::select! {
        started = Node::start(node_config(&settings)) => started?,
        signal = stop.requested() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(());
        }
    };
    let (announcer, names) = match discovery_settings(&settings) {
        Some(settings) => {
            let (announcer, names) = discovery::spawn(settings);
            (Some(announcer), Some(names))
        }
        None => (None, None),
    };
    let (asker, questions) = Asker::new();
    let routes = http::controlling(asker.clone());
    let mut servers = Servers::default();
    servers.spawn(control, routes);
    if let Some(listener) = http_listener {
        servers.spawn(listener, http::reading(asker));
    }
    let mut sources = Sources {
        node_events,
        names,
        questions,
    };
    let mesh = Mesh::new(mesh_config(&settings), rand::random());
    let daemon = Daemon::new(settings, mesh, node, epmd, announcer, metrics, reloading);
    let mut daemon = Box::new(daemon);
    daemon.run(&mut sources, &mut stop, hangup).await;
    tokio::select! {
        () = leave(daemon, sources, servers) => {}
        signal = stop.requested() => tracing::warn!(signal, "stopped again: not waiting any longer"),
    }
    Ok(())
}

async fn leave(daemon: Box<Daemon>, sources: Sources, servers: Servers) {
    daemon.leave(sources).await;
    servers.finish().await;
}

/// SIGTERM and SIGINT.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot hear SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot hear SIGINT")?,
        })
    }

    /// Waits for either, and names it. Cancel safe.
    pub(crate) async fn requested(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

async fn listen_http(settings: &RunSettings) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = settings.http else {
        return Ok(None);
    };
    let bound = TcpListener::bind(address).await;
    let listener =
        bound.with_context(|| format!("cannot serve HTTP on {address} (choose another --http)"))?;
    Ok(Some(listener))
}

/// What the node of `pgmesh run` is to be like.
pub(crate) fn node_config(settings: &RunSettings) -> NodeConfig {
    NodeConfig {
        listen: settings.listen.clone(),
        epmd_port: settings.epmd_port,
        epmd_host: settings.epmd_host,
        registers: settings.epmd != EpmdMode::None,
        peers: settings.peers.clone(),
        peer_port: settings.dist_port,
        allow: settings.allow.clone(),
        tls: settings.tls.clone(),
        setup_timeout: settings.setup_timeout,
        net_ticktime: settings.net_ticktime,
        max_frame: settings.max_frame,
        ..NodeConfig::new(settings.name.clone(), settings.cookie.clone())
    }
}

/// What of the settings concerns the session with Postgres and can change.
fn role(settings: &RunSettings) -> discovery::Role {
    discovery::Role {
        announce_interval: settings.announce_interval,
        silent: settings.announce == AnnounceScope::None,
        elect: settings.introduce == IntroduceScope::All,
    }
}

fn discovery_settings(settings: &RunSettings) -> Option<discovery::Settings> {
    let database = settings.database.clone()?;
    let role = role(settings);
    Some(discovery::Settings {
        conninfo: database.conninfo,
        channel: database.channel,
        own: settings.name.clone(),
        announce_interval: role.announce_interval,
        silent: role.silent,
        dialect: settings.dialect,
        elect: role.elect,
    })
}

fn mesh_config(settings: &RunSettings) -> Config {
    Config {
        join: settings.join,
        announce: settings.announce,
        allow: settings.allow.clone(),
        peers: settings.peers.clone(),
        has_channel: settings.database.is_some(),
        announce_interval: settings.announce_interval,
        expiry: settings.expiry,
        introduce: settings.introduce,
        watch_edges: settings.watch_edges,
        audit_interval: settings.audit_interval,
        prune: settings.prune,
        ..Config::new(settings.name.clone())
    }
}
