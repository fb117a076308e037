//! What a server says of itself before we settle for it.

use crate::conninfo::TargetSession;
use crate::session::Session;
use crate::{PostgresError, PostgresErrorKind};

/// Asked in one round trip.
const QUESTION: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
     pg_catalog.current_setting('transaction_read_only'), pg_catalog.inet_client_port()";

/// What it is, and from where it sees us coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) standby: bool,
    pub(super) read_only: bool,
    /// None through a unix socket.
    pub(super) client_port: Option<u16>,
}

impl Facts {
    pub(super) async fn ask(session: &mut Session) -> Result<Self, PostgresError> {
        let row = session.query_row(QUESTION).await?;
        let column = |index: usize| row.get(index).and_then(Option::as_deref);
        Ok(Self {
            standby: column(0) == Some("t"),
            read_only: column(1) == Some("on"),
            client_port: column(2).and_then(|text| text.parse().ok()),
        })
    }

    /// Whether this server is of the kind that is wanted ("target_session_attrs").
    pub(super) fn check(self, target: TargetSession) -> Result<(), PostgresError> {
        let (fits, is) = match target {
            TargetSession::Any | TargetSession::PreferStandby => (true, ""),
            TargetSession::ReadWrite => (!self.read_only, "it takes no writes"),
            TargetSession::ReadOnly => (self.read_only, "it takes writes"),
            TargetSession::Primary => (!self.standby, "it is a standby"),
            TargetSession::Standby => (self.standby, "it is no standby"),
        };
        if fits {
            return Ok(());
        }
        let kind = match target {
            TargetSession::ReadWrite | TargetSession::Primary if self.standby => {
                PostgresErrorKind::Standby
            }
            _ => PostgresErrorKind::WrongTarget,
        };
        Err(PostgresError::new(kind, is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_fit_as_with_libpq() {
        use TargetSession::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
        let server = |standby, read_only| Facts {
            standby,
            read_only,
            client_port: None,
        };
        let fits = |facts: Facts| {
            let targets = [Any, ReadWrite, ReadOnly, Primary, Standby, PreferStandby];
            targets.map(|target| facts.check(target).is_ok())
        };
        let (primary, standby) = (server(false, false), server(true, true));
        assert_eq!(fits(primary), [true, true, false, true, false, true]);
        assert_eq!(fits(standby), [true, false, true, false, true, true]);
        let read_only_primary = server(false, true);
        assert_eq!(
            fits(read_only_primary),
            [true, false, true, true, false, true]
        );
    }
}
