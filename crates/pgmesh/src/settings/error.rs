//! What is wrong with the configuration.

use std::fmt;

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({remedy})", self.cause())]
pub(crate) struct ConfigError {
    setting: String,
    /// ` "…"`, or nothing for secrets and for what is missing.
    value: String,
    problem: String,
    remedy: String,
}

impl ConfigError {
    pub(crate) fn new(setting: &str, value: &str, problem: &str, remedy: &str) -> Self {
        Self {
            setting: setting.to_owned(),
            value: format!(" {value:?}"),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    /// Of a secret, or of a setting that has no value.
    pub(crate) fn without_value(setting: &str, problem: &str, remedy: &str) -> Self {
        Self {
            setting: setting.to_owned(),
            value: String::new(),
            problem: problem.to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    /// What is wrong with which setting.
    pub(crate) fn cause(&self) -> String {
        format!("{}{}: {}", self.setting, self.value, self.problem)
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// All that is wrong, at once. Never empty.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} error{plural} in the configuration:")?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}
