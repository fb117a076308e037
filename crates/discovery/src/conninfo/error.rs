//! What is wrong with a connection string. No message repeats a value: in a URL
//! with an unescaped `/` or `@` any part may be a piece of the password.

use std::fmt;

/// The kind of mistake: a label from a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConninfoErrorKind {
    /// The text as a whole is not understood.
    Syntax,
    /// A parameter that libpq does not know either.
    UnknownParameter,
    /// A parameter of libpq's that asks for something we do not do.
    Unsupported,
    /// A known parameter with a value it cannot have.
    BadValue,
    /// Parameters that contradict each other.
    Contradiction,
    /// A service that no service file defines.
    UnknownService,
}

impl ConninfoErrorKind {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownParameter => "unknown_parameter",
            Self::Unsupported => "unsupported",
            Self::BadValue => "bad_value",
            Self::Contradiction => "contradiction",
            Self::UnknownService => "unknown_service",
        }
    }
}

/// One mistake in a connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} ({remedy})")]
pub struct ConninfoError {
    kind: ConninfoErrorKind,
    problem: String,
    remedy: String,
}

impl ConninfoError {
    pub(super) fn new(
        kind: ConninfoErrorKind,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn syntax(problem: &str) -> Self {
        let remedy = "write postgres://user:password@host:5432/database, \
                      with %40 for @, %2F for / and %3A for : in a password";
        Self::new(ConninfoErrorKind::Syntax, problem, remedy)
    }

    pub(super) fn bad_value(parameter: &str, expected: impl fmt::Display) -> Self {
        let problem = format!("{parameter} has a value that it cannot have");
        Self::new(ConninfoErrorKind::BadValue, problem, expected.to_string())
    }

    /// Which kind of mistake it is.
    pub fn kind(&self) -> ConninfoErrorKind {
        self.kind
    }

    /// A text does not get better by trying again.
    pub fn is_retryable(&self) -> bool {
        false
    }

    /// What is wrong, without the remedy.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// All mistakes in a connection string, at once. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConninfoErrors(pub Vec<ConninfoError>);

impl std::error::Error for ConninfoErrors {}

impl fmt::Display for ConninfoErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl From<ConninfoError> for ConninfoErrors {
    fn from(error: ConninfoError) -> Self {
        Self(vec![error])
    }
}
