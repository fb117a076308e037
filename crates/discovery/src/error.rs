//! What can be wrong with a Postgres session.

use std::error::Error as _;
use std::time::Duration;

use tokio_postgres::error::SqlState;

/// The kind of trouble: a label from a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostgresErrorKind {
    /// The server's host has no address.
    UnknownHost,
    /// The server is not to be reached.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It refuses this user or password.
    Authentication,
    /// It has no such database.
    UnknownDatabase,
    /// It is a standby: it can neither listen nor notify.
    Standby,
    /// It has no connection left.
    TooManyConnections,
    /// It is starting or stopping.
    NotReady,
    /// TLS failed.
    Tls,
    /// It ended the session.
    Closed,
    /// The session stands, but our own announcements no longer come back.
    Deaf,
    /// Anything else that it said.
    Other,
}

impl PostgresErrorKind {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownHost => "unknown_host",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Authentication => "authentication",
            Self::UnknownDatabase => "unknown_database",
            Self::Standby => "standby",
            Self::TooManyConnections => "too_many_connections",
            Self::NotReady => "not_ready",
            Self::Tls => "tls",
            Self::Closed => "closed",
            Self::Deaf => "deaf",
            Self::Other => "other",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::UnknownHost => " (check the host in --database-url, and DNS here)",
            Self::Unreachable => " (is Postgres running there, and its port open to us?)",
            Self::Timeout => " (is the host right, and no firewall between?)",
            Self::Authentication => " (check user and password in --database-url)",
            Self::UnknownDatabase => " (check the database in --database-url)",
            Self::Standby => " (give the primary's address: a standby cannot LISTEN)",
            Self::TooManyConnections => " (raise max_connections, or close others)",
            Self::Tls => " (check sslmode in --database-url)",
            Self::Deaf => " (a pooler in transaction mode does this: connect directly)",
            Self::NotReady | Self::Closed | Self::Other => "",
        }
    }
}

/// Why there is no session, or no longer one. Never carries a password.
#[derive(Clone, Debug, thiserror::Error)]
#[error("postgres: {detail}{}", .kind.remedy())]
pub struct PostgresError {
    kind: PostgresErrorKind,
    detail: String,
}

impl PostgresError {
    /// Which kind of trouble it is.
    pub fn kind(&self) -> PostgresErrorKind {
        self.kind
    }

    /// All of it may be mended without us: it is tried for ever.
    pub fn is_retryable(&self) -> bool {
        true
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        Self {
            kind: PostgresErrorKind::Timeout,
            detail: format!("no session within {limit:?}"),
        }
    }

    pub(crate) fn closed() -> Self {
        Self {
            kind: PostgresErrorKind::Closed,
            detail: "the server ended the session".to_owned(),
        }
    }

    pub(crate) fn deaf(silence: Duration) -> Self {
        let seconds = silence.as_secs_f64();
        Self {
            kind: PostgresErrorKind::Deaf,
            detail: format!("nothing heard of our own announcements for {seconds:.1} s"),
        }
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        let kind = classify(&error);
        let detail = match (error.as_db_error(), error.source()) {
            (Some(server), _) => format!("the server says: {}", server.message()),
            (None, Some(source)) => format!("{error}: {source}"),
            (None, None) => error.to_string(),
        };
        Self { kind, detail }
    }
}

fn classify(error: &tokio_postgres::Error) -> PostgresErrorKind {
    if let Some(state) = error.code() {
        return classify_state(state);
    }
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    if error.is_closed() {
        PostgresErrorKind::Closed
    } else if let Some(io) = io {
        match io.kind() {
            std::io::ErrorKind::UnexpectedEof => PostgresErrorKind::Closed,
            std::io::ErrorKind::TimedOut => PostgresErrorKind::Timeout,
            // The kind that the system's resolver fails with has no name of its own.
            _ if io.to_string().contains("lookup address") => PostgresErrorKind::UnknownHost,
            _ => PostgresErrorKind::Unreachable,
        }
    } else if error.to_string().contains("TLS") {
        PostgresErrorKind::Tls
    } else {
        PostgresErrorKind::Other
    }
}

fn classify_state(state: &SqlState) -> PostgresErrorKind {
    match state.code() {
        "28P01" | "28000" => PostgresErrorKind::Authentication,
        "3D000" => PostgresErrorKind::UnknownDatabase,
        "25006" => PostgresErrorKind::Standby,
        "53300" => PostgresErrorKind::TooManyConnections,
        "57P01" | "57P02" => PostgresErrorKind::Closed,
        "57P03" => PostgresErrorKind::NotReady,
        _ => PostgresErrorKind::Other,
    }
}
