//! What can be wrong with a Postgres session.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio_postgres::error::DbError;

use crate::backoff::Trouble;
use crate::tls::TlsProblem;

/// The kind of trouble: a label from a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PostgresErrorKind {
    // In the order in which a connection gets somewhere: of several servers, the
    // one that got furthest is the one to tell of.
    /// The server's host has no address.
    UnknownHost,
    /// The server is not to be reached.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It ended the session.
    Closed,
    /// It has no TLS, and we want some.
    TlsNotOffered,
    /// One of our own certificates or keys cannot be used.
    TlsFiles,
    /// TLS failed.
    Tls,
    /// Its certificate is not good.
    TlsCertificate,
    /// It is starting or stopping.
    NotReady,
    /// It has no connection left.
    TooManyConnections,
    /// It wants TLS, and we want none.
    TlsRequired,
    /// It wants a certificate of ours, or another one.
    ClientCertificate,
    /// No line of its pg_hba.conf lets us in.
    NotPermitted,
    /// It refuses this user or password.
    Authentication,
    /// It has no such database.
    UnknownDatabase,
    /// Anything else that it said.
    Other,
    /// It is not of the kind that `target_session_attrs` asks for.
    WrongTarget,
    /// It is a standby: it can neither listen nor notify.
    Standby,
    /// Between us and it is a pooler in transaction mode: nothing would be heard.
    Pooler,
    /// Its notification queue is full.
    QueueFull,
    /// The session stands, but our own announcements no longer come back.
    Deaf,
}

impl PostgresErrorKind {
    /// Every kind, for tables and metrics.
    pub const ALL: [Self; 21] = [
        Self::UnknownHost,
        Self::Unreachable,
        Self::Timeout,
        Self::Closed,
        Self::TlsNotOffered,
        Self::TlsFiles,
        Self::Tls,
        Self::TlsCertificate,
        Self::NotReady,
        Self::TooManyConnections,
        Self::TlsRequired,
        Self::ClientCertificate,
        Self::NotPermitted,
        Self::Authentication,
        Self::UnknownDatabase,
        Self::Other,
        Self::WrongTarget,
        Self::Standby,
        Self::Pooler,
        Self::QueueFull,
        Self::Deaf,
    ];

    fn trouble(self) -> Trouble {
        match self {
            Self::Timeout => Trouble::Silent,
            Self::TlsRequired
            | Self::ClientCertificate
            | Self::NotPermitted
            | Self::Authentication
            | Self::UnknownDatabase => Trouble::Refused,
            _ => Trouble::Away,
        }
    }

    /// The label.
    pub fn as_str(self) -> &'static str {
        self.label_and_remedy().0
    }

    /// What a person may do about it.
    pub fn remedy(self) -> &'static str {
        self.label_and_remedy().1
    }

    fn label_and_remedy(self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownHost => ("unknown_host", "check the host in the URL, and DNS here"),
            Self::Unreachable => (
                "unreachable",
                "is Postgres running there, and its port open to us?",
            ),
            Self::Timeout => ("timeout", "is the host right, and no firewall between?"),
            Self::Closed => ("closed", "see the server's log"),
            Self::TlsNotOffered => (
                "tls_not_offered",
                "turn ssl on at the server, or say sslmode=prefer",
            ),
            Self::TlsFiles => ("tls_files", "check sslrootcert, sslcert and sslkey"),
            Self::Tls => (
                "tls",
                "check sslmode and channel_binding, and that it is Postgres that answers",
            ),
            Self::TlsCertificate => (
                "tls_certificate",
                "check sslrootcert and the host in the URL, or renew the server's certificate",
            ),
            Self::NotReady => ("not_ready", "it is starting or stopping: wait"),
            Self::TooManyConnections => (
                "too_many_connections",
                "raise max_connections, or close others",
            ),
            Self::TlsRequired => ("tls_required", "say sslmode=require in the URL"),
            Self::ClientCertificate => (
                "client_certificate",
                "check sslcert and sslkey: who signed it, for whom, until when",
            ),
            Self::NotPermitted => (
                "not_permitted",
                "add a line for this host, user and database to its pg_hba.conf",
            ),
            Self::Authentication => (
                "authentication",
                "check user and password in the URL, PGPASSWORD or ~/.pgpass",
            ),
            Self::UnknownDatabase => ("unknown_database", "check the database in the URL"),
            Self::Other => ("other", "see the server's log"),
            Self::WrongTarget => (
                "wrong_target",
                "check target_session_attrs, or add the right server to the URL",
            ),
            Self::Standby => (
                "standby",
                "give the primary, or all servers with commas between: a standby cannot LISTEN",
            ),
            Self::Pooler => (
                "pooler",
                "connect directly, or through a pooler in session mode",
            ),
            Self::QueueFull => (
                "queue_full",
                "some session listens and stays in a transaction: end it \
                 (pg_stat_activity, pg_notification_queue_usage())",
            ),
            Self::Deaf => (
                "deaf",
                "is the server frozen, or a pooler in transaction mode between?",
            ),
        }
    }
}

