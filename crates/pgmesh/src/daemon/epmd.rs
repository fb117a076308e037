//! `--epmd auto`: an EPMD for a host that runs none yet.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::service_manager;

const START_LIMIT: Duration = Duration::from_secs(1);
const LOOK_LIMIT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Starts `epmd -daemon` if none answers, as `erl` does. What fails is logged:
/// registration goes on trying all the same.
pub(super) async fn ensure(host: IpAddr, port: u16) {
    let address = SocketAddr::new(host, port);
    if answers(address).await {
        return;
    }
    match tokio::task::spawn_blocking(move || start(port)).await {
        Ok(Ok(())) => wait_for(address).await,
        Ok(Err(error)) => tracing::warn!(
            "no EPMD answers on port {port}, and epmd cannot be started: {error} \
             (install it with Erlang, or start one)"
        ),
        Err(error) => tracing::warn!("epmd cannot be started: {error}"),
    }
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
