//! One connection, to see whether and as whom we get in.

use crate::connect::Connector;
use crate::session::Session;
use crate::{Conninfo, PostgresError};

const QUESTION: &str = "SELECT current_user, pg_catalog.current_database(), \
     coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl \
               WHERE pid = pg_catalog.pg_backend_pid()), false), \
     pg_catalog.inet_server_port(), pg_catalog.current_setting('application_name'), \
     pg_catalog.current_setting('search_path'), pg_catalog.pg_is_in_recovery()";

/// What a server says of a session and of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As whom we are there.
    pub user: String,
    /// Which database it is.
    pub database: String,
    /// Whether the session is encrypted.
    pub tls: bool,
    /// The server's port; none through a unix socket.
    pub port: Option<u16>,
    /// What the server's statistics show of us.
    pub application_name: String,
    /// Where it looks for names, which `options` can change.
    pub search_path: String,
    /// Whether it is a standby.
    pub standby: bool,
}

/// Connects once, as a session would, asks, and closes.
///
/// # Errors
///
/// Why there is no session.
///
/// Cancel safe: dropped, it leaves no session behind.
pub async fn identify(
    conninfo: &Conninfo,
    application_name: &str,
) -> Result<Identity, PostgresError> {
    let mut connector = Connector::new(conninfo.clone(), application_name);
    let mut session = connector.connect("").await?;
    Identity::ask(&mut session).await
}

impl Identity {
    pub(crate) async fn ask(session: &mut Session) -> Result<Self, PostgresError> {
        let row = session.query_row(QUESTION).await?;
        let text = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
        Ok(Self {
            user: text(0),
            database: text(1),
            tls: text(2) == "t",
            port: text(3).parse().ok(),
            application_name: text(4),
            search_path: text(5),
            standby: text(6) == "t",
        })
    }
}