/// Why there is no session, or no longer one. Never carries a password.
#[derive(Clone, Debug, thiserror::Error)]
#[error("postgres: {detail} ({})", .kind.remedy())]
pub struct PostgresError {
    kind: PostgresErrorKind,
    detail: String,
    said_by_server: bool,
    trouble: Trouble,
}

impl PostgresError {
    /// Which kind of trouble it is.
    pub fn kind(&self) -> PostgresErrorKind {
        self.kind
    }

    /// What happened, without the remedy behind it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// All of it may be mended without us: it is tried for ever.
    pub fn is_retryable(&self) -> bool {
        true
    }

    pub(crate) fn new(kind: PostgresErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            said_by_server: false,
            trouble: kind.trouble(),
        }
    }

    pub(crate) fn closed() -> Self {
        Self::new(PostgresErrorKind::Closed, "the server ended the session")
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        let detail = format!("no session within {limit:?}");
        Self::new(PostgresErrorKind::Timeout, detail)
    }

    pub(crate) fn deaf(silence: Duration) -> Self {
        let seconds = silence.as_secs_f64();
        let detail = format!("nothing heard of our own announcements for {seconds:.1} s");
        Self::new(PostgresErrorKind::Deaf, detail)
    }

    pub(crate) fn io(error: &io::Error) -> Self {
        Self::new(kind_of_io(error), error.to_string())
    }

    /// Whether a living server refused, rather than nobody answering.
    pub(crate) fn said_by_server(&self) -> bool {
        self.said_by_server
    }

    /// The same, with the server's name before it.
    pub(crate) fn at(mut self, server: &impl fmt::Display) -> Self {
        self.detail = format!("{server}: {}", self.detail);
        self
    }

    /// Of several servers: told of all, with the kind of the one that got furthest.
    pub(crate) fn and(self, other: Self) -> Self {
        let detail = format!("{}; {}", self.detail, other.detail);
        let refused_by_all = [self.trouble, other.trouble] == [Trouble::Refused; 2];
        let furthest = if other.kind > self.kind { other } else { self };
        let trouble = match furthest.trouble {
            // One of the others may come back.
            Trouble::Refused if !refused_by_all => Trouble::Away,
            trouble => trouble,
        };
        Self {
            detail,
            trouble,
            ..furthest
        }
    }

    /// As far as waiting for another attempt goes.
    pub(crate) fn trouble(&self) -> Trouble {
        self.trouble
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(said) = error.as_db_error() {
            let detail = format!("the server says: {}", said.message());
            return Self {
                said_by_server: true,
                ..Self::new(kind_of_server_error(said), detail)
            };
        }
        let source = error.source();
        if let Some(problem) = source.and_then(|source| source.downcast_ref::<TlsProblem>()) {
            return Self::new(kind_of_tls(problem), tls_detail(problem));
        }
        if let Some(io) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
            return Self::io(io);
        }
        let detail = match source {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self::new(kind_of_client_error(&error, &detail), detail)
    }
}

/// What tokio-postgres itself objects to has no code, only a text.
fn kind_of_client_error(error: &tokio_postgres::Error, detail: &str) -> PostgresErrorKind {
    if error.is_closed() {
        PostgresErrorKind::Closed
    } else if detail.contains("does not support TLS") {
        PostgresErrorKind::TlsNotOffered
    } else if detail.contains("TLS") || detail.contains("channel binding") {
        PostgresErrorKind::Tls
    } else if detail.contains("password") || detail.contains("authentication") {
        PostgresErrorKind::Authentication
    } else {
        PostgresErrorKind::Other
    }
}

fn kind_of_io(error: &io::Error) -> PostgresErrorKind {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => PostgresErrorKind::Closed,
        io::ErrorKind::TimedOut => PostgresErrorKind::Timeout,
        // An alert of the server's, once its side of the handshake looked done.
        _ if is_alert(&error.to_string()) => PostgresErrorKind::ClientCertificate,
        _ if error.to_string().contains("SSL routines") => PostgresErrorKind::Tls,
        _ => PostgresErrorKind::Unreachable,
    }
}

fn kind_of_tls(problem: &TlsProblem) -> PostgresErrorKind {
    match problem {
        TlsProblem::File(_) => PostgresErrorKind::TlsFiles,
        TlsProblem::Handshake(error) if is_verification(error) => PostgresErrorKind::TlsCertificate,
        TlsProblem::Handshake(error) if is_alert(&error.to_string()) => {
            PostgresErrorKind::ClientCertificate
        }
        TlsProblem::Handshake(_) | TlsProblem::Internal(_) => PostgresErrorKind::Tls,
    }
}

