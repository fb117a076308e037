//! A peer that says exactly what its test wants, frame by frame.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a free port of 127.0.0.1.
pub struct ScriptedPeer {
    listener: TcpListener,
}

/// One connection to or from a node under test, with the two-byte lengths of the
/// handshake.
pub struct PeerConnection {
    stream: TcpStream,
}

impl ScriptedPeer {
    /// Starts to listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { listener }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Waits for the node under test to connect.
    pub async fn accept(&self) -> PeerConnection {
        let (stream, _) = self.listener.accept().await.unwrap();
        PeerConnection { stream }
    }
}

impl PeerConnection {
    /// Connects to the node under test.
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        Self {
            stream: stream.unwrap(),
        }
    }

    /// Sends a handshake frame.
    pub async fn send(&mut self, frame: &[u8]) {
        let len = u16::try_from(frame.len()).unwrap().to_be_bytes();
        let bytes = [&len, frame].concat();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Receives a handshake frame; `None` when the connection ends first.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        let len = self.stream.read_u16().await.ok()?;
        let mut frame = vec![0; usize::from(len)];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame)
    }

    /// Receives bytes as they are; `None` when the connection ends first.
    pub async fn receive_raw(&mut self, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }
}
