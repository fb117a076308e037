//! What deserves a word although it is no mistake.

/// Something in the settings that works, and is probably not meant. To be logged,
/// and shown in the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// `channel_cut`, `channel_shows_cookie`, `config_file_exposed`,
    /// `cookie_file_exposed`, `database_url`, `no_database` or `unknown_variable`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    /// The settings that it follows from; none, if it is about what is there now.
    pub(crate) about: &'static [&'static str],
}

impl Warning {
    pub(super) fn new(
        kind: &'static str,
        about: &'static [&'static str],
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            about,
        }
    }
}
