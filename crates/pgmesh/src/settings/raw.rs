//! Settings as texts, and where each came from.

use std::collections::BTreeMap;
use std::fmt;

use clap::ArgMatches;

use super::table::{Setting, TABLE};

/// Where a value came from, nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Flag,
    Variable,
    DatabaseUrl,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Variable => "variable",
            Self::DatabaseUrl => "DATABASE_URL",
            Self::Default => "default",
        })
    }
}

/// A value that was given, not looked at yet.
#[derive(Clone, Debug)]
pub(super) struct RawValue {
    pub(super) text: String,
    pub(super) source: Source,
}

/// All values by the name of their setting.
#[derive(Debug, Default)]
pub(super) struct RawSettings(BTreeMap<&'static str, RawValue>);

impl RawSettings {
    pub(super) fn collect(flags: &ArgMatches, variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |setting| Some((name(setting), find(setting, flags, &variable)?));
        Self(TABLE.iter().filter_map(value).collect())
    }

    pub(super) fn get(&self, setting: &str) -> Option<&RawValue> {
        self.0.get(setting)
    }

    /// What was set, for the log: `join=local (flag)`.
    pub(super) fn summary(&self) -> String {
        let given = TABLE.iter().filter_map(|setting| {
            let value = self.0.get(setting.name)?;
            let shown = if setting.secret { "…" } else { &value.text };
            let line = format!("{}={shown} ({})", setting.name, value.source);
            (value.source != Source::Default).then_some(line)
        });
        given.collect::<Vec<_>>().join(", ")
    }
}

fn name(setting: &'static Setting) -> &'static str {
    setting.name
}

fn find(
    setting: &Setting,
    flags: &ArgMatches,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<RawValue> {
    let flag = || {
        let values: Vec<_> = flags.get_many::<String>(setting.name)?.cloned().collect();
        Some((values.join(","), Source::Flag))
    };
    let from_variable = || Some((variable(&setting.variable())?, Source::Variable));
    let database_url = || {
        let is_it = setting.name == "database-url";
        let url = is_it.then(|| variable("DATABASE_URL")).flatten()?;
        Some((url, Source::DatabaseUrl))
    };
    let default = || Some((setting.default?.to_owned(), Source::Default));
    let found = flag().or_else(from_variable).or_else(database_url);
    let (text, source) = found.or_else(default)?;
    Some(RawValue { text, source })
}
