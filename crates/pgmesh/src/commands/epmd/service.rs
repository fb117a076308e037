//! The EPMD as a program of its own.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use listenfd::ListenFd;
use pgmesh_epmd::{bind, parse_addresses, serve};
use sd_notify::NotifyState;
use tokio::net::TcpListener;

use super::detach;
use super::options::Serving;
use crate::daemon::Stop;
use crate::file_limit;
use crate::logging;
use crate::settings::LogFormat;

/// Serves until it is told to end, by a peer or by a signal.
pub(super) fn run(serving: &Serving) -> anyhow::Result<ExitCode> {
    logging::start(LogFormat::Text, level(serving.debug));
    if serving.detached {
        detach::leave_session()?;
    }
    file_limit::raise();
    let served = crate::commands::block_on(async {
        let mut stop = Stop::new()?;
        let Some(listeners) = listeners(serving)? else {
            return Ok(ExitCode::SUCCESS);
        };
        if serving.detached {
            detach::let_go()?;
        }
        tracing::info!(addresses = ?listeners.iter().flat_map(TcpListener::local_addr).collect::<Vec<_>>(), "epmd listens");
        tokio::select! {
            served = serve(listeners, serving.config) => served?,
            signal = stop.requested() => tracing::info!(signal, "epmd stops"),
        }
        Ok(ExitCode::SUCCESS)
    });
    // In the way in which the rest of this command speaks.
    served.or_else(|error: anyhow::Error| {
        writeln!(std::io::stderr(), "epmd: {error:#}")?;
        Ok(ExitCode::FAILURE)
    })
}

/// `None` where somebody listens already, which is as good: whoever starts an EPMD
/// wants there to be one.
fn listeners(serving: &Serving) -> anyhow::Result<Option<Vec<TcpListener>>> {
    if serving.systemd {
        return systemd_listeners().map(Some);
    }
    let addresses = parse_addresses(&serving.addresses)
        .map_err(|word| anyhow::anyhow!("{word:?} is no IP address (see -address)"))?;
    match bind(&addresses, serving.port) {
        Ok(listeners) => Ok(Some(listeners)),
        Err(error) if error.is_in_use() => {
            tracing::info!("there is an epmd already: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn systemd_listeners() -> anyhow::Result<Vec<TcpListener>> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..given.len() {
        let socket = given.take_tcp_listener(index);
        let socket = socket.context("systemd gives a socket that is no TCP listener")?;
        if let Some(socket) = socket {
            socket.set_nonblocking(true)?;
            listeners.push(TcpListener::from_std(socket)?);
        }
    }
    anyhow::ensure!(
        !listeners.is_empty(),
        "systemd provides no sockets (start the .socket unit)"
    );
    // Without NOTIFY_SOCKET there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    Ok(listeners)
}

fn level(debug: usize) -> tracing::Level {
    match debug {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    }
}
