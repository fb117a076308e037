//! One exchange with EPMD at a time, within a deadline.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use pgmesh_name::AliveName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::codec::{
    self, Alive2Reply, HIDDEN_NODE, LONG_CREATIONS, Malformed, NodeInfo, Request, TCP_IPV4,
};

/// Ten thousand names of 255 bytes each fit into this.
const MAX_REPLY_BYTES: u64 = 4 * 1024 * 1024;

/// What an EPMD on this host needs to say all its names.
const ANSWERING: Duration = Duration::from_millis(2);

/// What to do about an EPMD that is not there.
pub const UNREACHABLE_REMEDY: &str = "is it running there, and its port open to us?";

/// Why an exchange with EPMD brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpmdError {
    /// The connection failed or ended early.
    #[error("no EPMD at {address}: {cause} ({})", UNREACHABLE_REMEDY)]
    Io {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// It did not answer in time.
    #[error("EPMD at {0} did not answer in time")]
    Timeout(SocketAddr),
    /// It answered something else.
    #[error("what answers at {0} is no EPMD")]
    BadReply(SocketAddr),
    /// It has that name already.
    #[error("EPMD at {0} has that name already")]
    NameTaken(SocketAddr),
}

impl EpmdError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::BadReply(_) => "epmd_unreachable",
            Self::Timeout(_) => "timeout_at_epmd",
            Self::NameTaken(_) => "name_taken",
        }
    }

    /// What happened, without the remedy.
    pub fn detail(&self) -> String {
        match self {
            Self::Io { address, cause } => format!("no EPMD at {address}: {cause}"),
            Self::Timeout(_) | Self::BadReply(_) | Self::NameTaken(_) => self.to_string(),
        }
    }

    /// All of these may be over by the next try.
    pub fn is_retryable(&self) -> bool {
        true
    }
}

/// What a hidden node tells EPMD about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Under which name.
    pub name: AliveName,
    /// On which port it listens.
    pub port: u16,
}

impl Registration {
    fn info(&self) -> NodeInfo<'_> {
        NodeInfo {
            name: self.name.as_str().as_bytes(),
            port: self.port,
            node_type: HIDDEN_NODE,
            protocol: TCP_IPV4,
            // OTP 23 and later alone.
            highest_version: LONG_CREATIONS,
            lowest_version: LONG_CREATIONS,
            extra: b"",
        }
    }
}

/// Registers a hidden node. The registration lasts as long as the returned
/// connection; the number is the node's creation.
///
/// # Errors
///
/// [`EpmdError::NameTaken`] also while a connection that the same name held a
/// moment ago has not been noticed to be gone: try again for a second or two.
///
/// Cancel safe: dropped, it registers nothing that lasts.
pub async fn register(
    address: SocketAddr,
    registration: &Registration,
    limit: Duration,
) -> Result<(TcpStream, u32), EpmdError> {
    within(address, limit, async {
        let mut stream = send(address, Request::Alive2(registration.info())).await?;
        let mut reply = [0; codec::ALIVE2_REPLY];
        stream.read_exact(&mut reply[..1]).await?;
        let len = codec::alive2_reply_len(reply[0])?;
        stream.read_exact(&mut reply[1..len]).await?;
        match Alive2Reply::decode(&reply[..len])? {
            Alive2Reply::Registered { creation } => Ok((stream, creation)),
            Alive2Reply::Refused => Err(Exchange::NameTaken),
        }
    })
    .await
}

/// Asks on which port a node listens; `None` if EPMD does not know it.
///
/// # Errors
///
/// When EPMD is not to be reached, silent, or no EPMD. Cancel safe.
pub async fn lookup(
    address: SocketAddr,
    name: &str,
    limit: Duration,
) -> Result<Option<u16>, EpmdError> {
    within(address, limit, async {
        let mut stream = send(address, Request::PortPlease2(name)).await?;
        let mut reply = [0; codec::PORT2_HEAD];
        let mut len = 0;
        // A refusal is shorter, and EPMD closes behind it.
        while len < reply.len() && codec::decode_port2(&reply[..len]) != Ok(None) {
            match stream.read(&mut reply[len..]).await? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                more => len += more,
            }
        }
        Ok(codec::decode_port2(&reply[..len])?)
    })
    .await
}

/// Lists the names that EPMD knows, hidden nodes among them.
///
/// # Errors
///
/// When EPMD is not to be reached, silent, or no EPMD. Cancel safe.
pub async fn names(
    address: SocketAddr,
    limit: Duration,
) -> Result<Vec<(AliveName, u16)>, EpmdError> {
    let reply = ask(address, Request::Names, limit).await?;
    codec::decode_names(&reply).map_err(|Malformed| EpmdError::BadReply(address))
}

/// The same for who asks all the time and is in no hurry: it waits a moment for the
/// answer, of which OTP's EPMD sends each name by itself, instead of being woken for each.
///
/// # Errors
///
/// As [`names`]. Cancel safe.
pub async fn names_unhurried(
    address: SocketAddr,
    limit: Duration,
) -> Result<Vec<(AliveName, u16)>, EpmdError> {
    let reply = within(address, limit, async {
        let stream = send(address, Request::Names).await?;
        tokio::time::sleep(ANSWERING).await;
        read_all(stream).await
    });
    codec::decode_names(&reply.await?).map_err(|Malformed| EpmdError::BadReply(address))
}

/// Sends a request and returns all that is said until EPMD closes, up to 4 MiB.
/// Not for registrations: those end with their connection.
///
/// # Errors
///
/// When EPMD is not to be reached or silent. Cancel safe.
pub async fn ask(
    address: SocketAddr,
    request: Request<'_>,
    limit: Duration,
) -> Result<Vec<u8>, EpmdError> {
    within(address, limit, async {
        let stream = send(address, request).await?;
        read_all(stream).await
    })
    .await
}

/// How an exchange can fail, before the address is added.
enum Exchange {
    Io(io::Error),
    BadReply,
    NameTaken,
}

impl From<io::Error> for Exchange {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for Exchange {
    fn from(_: Malformed) -> Self {
        Self::BadReply
    }
}

async fn within<T>(
    address: SocketAddr,
    limit: Duration,
    exchange: impl Future<Output = Result<T, Exchange>>,
) -> Result<T, EpmdError> {
    match tokio::time::timeout(limit, exchange).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Exchange::Io(cause))) => Err(EpmdError::Io { address, cause }),
        Ok(Err(Exchange::BadReply)) => Err(EpmdError::BadReply(address)),
        Ok(Err(Exchange::NameTaken)) => Err(EpmdError::NameTaken(address)),
        Err(_) => Err(EpmdError::Timeout(address)),
    }
}

async fn read_all(stream: TcpStream) -> Result<Vec<u8>, Exchange> {
    // Room for some fifty names, so that as many are read at once.
    let mut reply = Vec::with_capacity(2048);
    stream.take(MAX_REPLY_BYTES).read_to_end(&mut reply).await?;
    Ok(reply)
}

async fn send(address: SocketAddr, request: Request<'_>) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    // One write is never held back, so TCP_NODELAY would change nothing.
    stream.write_all(&request.encode()).await?;
    Ok(stream)
}
