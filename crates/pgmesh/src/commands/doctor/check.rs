//! One thing that was looked at, and what came of it.

use std::borrow::Cow;

use serde::Serialize;

/// What belongs together, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Group {
    Settings,
    Daemon,
    Epmd,
    Distribution,
    Postgres,
    Channel,
    Nodes,
    Mesh,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    /// It works, and is probably not meant.
    Warning,
    Failed,
    /// Something before it failed.
    Unchecked,
}

/// One check. Whatever failed has a remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) group: Group,
    /// What was looked at; of a group's checks several may have the same.
    pub(super) check: &'static str,
    /// Whom it is about, if it is about one of several nodes.
    pub(super) node: Option<String>,
    pub(super) outcome: Outcome,
    /// The label that members, status and the log have for it, too.
    pub(super) kind: Option<Cow<'static, str>>,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

impl Group {
    /// All of them, in order.
    #[cfg(test)]
    pub(super) const ALL: [Self; 8] = [
        Self::Settings,
        Self::Daemon,
        Self::Epmd,
        Self::Distribution,
        Self::Postgres,
        Self::Channel,
        Self::Nodes,
        Self::Mesh,
    ];

    /// As people read it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Daemon => "daemon",
            Self::Epmd => "EPMD of this host",
            Self::Distribution => "distribution port",
            Self::Postgres => "Postgres",
            Self::Channel => "channel",
            Self::Nodes => "nodes",
            Self::Mesh => "mesh",
        }
    }

    pub(super) fn ok(self, check: &'static str, message: impl Into<String>) -> Check {
        self.check(check, Outcome::Ok, message, None)
    }

    pub(super) fn warning(
        self,
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        self.check(check, Outcome::Warning, message, Some(remedy.into()))
    }

    pub(super) fn failed(
        self,
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        self.check(check, Outcome::Failed, message, Some(remedy.into()))
    }

    pub(super) fn unchecked(self, check: &'static str, message: impl Into<String>) -> Check {
        self.check(check, Outcome::Unchecked, message, None)
    }

    fn check(
        self,
        check: &'static str,
        outcome: Outcome,
        message: impl Into<String>,
        remedy: Option<String>,
    ) -> Check {
        Check {
            group: self,
            check,
            node: None,
            outcome,
            kind: None,
            message: message.into(),
            remedy,
        }
    }
}

impl Outcome {
    pub(super) fn mark(self) -> char {
        match self {
            Self::Ok => '✓',
            Self::Warning => '!',
            Self::Failed => '✗',
            Self::Unchecked => '–',
        }
    }
}

impl Check {
    pub(super) fn kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    pub(super) fn node(mut self, node: &impl ToString) -> Self {
        self.node = Some(node.to_string());
        self
    }

    /// What failed here does no harm.
    pub(super) fn only_warns(mut self) -> Self {
        if self.outcome == Outcome::Failed {
            self.outcome = Outcome::Warning;
        }
        self
    }
}

/// `a@h, b@h, c@h and 12 more`.
pub(super) fn listed<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 name`, `2 names`.
pub(super) fn counted(count: usize, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(["a", "b"]), "a, b");
        assert_eq!(listed(0..5), "0, 1, 2, 3, 4");
        assert_eq!(listed(0..7), "0, 1, 2, 3, 4 and 2 more");
    }
}
