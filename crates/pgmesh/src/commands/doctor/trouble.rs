//! What went wrong at an edge: its kind, what happened, what to do.

use pgmesh_discovery::{PostgresError, PostgresErrorKind};
use pgmesh_dist::epmd::EpmdError;
use pgmesh_dist::{ConnectError, FailureKind};

use super::check::{Check, Group};

/// A failure of any edge, with the kind that it has everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble<K> {
    pub(super) kind: K,
    pub(super) detail: String,
}

/// Of dials.
pub(super) type DialTrouble = Trouble<FailureKind>;
/// Of sessions with Postgres.
pub(super) type PostgresTrouble = Trouble<PostgresErrorKind>;
/// Of EPMD, where the kind tells little.
pub(super) type EpmdTrouble = Trouble<&'static str>;

impl From<&ConnectError> for DialTrouble {
    fn from(error: &ConnectError) -> Self {
        Self {
            kind: error.kind(),
            detail: error.detail().to_owned(),
        }
    }
}

impl From<&PostgresError> for PostgresTrouble {
    fn from(error: &PostgresError) -> Self {
        Self {
            kind: error.kind(),
            detail: error.detail().to_owned(),
        }
    }
}

impl From<&EpmdError> for EpmdTrouble {
    fn from(error: &EpmdError) -> Self {
        Self {
            kind: error.kind(),
            detail: error.detail(),
        }
    }
}

impl DialTrouble {
    /// The check of a node that cannot be dialled; `whom` stands before what happened.
    pub(super) fn failed(&self, group: Group, check: &'static str, whom: &str) -> Check {
        let message = format!("{whom}: {}", self.detail);
        let failed = group.failed(check, message, dial_remedy(self.kind));
        failed.kind(self.kind.as_str())
    }
}

/// A remedy for every kind: who asks doctor has to be told something.
pub(super) fn dial_remedy(kind: FailureKind) -> &'static str {
    use FailureKind::{AlreadyLinked, Malformed, Simultaneous, Superseded};
    kind.remedy().unwrap_or(match kind {
        AlreadyLinked | Simultaneous | Superseded => {
            "both sides dialled at the same time: look again in a moment"
        }
        Malformed => "is it a node that listens at that port? see pgmesh names HOST",
        _ => "see that node's log: over the wire it does not say why",
    })
}

/// What happened, and what to do: as in all messages that stands at the end, in
/// brackets.
pub(super) fn cause_and_remedy(message: &str) -> (&str, Option<&str>) {
    let inner = message.strip_suffix(')');
    match inner.and_then(|text| text.rsplit_once(" (")) {
        Some((cause, remedy)) => (cause, Some(remedy)),
        None => (message, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedy_stands_at_the_end() {
        let split = cause_and_remedy("the channel (x) is cut (give another)");
        assert_eq!(split, ("the channel (x) is cut", Some("give another")));
        let plain = "port (of Ecto) is passed over";
        assert_eq!(cause_and_remedy(plain), (plain, None));
    }
}
