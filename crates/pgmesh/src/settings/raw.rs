//! Settings as texts, and where each came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use clap::ArgMatches;
use zeroize::Zeroizing;

use super::ConfigError;
use super::file::ConfigFile;
use super::table::{Setting, TABLE, variable_of};

/// Where a value came from, nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag,
    Variable,
    File { line: usize },
    DatabaseUrl,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Variable => "variable",
            Self::File { .. } => "file",
            Self::DatabaseUrl => "DATABASE_URL",
            Self::Default => "default",
        })
    }
}

/// A value that was given, not looked at yet; wiped when dropped, since a database's
/// URL may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawValue {
    pub(crate) text: Zeroizing<String>,
    pub(crate) source: Source,
    /// Whether this value is a secret, though its setting is none.
    is_secret: bool,
}

/// All values by the name of their setting.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawSettings {
    values: BTreeMap<&'static str, RawValue>,
    file: Option<ConfigFile>,
}

impl RawSettings {
    /// Beside them what is wrong with the file.
    pub(super) fn collect(
        flags: &ArgMatches,
        variable: impl Fn(&str) -> Option<String>,
    ) -> (Self, Vec<ConfigError>) {
        let (file, errors) = match config_path(flags, &variable) {
            Some(path) => ConfigFile::read(Path::new(&path)),
            None => (None, Vec::new()),
        };
        let sources = Sources {
            flags,
            variable: &variable,
            file: file.as_ref(),
        };
        let value = |setting: &'static Setting| Some((setting.name, sources.find(setting)?));
        let values = TABLE.iter().filter_map(value).collect();
        (Self { values, file }, errors)
    }

    pub(super) fn get(&self, setting: &str) -> Option<&RawValue> {
        self.values.get(setting)
    }

    /// What was given for this setting is never shown.
    pub(super) fn keep_secret(&mut self, setting: &str) {
        if let Some(value) = self.values.get_mut(setting) {
            value.is_secret = true;
        }
    }

    /// The configuration file, if there is one and it could be read.
    pub(super) fn file(&self) -> Option<&ConfigFile> {
        self.file.as_ref()
    }

    /// The configuration file as it was given, if there is one.
    pub(crate) fn file_name(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(file.path().display().to_string())
    }

    /// A setting as the person gave it: by flag, by variable, or at which place.
    pub(super) fn shown(&self, setting: &str) -> String {
        match (self.get(setting).map(|value| value.source), &self.file) {
            (Some(Source::Variable), _) => variable_of(setting),
            (Some(Source::File { line }), Some(file)) => {
                format!("{}: {setting}", file.place(line))
            }
            (Some(Source::DatabaseUrl), _) => "DATABASE_URL".to_owned(),
            _ => format!("--{setting}"),
        }
    }

    /// What was set, for the log: `join=local (flag)`.
    pub(crate) fn summary(&self) -> String {
        let given = TABLE.iter().filter_map(|setting| {
            let value = self.values.get(setting.name)?;
            let line = format!(
                "{}={} ({})",
                setting.name,
                setting.shown(value),
                value.source
            );
            (value.source != Source::Default).then_some(line)
        });
        given.collect::<Vec<_>>().join(", ")
    }

    /// Every setting with what was given for it; `None` where nothing was.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static Setting, Option<&RawValue>)> {
        TABLE
            .iter()
            .map(|setting| (setting, self.values.get(setting.name)))
    }

    /// Takes over what `new` has for this setting.
    pub(super) fn replace(&mut self, setting: &'static Setting, new: &Self) {
        match new.values.get(setting.name) {
            Some(value) => drop(self.values.insert(setting.name, value.clone())),
            None => drop(self.values.remove(setting.name)),
        }
    }
}

impl Setting {
    /// A value of it, as it may be shown.
    pub(crate) fn shown<'a>(&self, value: &'a RawValue) -> &'a str {
        if self.secret || value.is_secret {
            "…"
        } else {
            &value.text
        }
    }
}

struct Sources<'a, V> {
    flags: &'a ArgMatches,
    variable: &'a V,
    file: Option<&'a ConfigFile>,
}

impl<V: Fn(&str) -> Option<String>> Sources<'_, V> {
    fn find(&self, setting: &Setting) -> Option<RawValue> {
        let found = self
            .flag(setting)
            .or_else(|| self.variable(setting))
            .or_else(|| self.file(setting))
            .or_else(|| self.database_url(setting))
            .or_else(|| Some((setting.default?.to_owned(), Source::Default)));
        let (text, source) = found?;
        let text = Zeroizing::new(text);
        Some(RawValue {
            text,
            source,
            is_secret: false,
        })
    }

    fn flag(&self, setting: &Setting) -> Option<(String, Source)> {
        Some((flag(self.flags, setting.name)?, Source::Flag))
    }

    fn variable(&self, setting: &Setting) -> Option<(String, Source)> {
        Some(((self.variable)(&setting.variable())?, Source::Variable))
    }

    /// A cookie in a variable is nearer than a file that the file names.
    fn file(&self, setting: &Setting) -> Option<(String, Source)> {
        if setting.name == "cookie-file" && (self.variable)("PGMESH_COOKIE").is_some() {
            return None;
        }
        let value = self.file?.get(setting.name)?;
        Some((value.text.to_string(), Source::File { line: value.line }))
    }

    fn database_url(&self, setting: &Setting) -> Option<(String, Source)> {
        let is_it = setting.name == "database-url";
        let url = is_it.then(|| (self.variable)("DATABASE_URL")).flatten()?;
        Some((url, Source::DatabaseUrl))
    }
}

/// No file is read that nobody named.
fn config_path(flags: &ArgMatches, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    // `pgmesh validate FILE`; no other command has it.
    let argument = flags.try_get_one::<String>("file").ok().flatten().cloned();
    argument
        .or_else(|| flag(flags, "config"))
        .or_else(|| variable(&variable_of("config")))
}

fn flag(flags: &ArgMatches, name: &str) -> Option<String> {
    let values: Vec<_> = flags.get_many::<String>(name)?.cloned().collect();
    Some(values.join(","))
}
