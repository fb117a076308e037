//! The channel: who is heard on it, and in which dialect.

use std::collections::BTreeSet;
use std::time::Duration;

use pgmesh_discovery::{Dialect, Hearing, Listener, PostgresError};
use pgmesh_dist::FailureKind;
use pgmesh_name::NodeName;

use super::check::{Check, Group, counted, listed};
use super::trouble::{PostgresTrouble, dial_remedy};
use crate::settings::RunSettings;

const GROUP: Group = Group::Channel;

#[derive(Clone, Debug, Default)]
pub(super) struct ChannelFacts {
    hearing: Hearing,
    listened_for: Duration,
    /// Daemons with a session on the same database.
    daemons: Vec<String>,
}

/// Listens for so long. Nothing is said.
pub(super) async fn gather(
    mut listener: Listener,
    listened_for: Duration,
) -> Result<ChannelFacts, PostgresTrouble> {
    let heard = async {
        let hearing = listener.hear_for(listened_for).await?;
        let daemons = listener.daemons().await?;
        Ok(ChannelFacts {
            hearing,
            listened_for,
            daemons,
        })
    };
    let heard: Result<_, PostgresError> = heard.await;
    heard.map_err(|error| PostgresTrouble::from(&error))
}

impl ChannelFacts {
    /// Everybody's names but our own.
    pub(super) fn names<'a>(&'a self, own: &'a NodeName) -> BTreeSet<&'a NodeName> {
        let all = self.hearing.bare.union(&self.hearing.prefixed);
        all.filter(|name| *name != own).collect()
    }

    fn own_is_heard(&self, own: &NodeName) -> bool {
        let Hearing { bare, prefixed, .. } = &self.hearing;
        bare.contains(own) || prefixed.contains(own) || self.has_session(own)
    }

    fn has_session(&self, own: &NodeName) -> bool {
        self.daemons.iter().any(|daemon| daemon == own.as_str())
    }
}

pub(super) fn checks(
    settings: &RunSettings,
    daemon_runs: bool,
    facts: &Result<ChannelFacts, PostgresTrouble>,
) -> Vec<Check> {
    let facts = match facts {
        Ok(facts) => facts,
        Err(trouble) => {
            let message = format!("the session ended while we listened: {}", trouble.detail);
            let failed = GROUP.failed("heard", message, trouble.kind.remedy());
            return vec![failed.kind(trouble.kind.as_str())];
        }
    };
    let own = &settings.name;
    let mut checks = vec![heard_check(facts, own)];
    checks.extend(daemons_check(facts));
    checks.extend((!daemon_runs).then(|| namesake_check(facts, own)).flatten());
    checks.extend(dialect_check(&facts.hearing, settings.dialect, own));
    checks.extend(no_names_check(&facts.hearing));
    checks
}

pub(super) fn unheard() -> Check {
    GROUP.unchecked("heard", "who is heard, without a session that hears")
}

fn heard_check(facts: &ChannelFacts, own: &NodeName) -> Check {
    let names = facts.names(own);
    let seconds = facts.listened_for.as_secs_f64();
    if names.is_empty() {
        let message = format!("nobody else said a name in {seconds:.1} s");
        let remedy = "are nodes running, with this database and this channel (libcluster's \
                      channel_name)? those of a plain release say nothing themselves";
        return GROUP.warning("heard", message, remedy);
    }
    let count = counted(names.len(), "name");
    let others = match facts.hearing.left_out {
        0 => String::new(),
        times => format!(", and others {times} times"),
    };
    GROUP.ok(
        "heard",
        format!("{count} heard in {seconds:.1} s{others}: {}", listed(names)),
    )
}

fn daemons_check(facts: &ChannelFacts) -> Option<Check> {
    let daemons = &facts.daemons;
    let list = || format!("daemons on this database: {}", listed(daemons));
    (!daemons.is_empty()).then(|| GROUP.ok("daemons", list()))
}

