//! The channel's name, byte for byte as libcluster_postgres makes it.

use std::fmt;

/// Postgres cuts longer identifiers.
const MAX_BYTES: usize = 63;

/// A channel as Postgres knows it: at most 63 bytes, case kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    name: String,
    was_cut: bool,
}

/// A text that can be no channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Nothing there.
    #[error("channel is empty")]
    Empty,
    /// Postgres takes no NUL.
    #[error("channel has a NUL")]
    Nul,
    /// What libcluster_postgres makes of this cookie is no UTF-8.
    #[error(
        "the cookie gives no valid channel: cleaned as libcluster_postgres does it, it is no UTF-8, \
         and nodes with this default channel hear nothing (give --channel, and channel_name there)"
    )]
    CookieNotUtf8,
}

impl ChannelError {
    /// A label from a closed set.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Nul => "nul",
            Self::CookieNotUtf8 => "cookie_not_utf8",
        }
    }

    /// A channel does not get better by trying again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

impl Channel {
    /// A channel by its name; Postgres' cut at 63 bytes is made here, on a
    /// character's boundary as Postgres makes it.
    ///
    /// # Errors
    ///
    /// When the name is empty or has a NUL.
    pub fn new(name: &str) -> Result<Self, ChannelError> {
        if name.is_empty() {
            return Err(ChannelError::Empty);
        }
        if name.contains('\0') {
            return Err(ChannelError::Nul);
        }
        let cut = name.floor_char_boundary(MAX_BYTES);
        Ok(Self {
            name: name[..cut].to_owned(),
            was_cut: cut < name.len(),
        })
    }

    /// The default of libcluster_postgres: the cookie, with every byte that is no
    /// word character replaced by `_`.
    ///
    /// # Errors
    ///
    /// When the outcome is empty or no UTF-8.
    pub fn from_cookie(cookie: &str) -> Result<Self, ChannelError> {
        let clean = |byte| if is_word(byte) { byte } else { b'_' };
        let cleaned = cookie.bytes().map(clean).collect();
        let name = String::from_utf8(cleaned).map_err(|_| ChannelError::CookieNotUtf8)?;
        Self::new(&name)
    }

    /// The name that Postgres uses.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Whether the name was longer. BEAM nodes with such a channel say their
    /// names on the cut one, and hear nothing.
    pub fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// `LISTEN`, with the name quoted whatever it has in it.
    pub(crate) fn listen_statement(&self) -> String {
        format!("LISTEN \"{}\"", self.name.replace('"', "\"\""))
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// `\w` of Erlang's `re` without the unicode option: Latin-1, byte by byte.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte == b'_'
        || matches!(byte, 0xAA | 0xB5 | 0xBA | 0xC0..=0xD6 | 0xD8..=0xF6 | 0xF8..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cookies_give_the_channels_of_libcluster_postgres() {
        let channel = |cookie| Channel::from_cookie(cookie).map(|c| c.as_str().to_owned());
        assert_eq!(channel("secret").unwrap(), "secret");
        assert_eq!(channel("Se-cr.et!@#$ x").unwrap(), "Se_cr_et_____x");
        assert_eq!(channel("Äb-é"), Err(ChannelError::CookieNotUtf8));
        let release = format!("{}====", "ABCDEFG234567".repeat(4));
        assert_eq!(channel(&release).unwrap(), release.replace('=', "_"));
        let long = Channel::from_cookie(&"A".repeat(70)).unwrap();
        assert!(long.was_cut() && long.as_str().len() == 63);
    }

    #[test]
    fn cut_falls_between_characters() {
        let channel = Channel::new(&"é".repeat(32)).unwrap();
        assert_eq!(channel.as_str(), "é".repeat(31));
    }

    #[test]
    fn quotes_are_doubled() {
        let channel = Channel::new("a\"; DROP TABLE x; --").unwrap();
        let expected = "LISTEN \"a\"\"; DROP TABLE x; --\"";
        assert_eq!(channel.listen_statement(), expected);
    }

    proptest! {
        #[test]
        fn never_over_63_bytes(name in ".*") {
            if let Ok(channel) = Channel::new(&name) {
                prop_assert!(channel.as_str().len() <= 63 && name.starts_with(channel.as_str()));
            }
            let _ = Channel::from_cookie(&name);
        }
    }
}
