//! From a connection string to a session: which server, which address, with TLS
//! or without, and whether it is the kind of server that is wanted.

mod encryption;
mod examine;
mod facts;
mod proof;
mod resolver;
mod wire;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode as WireMode;

use crate::conninfo::{Conninfo, Password, Place, Server, TargetSession, passfile};
use crate::session::Session;
use crate::tls::LazyTls;
use crate::{PostgresError, PostgresErrorKind};
use encryption::Encryption;
pub use examine::{Examination, Listener, Reached, Settled, examine};
use facts::Facts;
pub(crate) use proof::private_channel;
use resolver::Resolver;
pub(crate) use wire::Wire;

/// For all servers together, unless `connect_timeout` says how long each may take:
/// connect, TLS, authentication and LISTEN, any of which can hang.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// What a server gets of it at the least, however many there are.
const LEAST_LIMIT: Duration = Duration::from_millis(1500);
/// Of that, for TCP: trying again asks a host that was cut off and is back sooner
/// than the kernel's own repetitions do.
const TCP_LIMIT: Duration = Duration::from_secs(2);

/// Makes sessions, one after another.
pub(crate) struct Connector {
    conninfo: Conninfo,
    application_name: String,
    tls: LazyTls,
    resolver: Resolver,
    /// Servers that did not answer in time: tried after the others.
    silent: HashSet<Server>,
}

/// The way that led to a session.
#[derive(Clone, Debug)]
struct Door {
    server: Server,
    address: Option<IpAddr>,
    encryption: Encryption,
}

/// A session that stands, and how it came about.
struct Entered {
    session: Session,
    door: Door,
    /// The port of our side, if it is TCP.
    own_port: Option<u16>,
}

impl Connector {
    /// `application_name` is who we are unless the connection string says so.
    pub(crate) fn new(conninfo: Conninfo, application_name: &str) -> Self {
        let name = conninfo.application_name.as_deref();
        Self {
            application_name: name.unwrap_or(application_name).to_owned(),
            tls: LazyTls::new(conninfo.tls.clone()),
            resolver: Resolver::default(),
            silent: HashSet::new(),
            conninfo,
        }
    }

    /// A session on the first server that will do, on which `listen` has been
    /// executed and that is proven to hear what others say.
    ///
    /// Cancel safe: dropped, it leaves no session behind.
    pub(crate) async fn connect(&mut self, listen: &str) -> Result<Session, PostgresError> {
        if self.conninfo.target != TargetSession::PreferStandby {
            return self.connect_any(self.conninfo.target, listen).await;
        }
        match self.connect_any(TargetSession::Standby, listen).await {
            Ok(session) => Ok(session),
            Err(_) => self.connect_any(TargetSession::Any, listen).await,
        }
    }

    async fn connect_any(
        &mut self,
        target: TargetSession,
        listen: &str,
    ) -> Result<Session, PostgresError> {
        let mut failure: Option<PostgresError> = None;
        for server in self.order() {
            let error = match self.connect_server(&server, target, listen).await {
                Ok(session) => return Ok(session),
                Err(error) => error.at(&server),
            };
            // A wrong password is wrong everywhere, and libpq asks nobody else.
            let is_final = error.kind() == PostgresErrorKind::Authentication;
            failure = Some(match failure {
                Some(earlier) => earlier.and(error),
                None => error,
            });
            if is_final {
                break;
            }
        }
        Err(failure.unwrap_or_else(PostgresError::closed))
    }

    /// As listed or at random; those that were silent last time at the end.
    fn order(&self) -> Vec<Server> {
        let mut servers = self.conninfo.servers.clone();
        if self.conninfo.load_balance {
            fastrand::shuffle(&mut servers);
        }
        servers.sort_by_key(|server| self.silent.contains(server));
        servers
    }

    async fn connect_server(
        &mut self,
        server: &Server,
        target: TargetSession,
        listen: &str,
    ) -> Result<Session, PostgresError> {
        let (session, door) = self.settle(server, target, listen).await?;
        self.prove(session, door).await
    }

    /// A session that listens; where something stands between us and the server,
    /// with the door through which it is to be proven that it hears.
    async fn settle(
        &mut self,
        server: &Server,
        target: TargetSession,
        listen: &str,
    ) -> Result<(Session, Option<Door>), PostgresError> {
        let limit = self.limit_of(server);
        let mut outcome = Err(PostgresError::new(
            PostgresErrorKind::UnknownHost,
            "the host has no address",
        ));
        for address in self.addresses(server, limit).await? {
            let attempt = self.connect_address(server, address, target, listen);
            outcome = match timeout(limit, attempt).await {
                Ok(outcome) => outcome,
                Err(_) => Err(PostgresError::timeout(limit)),
            };
            if outcome.is_ok() {
                break;
            }
        }
        match &outcome {
            Err(error) if error.kind() == PostgresErrorKind::Timeout => {
                self.silent.insert(server.clone());
            }
            _ => {
                self.silent.remove(server);
            }
        }
        outcome
    }

    /// For each address. Beside others, one that was silent last time gets no more
    /// than the least, or the others would be asked too rarely.
    fn limit_of(&self, server: &Server) -> Duration {
        let count = self.conninfo.servers.len();
        let share = if count > 1 && self.silent.contains(server) {
            LEAST_LIMIT
        } else {
            CONNECT_LIMIT / u32::try_from(count).unwrap_or(u32::MAX)
        };
        let share = share.max(LEAST_LIMIT);
        self.conninfo.connect_timeout.unwrap_or(share)
    }

