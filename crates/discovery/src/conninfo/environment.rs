//! What a process has beside a connection string: variables, a home, a user.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// The surroundings that libpq looks at for what a connection string leaves out.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Zeroizing<String>>,
    home: Option<PathBuf>,
    user: Option<String>,
}

/// `PGPASSWORD` is among the variables: none is shown, and all are wiped.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl Environment {
    /// Surroundings as given; variables that are empty count as not set.
    pub fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        home: Option<PathBuf>,
        user: Option<String>,
    ) -> Self {
        let variables = variables.into_iter().filter(|(_, value)| !value.is_empty());
        Self {
            variables: variables
                .map(|(name, value)| (name, Zeroizing::new(value)))
                .collect(),
            home,
            user,
        }
    }

    /// Those of this process. Variables that are no UTF-8 count as not set.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::new(
            std::env::vars_os().filter_map(text),
            std::env::home_dir(),
            whoami::username().ok(),
        )
    }

    /// Whether a variable says where a database is: without a connection string
    /// that is the only sign that one is wanted.
    pub fn names_a_database(&self) -> bool {
        ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"]
            .iter()
            .any(|name| self.variables.contains_key(*name))
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.as_str())
    }

    /// A file below the home, as libpq's defaults are.
    pub(super) fn home_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.home.as_deref()?.join(name))
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}
