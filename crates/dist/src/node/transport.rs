//! TCP, or TLS over it: what a handshake goes over.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::either::Either;

use super::Inner;
use crate::Step;
use crate::error::{Failure, FailureKind};
use crate::handshake::{HandshakeStream, LengthPrefix};
use crate::socket::Socket;
use crate::tls::{self, Wire};

impl Inner {
    /// A connection to a host, on which the handshake may begin.
    pub(super) async fn open(
        &self,
        address: SocketAddr,
        host: &str,
    ) -> Result<HandshakeStream<Wire>, Failure> {
        let begun_at = Instant::now();
        let connect = TcpStream::connect(address);
        let connected = timeout(self.config.setup_timeout, connect).await;
        let stream = connected
            .map_err(|_| Failure::timeout(Step::Connect))?
            .map_err(|error| Failure::io(&error))?;
        let stream = socket(stream)?;
        let wire = match &self.tls {
            None => Either::Left(stream),
            Some(contexts) => {
                self.within_setup(tls::connect(contexts, stream, host))
                    .await?
            }
        };
        Ok(self.handshake_stream(begun_at, wire))
    }

    /// The same for one that a peer has opened.
    pub(super) async fn take(&self, stream: TcpStream) -> Result<HandshakeStream<Wire>, Failure> {
        let begun_at = Instant::now();
        let stream = socket(stream)?;
        let wire = match &self.tls {
            None => Either::Left(stream),
            Some(contexts) => self.within_setup(tls::accept(contexts, stream)).await?,
        };
        Ok(self.handshake_stream(begun_at, wire))
    }

    async fn within_setup(
        &self,
        tls: impl Future<Output = Result<Wire, Failure>>,
    ) -> Result<Wire, Failure> {
        match timeout(self.config.setup_timeout, tls).await {
            Ok(Err(failure)) if failure.kind == FailureKind::ClosedByPeer => {
                let detail = "the peer hung up when TLS began: does it speak TLS?";
                Err(Failure::new(FailureKind::ClosedByPeer, detail))
            }
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::timeout(Step::Tls)),
        }
    }

    fn handshake_stream(&self, begun_at: Instant, wire: Wire) -> HandshakeStream<Wire> {
        let prefix = match &self.tls {
            None => LengthPrefix::Short,
            Some(_) => LengthPrefix::Long,
        };
        HandshakeStream::new(begun_at, wire, prefix, self.config.setup_timeout)
    }
}

/// Without delay before the first frame: later it costs 40 ms a handshake.
fn socket(stream: TcpStream) -> Result<Socket, Failure> {
    let set = stream.set_nodelay(true);
    set.map_err(|error| Failure::io(&error))?;
    Ok(Socket::Woken(stream))
}
