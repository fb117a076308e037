//! Sockets to Postgres, with the kernel's means to notice that a peer is gone.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_util::either::Either;

use crate::conninfo::Conninfo;

/// A TCP or unix socket.
pub(crate) type Wire = Either<TcpStream, UnixStream>;

/// A TCP connection, and the port that it has on our side.
pub(super) async fn open_tcp(
    address: SocketAddr,
    limit: Duration,
    conninfo: &Conninfo,
) -> io::Result<(Wire, u16)> {
    let connected = timeout(limit, TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    let keepalives = conninfo.keepalives;
    if keepalives.on {
        let settings = TcpKeepalive::new()
            .with_time(keepalives.idle)
            .with_interval(keepalives.interval)
            .with_retries(keepalives.count);
        socket.set_tcp_keepalive(&settings)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(conninfo.tcp_user_timeout))?;
    let own_port = stream.local_addr()?.port();
    Ok((Either::Left(stream), own_port))
}

/// A connection through the unix socket of `port` in a folder.
pub(super) async fn open_unix(folder: &Path, port: u16, limit: Duration) -> io::Result<Wire> {
    let path = folder.join(format!(".s.PGSQL.{port}"));
    let connected = timeout(limit, UnixStream::connect(path)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(Either::Right(stream))
}
