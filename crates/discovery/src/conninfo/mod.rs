//! How to reach Postgres: what libpq's connection strings and variables say.
//!
//! tokio-postgres has a parser of its own, which refuses many of the URLs that
//! people have; so the text is read here, and only single attempts are handed to
//! it. Texts become [`Parameters`](parameters::Parameters) first (from the
//! string, a service file, variables, in this order), then values.

mod environment;
mod error;
mod keyword_value;
mod keywords;
mod parameters;
pub(crate) mod passfile;
mod reader;
mod service_file;
mod uri;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;
use zeroize::Zeroizing;

pub use environment::Environment;
pub use error::{ConninfoError, ConninfoErrorKind, ConninfoErrors};

/// Where Postgres is, who we are there, and what we insist on.
#[derive(Clone, Debug)]
pub struct Conninfo {
    /// Tried in this order; never empty.
    pub(crate) servers: Vec<Server>,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) password: Option<Password>,
    /// Where to look for a password that was not given.
    pub(crate) passfile: Option<PathBuf>,
    pub(crate) options: Option<String>,
    pub(crate) application_name: Option<String>,
    pub(crate) tls: TlsSettings,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) target: TargetSession,
    /// Whether servers and addresses are tried in random order.
    pub(crate) load_balance: bool,
    /// For each address; ours unless given.
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) keepalives: Keepalives,
    pub(crate) tcp_user_timeout: Duration,
    warnings: Vec<String>,
}

/// One of the servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) place: Place,
    pub(crate) port: u16,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A host by name or address, and its address where that was given apart.
    Tcp {
        host: String,
        address: Option<IpAddr>,
    },
    /// A folder with unix sockets.
    Unix(PathBuf),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.place {
            Place::Tcp { host, .. } if host.parse::<Ipv6Addr>().is_ok() => {
                write!(f, "[{host}]:{port}")
            }
            Place::Tcp { host, .. } => write!(f, "{host}:{port}"),
            Place::Unix(folder) => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

/// Never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Whether to encrypt, and what of the server's certificate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Everything about TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(crate) mode: SslMode,
    pub(crate) root: RootCertificates,
    /// Our certificate and its key, if there is one.
    pub(crate) identity: Option<IdentityFiles>,
    pub(crate) send_host_name: bool,
    pub(crate) least_version: TlsVersion,
    pub(crate) last_version: Option<TlsVersion>,
}

/// Whose signature a server's certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootCertificates {
    /// Those in this file. If it is not there, nothing is verified where nothing
    /// has to be.
    File(PathBuf),
    /// Those that the system trusts.
    System,
    /// There is no place to look for them.
    Nowhere,
}

/// Where our certificate and its key are. Without the first we have none, as with
/// libpq, and the server may do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) key_password: Option<Password>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TlsVersion {
    V1,
    V1_1,
    V1_2,
    V1_3,
}

/// Which kind of server is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetSession {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// How the kernel finds out that the other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalives {
    pub(crate) on: bool,
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

impl Conninfo {
    /// Reads a URL, or pairs like `host=db port=5432`; an empty text leaves
    /// everything to the surroundings and to libpq's defaults.
    ///
    /// Reads the service file if there is a service; other files only when a
    /// connection is made.
    ///
    /// Source: "Connection Strings" and "Parameter Key Words" in the manual of
    /// libpq; beyond it `ecto://`, `ssl=true` and keys of connection pools.
    ///
    /// # Errors
    ///
    /// All that is wrong, at once. No message repeats a value.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConninfoErrors> {
        let text = text.trim();
        let mut parameters = match uri::after_scheme(text) {
            Some(rest) => uri::parse(rest)?,
            None if text.is_empty() || text.contains('=') => keyword_value::parse(text)?,
            None => {
                return Err(ConninfoError::syntax("it does not begin with postgres://").into());
            }
        };
        let service = parameters.get("service").map(str::to_owned);
        let service = service.or_else(|| environment.variable("PGSERVICE").map(str::to_owned));
        if let Some(service) = service {
            parameters.add_service(service_file::read(&service, environment)?);
        }
        parameters.add_variables(environment);
        reader::read(parameters, environment)
    }

    /// Whether the text, a service file or a variable held a password.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// What deserves a word although it is no mistake.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