    /// `None` stands for a unix socket.
    async fn addresses(
        &mut self,
        server: &Server,
        limit: Duration,
    ) -> Result<Vec<Option<IpAddr>>, PostgresError> {
        let host = match &server.place {
            Place::Unix(_) => return Ok(vec![None]),
            Place::Tcp {
                address: Some(address),
                ..
            } => return Ok(vec![Some(*address)]),
            Place::Tcp { host, .. } => host,
        };
        let unknown = |error: std::io::Error| {
            let detail = format!("host is unknown: {error}");
            PostgresError::new(PostgresErrorKind::UnknownHost, detail)
        };
        let found = self.resolver.addresses(host, limit).await;
        let mut addresses = found.map_err(unknown)?;
        if self.conninfo.load_balance {
            fastrand::shuffle(&mut addresses);
        }
        Ok(addresses.into_iter().map(Some).collect())
    }

    async fn connect_address(
        &self,
        server: &Server,
        address: Option<IpAddr>,
        target: TargetSession,
        listen: &str,
    ) -> Result<(Session, Option<Door>), PostgresError> {
        let entered = self.enter_any_way(server, address).await?;
        let mut session = entered.session;
        let facts = Facts::ask(&mut session).await?;
        facts.check(target)?;
        if listen.is_empty() {
            return Ok((session, None));
        }
        session.execute(listen).await?;
        // Our own port at the other end: nobody between us speaks the protocol.
        let is_direct = entered.own_port.is_some() && entered.own_port == facts.client_port;
        Ok((session, (!is_direct).then_some(entered.door)))
    }

    async fn enter_any_way(
        &self,
        server: &Server,
        address: Option<IpAddr>,
    ) -> Result<Entered, PostgresError> {
        let mut failure: Option<PostgresError> = None;
        for encryption in encryption::ways(self.conninfo.tls.mode, &server.place) {
            let door = Door {
                server: server.clone(),
                address,
                encryption: *encryption,
            };
            let error = match self.enter(&door).await {
                Ok(entered) => return Ok(entered),
                Err(error) => error,
            };
            let go_on = encryption::other_way_may_help(error.kind(), error.said_by_server());
            // What went wrong with TLS is what a person wants to know.
            failure = match failure {
                Some(with_tls) if *encryption == Encryption::None => Some(with_tls),
                _ => Some(error),
            };
            if !go_on {
                break;
            }
        }
        Err(failure.unwrap_or_else(PostgresError::closed))
    }

    async fn enter(&self, door: &Door) -> Result<Entered, PostgresError> {
        let (wire, own_port) = self.open(door).await.map_err(|e| PostgresError::io(&e))?;
        let config = self.config(door).await;
        let host = match &door.server.place {
            Place::Tcp { host, .. } => host.as_str(),
            Place::Unix(_) => "",
        };
        let (client, connection) = config.connect_raw(wire, self.tls.to(host)).await?;
        Ok(Entered {
            session: Session::start(client, connection),
            door: door.clone(),
            own_port,
        })
    }

    async fn open(&self, door: &Door) -> std::io::Result<(Wire, Option<u16>)> {
        let given = self.conninfo.connect_timeout;
        let limit = given.unwrap_or(TCP_LIMIT);
        match (&door.server.place, door.address) {
            (Place::Unix(folder), _) => {
                let wire = wire::open_unix(folder, door.server.port, limit).await?;
                Ok((wire, None))
            }
            (Place::Tcp { .. }, Some(ip)) => {
                let address = SocketAddr::new(ip, door.server.port);
                let (wire, own_port) = wire::open_tcp(address, limit, &self.conninfo).await?;
                Ok((wire, Some(own_port)))
            }
            (Place::Tcp { .. }, None) => Err(std::io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// What tokio-postgres has to know for one attempt.
    async fn config(&self, door: &Door) -> Config {
        let info = &self.conninfo;
        let mut config = Config::new();
        config
            .user(&info.user)
            .dbname(&info.database)
            .application_name(&self.application_name)
            .channel_binding(info.channel_binding)
            .ssl_mode(match door.encryption {
                Encryption::None => WireMode::Disable,
                Encryption::IfOffered => WireMode::Prefer,
                Encryption::Required => WireMode::Require,
            });
        if let Some(options) = &info.options {
            config.options(options);
        }
        if let Some(password) = self.password(&door.server).await {
            config.password(password.expose());
        }
        config
    }

    /// The one that was given, else the one in the password file, which is read
    /// each time: it may have been changed.
    async fn password(&self, server: &Server) -> Option<Password> {
        if let Some(password) = &self.conninfo.password {
            return Some(password.clone());
        }
        let file = self.conninfo.passfile.clone()?;
        let (database, user) = (self.conninfo.database.clone(), self.conninfo.user.clone());
        let (host, port) = (host_in_passfile(server), server.port);
        let look = move || {
            let wanted = passfile::Wanted {
                host: &host,
                port,
                database: &database,
                user: &user,
            };
            passfile::password(&file, &wanted)
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }
}

/// Sockets at their usual place are known as localhost there.
fn host_in_passfile(server: &Server) -> String {
    match &server.place {
        Place::Tcp { host, .. } => host.clone(),
        Place::Unix(folder) if folder.ends_with("var/run/postgresql") => "localhost".to_owned(),
        Place::Unix(folder) => folder.display().to_string(),
    }
}
