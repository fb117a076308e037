//! One line of a table: a connection string, and the variables it meets.

use std::borrow::Cow;
use std::fmt;

/// A variable and its value.
pub(crate) type Variable = (&'static str, &'static str);

/// What is between braces is put in by the world: `{tls}` is a port.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) text: Cow<'static, str>,
    pub(crate) variables: &'static [Variable],
}

/// A row without variables.
pub(crate) const fn row(text: &'static str) -> Row {
    Row {
        text: Cow::Borrowed(text),
        variables: &[],
    }
}

impl Row {
    pub(crate) const fn with(mut self, variables: &'static [Variable]) -> Self {
        self.variables = variables;
        self
    }
}

impl From<String> for Row {
    fn from(text: String) -> Self {
        Self {
            text: Cow::Owned(text),
            variables: &[],
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.variables {
            write!(f, "{name}={value:?} ")?;
        }
        write!(f, "{:?}", self.text)
    }
}
