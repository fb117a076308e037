//! What an EPMD of ours does over time, with real sockets.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pgmesh_epmd::codec::Request;
use pgmesh_epmd::{Commands, Registration, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Generous: only a hang lasts as long.
const LIMIT: Duration = Duration::from_secs(20);

fn start(config: ServerConfig) -> (SocketAddr, JoinHandle<std::io::Result<()>>) {
    let listeners = pgmesh_epmd::bind(&[Ipv4Addr::LOCALHOST.into()], 0).unwrap();
    let address = listeners[0].local_addr().unwrap();
    (address, tokio::spawn(pgmesh_epmd::serve(listeners, config)))
}

fn node(name: &str) -> Registration {
    Registration {
        name: name.parse().unwrap(),
        port: 4711,
    }
}

async fn names(address: SocketAddr) -> Vec<String> {
    let names = pgmesh_epmd::names(address, LIMIT).await.unwrap();
    names
        .into_iter()
        .map(|(name, _)| name.to_string())
        .collect()
}

/// Asks until no name is registered.
async fn nobody_is_left(address: SocketAddr) {
    let asked = timeout(LIMIT, async { while !names(address).await.is_empty() {} });
    asked.await.expect("a name is left behind");
}

#[tokio::test]
async fn name_lives_as_long_as_its_connection() {
    let (address, _server) = start(ServerConfig::default());
    let (held, first) = pgmesh_epmd::register(address, &node("a"), LIMIT)
        .await
        .unwrap();
    assert_eq!(
        pgmesh_epmd::lookup(address, "a", LIMIT).await.unwrap(),
        Some(4711)
    );
    let taken = pgmesh_epmd::register(address, &node("a"), LIMIT).await;
    assert_eq!(taken.unwrap_err().kind(), "name_taken");
    drop(held);
    nobody_is_left(address).await;
    let (_held, second) = pgmesh_epmd::register(address, &node("a"), LIMIT)
        .await
        .unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn reset_before_the_reply_leaves_no_name() {
    let (address, _server) = start(ServerConfig::default());
    let request = b"\0\x0ex\x12\x34M\0\0\x06\0\x05\0\x01z\0\0";
    for _ in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.set_zero_linger().unwrap();
    }
    nobody_is_left(address).await;
}

#[tokio::test]
async fn whoever_asks_nothing_is_closed_in_time_and_delays_nobody() {
    let (address, _server) = start(ServerConfig {
        packet_timeout: Duration::from_millis(500),
        ..ServerConfig::default()
    });
    let (_held, _) = pgmesh_epmd::register(address, &node("a"), LIMIT)
        .await
        .unwrap();
    let mut idle = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"\0\x09za").await.unwrap(),
            _ => drop(tokio::spawn(drip(
                TcpStream::connect(address).await.unwrap(),
            ))),
        }
        idle.push(stream);
    }
    assert_eq!(names(address).await, ["a"]);
    for mut stream in idle {
        let closed = timeout(LIMIT, stream.read(&mut [0]))
            .await
            .expect("closed in time");
        assert_eq!(closed.unwrap(), 0);
    }
    assert_eq!(names(address).await, ["a"], "who is registered stays");
}

/// A byte now and then does not make a request last for ever.
async fn drip(mut stream: TcpStream) {
    let dripped = timeout(LIMIT, async {
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        while stream.write_all(&[0x0b]).await.is_ok() {
            beat.tick().await;
        }
    });
    dripped.await.expect("closed in time");
}

#[tokio::test]
async fn kill_ends_it_once_nobody_is_registered() {
    let (address, server) = start(ServerConfig::default());
    let (held, _) = pgmesh_epmd::register(address, &node("a"), LIMIT)
        .await
        .unwrap();
    let kill = async || {
        pgmesh_epmd::ask(address, Request::Kill, LIMIT)
            .await
            .unwrap()
    };
    assert_eq!(kill().await, b"NO");
    drop(held);
    nobody_is_left(address).await;
    assert_eq!(kill().await, b"OK");
    timeout(LIMIT, server).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn name_that_is_taken_away_ends_its_connection() {
    let (address, _server) = start(ServerConfig {
        commands: Commands::Relaxed,
        ..ServerConfig::default()
    });
    let (mut held, _) = pgmesh_epmd::register(address, &node("a"), LIMIT)
        .await
        .unwrap();
    let stop = pgmesh_epmd::ask(address, Request::Stop(b"a"), LIMIT).await;
    assert_eq!(stop.unwrap(), b"STOPPED");
    let ended = timeout(LIMIT, held.read(&mut [0])).await.unwrap();
    assert_eq!(ended.unwrap(), 0);
}