fn is_verification(error: &native_tls::Error) -> bool {
    error.to_string().contains("certificate verify failed")
}

/// Whether the server objects to our certificate, in TLS' own words.
fn is_alert(text: &str) -> bool {
    let objections = [
        "unknown ca",
        "certificate expired",
        "bad certificate",
        "certificate required",
    ];
    text.contains("alert") && objections.iter().any(|objection| text.contains(objection))
}

/// Of OpenSSL's lines a person needs the reason in brackets at the end.
fn tls_detail(problem: &TlsProblem) -> String {
    let text = problem.to_string();
    match problem {
        TlsProblem::Handshake(error) if is_verification(error) => {
            let reason = text.rsplit_once('(').map_or("", |(_, reason)| reason);
            let reason = reason.trim_end_matches(')');
            format!("its certificate is not accepted: {reason}")
        }
        TlsProblem::Handshake(_) => format!("TLS failed: {text}"),
        TlsProblem::File(_) | TlsProblem::Internal(_) => text,
    }
}

/// By code, and where one code stands for several troubles by the place in the
/// server's source: its texts are translated.
fn kind_of_server_error(said: &DbError) -> PostgresErrorKind {
    let routine = said.routine().unwrap_or_default();
    kind_of_state(said.code().code(), routine, said.message())
}

fn kind_of_state(code: &str, routine: &str, message: &str) -> PostgresErrorKind {
    match code {
        "28000" if message.contains("certificate") => PostgresErrorKind::ClientCertificate,
        "28000" if routine == "ClientAuthentication" => {
            let in_the_clear = message.contains("no encryption") || message.contains("SSL off");
            if in_the_clear {
                PostgresErrorKind::TlsRequired
            } else {
                PostgresErrorKind::NotPermitted
            }
        }
        "28P01" | "28000" => PostgresErrorKind::Authentication,
        "42501" => PostgresErrorKind::NotPermitted,
        "3D000" => PostgresErrorKind::UnknownDatabase,
        "25006" => PostgresErrorKind::Standby,
        "53300" => PostgresErrorKind::TooManyConnections,
        "54000" => PostgresErrorKind::QueueFull,
        "57P01" | "57P02" | "57P05" => PostgresErrorKind::Closed,
        "57P03" => PostgresErrorKind::NotReady,
        _ => PostgresErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_label_of_its_own_and_a_remedy() {
        let mut labels: Vec<_> = PostgresErrorKind::ALL.iter().map(|k| k.as_str()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), PostgresErrorKind::ALL.len());
        assert!(
            PostgresErrorKind::ALL
                .iter()
                .all(|k| !k.remedy().is_empty())
        );
    }

    #[test]
    fn server_that_says_no_does_not_make_us_wait_for_one_that_may_come_back() {
        let error = |kind| PostgresError::new(kind, "");
        let (refused, away) = (
            || error(PostgresErrorKind::Authentication),
            || error(PostgresErrorKind::Unreachable),
        );
        assert_eq!(refused().and(refused()).trouble(), Trouble::Refused);
        for both in [refused().and(away()), away().and(refused())] {
            assert_eq!(both.trouble(), Trouble::Away);
            assert_eq!(both.and(refused()).trouble(), Trouble::Away);
        }
    }

    #[test]
    fn page_on_postgres_shows_every_kind_and_remedy() {
        let page = include_str!("../../../docs/POSTGRES.md");
        for kind in PostgresErrorKind::ALL {
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", kind.as_str())));
            let shown = row.is_some_and(|row| row.contains(kind.remedy()));
            assert!(shown, "{}: {}", kind.as_str(), kind.remedy());
        }
    }

    /// The queue of a real server holds 8 GB; its code is all that can be shown.
    #[test]
    fn full_queue_has_its_kind() {
        let text = "too many notifications in the NOTIFY queue";
        let kind = kind_of_state("54000", "PreCommit_Notify", text);
        assert_eq!(kind, PostgresErrorKind::QueueFull);
    }

    #[test]
    fn of_several_servers_the_one_that_got_furthest_counts() {
        let gone = PostgresError::new(PostgresErrorKind::Unreachable, "refused").at(&"a:1");
        let standby = PostgresError::new(PostgresErrorKind::Standby, "is one").at(&"b:2");
        for both in [gone.clone().and(standby.clone()), standby.and(gone)] {
            assert_eq!(both.kind(), PostgresErrorKind::Standby);
            assert!(both.to_string().contains("a:1: refused"));
        }
    }
}