/// Our own name, though nobody runs under it here.
fn namesake_check(facts: &ChannelFacts, own: &NodeName) -> Option<Check> {
    facts.own_is_heard(own).then(|| {
        let kind = FailureKind::OwnName;
        let message = format!("somebody else is {own}: that name is said on this channel");
        GROUP
            .failed("name", message, dial_remedy(kind))
            .kind(kind.as_str())
    })
}

fn dialect_check(hearing: &Hearing, dialect: Dialect, own: &NodeName) -> Option<Check> {
    let others = |names: &BTreeSet<NodeName>| names.iter().filter(|name| *name != own).count();
    let (bare, prefixed) = (others(&hearing.bare), others(&hearing.prefixed));
    let remedy = "BEAM nodes of libcluster_postgres understand bare names only: give all one \
                  dialect (--dialect)";
    let warning = |message: String| Some(GROUP.warning("dialect", message, remedy));
    match (bare, prefixed, dialect) {
        (0, 0, _) | (_, 0, Dialect::Libcluster) | (0, _, Dialect::Heartbeat) => None,
        (0, _, Dialect::Libcluster) => {
            warning("all others say heartbeat:NAME, and we bare names".to_owned())
        }
        (_, 0, Dialect::Heartbeat) => {
            warning("all others say bare names, and we heartbeat:NAME".to_owned())
        }
        _ => warning(format!(
            "two dialects are said: {} bare, {} with heartbeat:",
            counted(bare, "name"),
            counted(prefixed, "name")
        )),
    }
}

fn no_names_check(hearing: &Hearing) -> Option<Check> {
    let (kind, _) = hearing.no_names.iter().max_by_key(|(_, count)| **count)?;
    let all: u64 = hearing.no_names.values().sum();
    let message = format!("{all} payloads were no node names");
    let remedy = "somebody says other things here: give the cluster a channel of its own";
    Some(GROUP.warning("payloads", message, remedy).kind(*kind))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use pgmesh_discovery::PostgresErrorKind;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn hearing(bare: &[&str], prefixed: &[&str]) -> Hearing {
        Hearing {
            bare: bare.iter().map(|text| name(text)).collect(),
            prefixed: prefixed.iter().map(|text| name(text)).collect(),
            ..Hearing::default()
        }
    }

    fn heard(hearing: Hearing, daemons: &[&str]) -> ChannelFacts {
        ChannelFacts {
            hearing,
            listened_for: Duration::from_secs(6),
            daemons: daemons.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    pub(in super::super) fn samples(settings: &RunSettings) -> Vec<Check> {
        let own = settings.name.as_str();
        let mut noisy = hearing(&["a@10.0.0.1", own], &["b@10.0.0.2"]);
        noisy.no_names.insert("at_signs", 12);
        let closed = PostgresTrouble {
            kind: PostgresErrorKind::Closed,
            detail: "the server ended the session".to_owned(),
        };
        let well = heard(hearing(&["a@10.0.0.1", "b@10.0.0.2"], &[]), &[own]);
        let other = heard(hearing(&[], &["a@10.0.0.1"]), &[]);
        [
            checks(settings, true, &Ok(well)),
            checks(settings, true, &Ok(heard(hearing(&[], &[]), &[]))),
            checks(settings, false, &Ok(heard(noisy, &[]))),
            checks(settings, true, &Ok(other)),
            checks(settings, true, &Err(closed)),
            vec![unheard()],
        ]
        .concat()
    }

    #[test]
    fn dialects_are_told_only_where_they_differ() {
        let own = name("pgmesh@h");
        let told = |bare: &[&str], prefixed: &[&str], dialect| {
            dialect_check(&hearing(bare, prefixed), dialect, &own).is_some()
        };
        let (libcluster, heartbeat) = (Dialect::Libcluster, Dialect::Heartbeat);
        assert!(!told(&["a@h"], &[], libcluster) && !told(&[], &["a@h"], heartbeat));
        assert!(told(&["a@h"], &[], heartbeat) && told(&[], &["a@h"], libcluster));
        assert!(told(&["a@h"], &["b@h"], libcluster) && told(&["a@h"], &["b@h"], heartbeat));
        assert!(
            !told(&["a@h"], &["pgmesh@h"], libcluster),
            "our own words do not count"
        );
    }
}
