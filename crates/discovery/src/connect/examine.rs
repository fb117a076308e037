//! Every server of a connection string, step by step, for people to see.
//!
//! Sessions are made as for the keeper. Here each server is tried whatever the
//! others are, and it is kept how far each one was reached.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::encryption::Encryption;
use super::{Connector, Door, Server, private_channel};
use crate::conninfo::{Place, TargetSession};
use crate::identify::Identity;
use crate::payload::{self, Hearing};
use crate::session::Session;
use crate::{Channel, Conninfo, PostgresError, PostgresErrorKind};

/// How long our own words may take to come back.
const ECHO_LIMIT: Duration = Duration::from_secs(2);
/// How long a question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Other daemons that have a session with this database, by the name that their
/// sessions have. Everybody may see that name (monitoring-stats, "pg_stat_activity").
const DAEMONS: &str = "SELECT DISTINCT application_name FROM pg_catalog.pg_stat_activity \
     WHERE application_name LIKE 'pgmesh/%' \
     AND datname = pg_catalog.current_database() ORDER BY 1 LIMIT 1000";

/// What was found out about one server.
#[derive(Debug)]
pub struct Examination {
    /// The server, as it stands in the connection string: `db2:5432`.
    pub server: String,
    /// How far we got, before what follows.
    pub reached: Reached,
    /// What we found there, or what went wrong after that.
    pub outcome: Result<Settled, PostgresError>,
}

/// The steps that are taken one by one; what went wrong after the last of them is
/// told by the kind of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Nothing: not even an address.
    Nothing,
    /// Its addresses are known; none for a unix socket.
    Resolved(Vec<IpAddr>),
    /// It takes connections at one of these.
    Connected(Vec<IpAddr>),
}

/// A session that listens and was shown to hear.
#[derive(Debug)]
pub struct Settled {
    /// What the server says of us and of itself.
    pub identity: Identity,
    /// Whether something that speaks the protocol stands between, such as a pooler.
    pub indirect: bool,
    /// How long our own words took to come back.
    pub echo: Duration,
    /// To hear more.
    pub listener: Listener,
}

/// A session on which others are heard, and nothing is said.
pub struct Listener(Session);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// Examines each server of a connection string, in its order; each may take as long
/// as a session's beginning may. Nothing is said on `channel`.
///
/// Of one that is of another kind than `target_session_attrs` asks for that is the
/// error.
///
/// Cancel safe: dropped, it leaves no session behind.
pub async fn examine(
    conninfo: &Conninfo,
    channel: &Channel,
    application_name: &str,
) -> Vec<Examination> {
    let mut connector = Connector::new(conninfo.clone(), application_name);
    let mut examinations = Vec::new();
    for server in conninfo.servers.clone() {
        examinations.push(connector.examine(&server, channel).await);
    }
    examinations
}

impl Connector {
    async fn examine(&mut self, server: &Server, channel: &Channel) -> Examination {
        let mut reached = Reached::Nothing;
        let outcome = self.take_steps(server, channel, &mut reached).await;
        Examination {
            server: server.to_string(),
            reached,
            outcome,
        }
    }

    async fn take_steps(
        &mut self,
        server: &Server,
        channel: &Channel,
        reached: &mut Reached,
    ) -> Result<Settled, PostgresError> {
        let limit = self.limit_of(server);
        let addresses = self.addresses(server, limit).await?;
        let known: Vec<_> = addresses.iter().copied().flatten().collect();
        *reached = Reached::Resolved(known.clone());
        self.knock(server, &addresses).await?;
        *reached = Reached::Connected(known);
        let target = match self.conninfo.target {
            TargetSession::PreferStandby => TargetSession::Any,
            target => target,
        };
        let listen = channel.listen_statement();
        let (session, door) = self.settle(server, target, &listen).await?;
        let indirect = door.is_some() && matches!(server.place, Place::Tcp { .. });
        let session = self.prove(session, door).await?;
        let identified = timeout(limit, settled(session, indirect)).await;
        identified.map_err(|_| PostgresError::timeout(limit))?
    }

    /// Whether one of the addresses takes a connection.
    async fn knock(
        &self,
        server: &Server,
        addresses: &[Option<IpAddr>],
    ) -> Result<(), PostgresError> {
        let mut failure =
            PostgresError::new(PostgresErrorKind::UnknownHost, "the host has no address");
        for address in addresses {
            let door = Door {
                server: server.clone(),
                address: *address,
                encryption: Encryption::None,
            };
            match self.open(&door).await {
                Ok(_) => return Ok(()),
                Err(error) => failure = PostgresError::io(&error),
            }
        }
        Err(failure)
    }
}

async fn settled(mut session: Session, indirect: bool) -> Result<Settled, PostgresError> {
    let identity = Identity::ask(&mut session).await?;
    let echo = hear_ourselves(&mut session).await?;
    Ok(Settled {
        identity,
        indirect,
        echo,
        listener: Listener(session),
    })
}

/// On a channel of our own, where nobody else hears it.
async fn hear_ourselves(session: &mut Session) -> Result<Duration, PostgresError> {
    let channel = private_channel();
    session.execute(&format!("LISTEN {channel}")).await?;
    let said_at = Instant::now();
    session
        .say(channel.clone(), vec!["echo".to_owned()])
        .await?;
    let heard = timeout(ECHO_LIMIT, session.hear_on(&channel)).await;
    heard.map_err(|_| PostgresError::deaf(ECHO_LIMIT))?;
    let echo = said_at.elapsed();
    session.execute(&format!("UNLISTEN {channel}")).await?;
    Ok(echo)
}

impl Listener {
    /// Hears what is said on the channel for so long, and what was said since the
    /// session listens.
    ///
    /// # Errors
    ///
    /// Why the session is over.
    ///
    /// Cancel safe, but what was heard is lost.
    pub async fn hear_for(&mut self, duration: Duration) -> Result<Hearing, PostgresError> {
        let (end, mut hearing) = (Instant::now() + duration, Hearing::default());
        while let Ok(notification) = timeout_at(end, self.0.hear()).await {
            payload::note(&mut hearing, notification?.payload());
        }
        Ok(hearing)
    }

    /// The `pgmesh run`s that have a session with this database, by name. At most a
    /// thousand; those whose connection string gives another `application_name` are
    /// not among them.
    ///
    /// # Errors
    ///
    /// Why the question was not answered, within two seconds.
    ///
    /// Cancel safe.
    pub async fn daemons(&mut self) -> Result<Vec<String>, PostgresError> {
        let asked = timeout(ANSWER_LIMIT, self.0.query_column(DAEMONS)).await;
        let rows = asked.map_err(|_| PostgresError::timeout(ANSWER_LIMIT))??;
        let name = |text: String| text.strip_prefix("pgmesh/").map(str::to_owned);
        Ok(rows.into_iter().filter_map(name).collect())
    }
}
