//! Distribution over TLS (`-proto_dist inet_tls`), in both roles.
//!
//! One side of a connection is a [`TlsRole`], as in the options that OTP's nodes have
//! for it. Contexts are made when the first connection needs them, and anew when one
//! of their files has changed: links that stand keep what they have. Source: OTP's
//! "Using TLS for Erlang Distribution" (ssl).

mod contexts;
mod failure;
mod stamps;

use std::path::PathBuf;
use std::pin::Pin;

use tokio::io::AsyncWriteExt as _;
use tokio_openssl::SslStream;
use tokio_util::either::Either;
use zeroize::Zeroizing;

use crate::error::{Failure, FailureKind};
use crate::socket::Socket;
pub(crate) use contexts::Contexts;
pub(crate) use failure::of_stream as failure_of_stream;

/// A connection as a link has it, plain or not.
pub(crate) type Wire = Either<Socket, SslStream<Socket>>;

/// A fatal alert, as a record of TLS (RFC 8446, sections 5.1 and 6.2).
const UNEXPECTED_MESSAGE: [u8; 7] = [21, 3, 3, 0, 2, 2, 10];

/// How both sides of a connection prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// When a peer dials us.
    pub server: TlsRole,
    /// When we dial.
    pub client: TlsRole,
}

/// One side of a connection. Files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsRole {
    /// Our certificate, and those between it and the authority.
    pub certificate: Option<PathBuf>,
    /// Its key; without it, the key is in the certificate's file.
    pub key: Option<PathBuf>,
    /// What opens the key. Never shown.
    pub key_password: Option<KeyPassword>,
    /// Who may have signed the peer's certificate.
    pub authorities: Option<PathBuf>,
    /// Whether the peer's certificate must be good; as a client, also for the host
    /// that we dial.
    pub verifies: bool,
    /// As a server: whether a peer must have a certificate at all.
    pub demands_certificate: bool,
    /// As a client that verifies: whether the certificate may be for any host
    /// (`{server_name_indication, disable}`).
    pub any_host: bool,
    /// How many certificates may stand between the peer's and the authority's.
    pub depth: Option<u32>,
    /// Versions that are spoken; TLS 1.2 and 1.3 unless it says less.
    pub versions: TlsVersions,
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 alone.
    V1_2,
    /// TLS 1.3 alone.
    V1_3,
}

/// What opens a key. Never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPassword(Zeroizing<String>);

impl KeyPassword {
    /// Takes it from a setting.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for KeyPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyPassword(…)")
    }
}

/// The files of a [`TlsConfig`] cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct TlsFileError {
    file: String,
    problem: String,
}

impl TlsConfig {
    /// Reads all its files, for whoever wants to know beforehand whether they are good.
    ///
    /// # Errors
    ///
    /// Names the first file that cannot be used, and why. Blocks.
    pub fn check(&self) -> Result<(), TlsFileError> {
        contexts::build_server(&self.server)?;
        contexts::build_client(&self.client)?;
        Ok(())
    }
}

/// Makes a connection that we dialled a TLS one. The certificate must be for `host`.
///
/// Cancel safe: dropped, the connection is closed.
pub(crate) async fn connect(
    contexts: &Contexts,
    stream: Socket,
    host: &str,
) -> Result<Wire, Failure> {
    let ssl = contexts.client(host)?;
    let mut stream = SslStream::new(ssl, stream).map_err(|error| failure::internal(&error))?;
    match Pin::new(&mut stream).connect().await {
        Ok(()) => Ok(Either::Right(stream)),
        Err(error) => Err(failure::of_handshake(&error, stream.ssl())),
    }
}

/// Makes a connection that we accepted a TLS one. Who speaks no TLS is told so, which
/// OpenSSL leaves out.
///
/// Cancel safe: dropped, the connection is closed.
pub(crate) async fn accept(contexts: &Contexts, stream: Socket) -> Result<Wire, Failure> {
    let ssl = contexts.server()?;
    let mut stream = SslStream::new(ssl, stream).map_err(|error| failure::internal(&error))?;
    let Err(error) = Pin::new(&mut stream).accept().await else {
        return Ok(Either::Right(stream));
    };
    let failure = failure::of_handshake(&error, stream.ssl());
    if failure.kind == FailureKind::SpeaksPlain {
        // If it does not arrive, the end of the connection says the same.
        let _ = stream.get_mut().write_all(&UNEXPECTED_MESSAGE).await;
    }
    Err(failure)
}
