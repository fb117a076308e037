//! `alive@host`, checked.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// The longest node name in bytes: a name is an atom on every node that hears it.
const MAX_BYTES: usize = 255;

/// A full node name, `alive@host`.
///
/// Cheap to clone. Ordered byte by byte over the whole name, the order in which
/// the handshake settles a simultaneous connect (erl_dist_protocol, "Distribution
/// Handshake", step 3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName {
    text: Arc<str>,
    // Bytes before the `@`. Equal texts have equal positions, so the derived
    // comparisons hold.
    alive_len: usize,
}

/// As its text, so that maps can be asked for one.
impl Hash for NodeName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for NodeName {
    fn borrow(&self) -> &str {
        &self.text
    }
}

/// Long names carry a domain or an address as host, short names a bare label.
///
/// A cluster uses one form throughout: a BEAM refuses to dial the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// The host has a dot or is an IPv6 address (`-name`).
    Long,
    /// The host is one label (`-sname`).
    Short,
}

impl fmt::Display for NameForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long => "long",
            Self::Short => "short",
        })
    }
}

/// Why a text is no node name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing there.
    #[error("node name is empty (write alive@host)")]
    Empty,
    /// More than 255 bytes.
    #[error("node name has {0} bytes (at most 255 fit into an atom)")]
    TooLong(usize),
    /// Not exactly one `@`.
    #[error("node name has {} '@' (write alive@host)", if *.0 == 0 { "no".to_owned() } else { .0.to_string() })]
    AtSigns(usize),
    /// Nothing before the `@`.
    #[error("node name has nothing before '@' (write alive@host)")]
    NoAlive,
    /// Nothing after the `@`.
    #[error("node name has nothing after '@' (write alive@host)")]
    NoHost,
    /// A character that no node can be started with.
    #[error(
        "node name has the character {0:?} (letters, digits, '_', '-' before '@'; also '.', ':', '%' after it)"
    )]
    BadCharacter(char),
}

impl NameError {
    /// Every kind, for tables and metrics.
    pub const KINDS: [&'static str; 6] = [
        "empty",
        "too_long",
        "at_signs",
        "no_alive",
        "no_host",
        "bad_character",
    ];

    /// A label from [`KINDS`](Self::KINDS), for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong(_) => "too_long",
            Self::AtSigns(_) => "at_signs",
            Self::NoAlive => "no_alive",
            Self::NoHost => "no_host",
            Self::BadCharacter(_) => "bad_character",
        }
    }

    /// A name does not get better by trying again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

impl NodeName {
    /// The name as one text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, under which EPMD knows the node.
    pub fn alive(&self) -> &str {
        &self.text[..self.alive_len]
    }

    /// The part before the `@`, on its own.
    pub fn alive_name(&self) -> AliveName {
        AliveName(self.alive().into())
    }

    /// The part after the `@`.
    pub fn host(&self) -> &str {
        &self.text[self.alive_len + 1..]
    }

    /// The host as an address, when it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        self.host().parse().ok()
    }

    /// Whether this is a long or a short name.
    pub fn form(&self) -> NameForm {
        if self.host().contains(['.', ':']) {
            NameForm::Long
        } else {
            NameForm::Short
        }
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(NameError::TooLong(text.len()));
        }
        let Some((alive, host)) = text.split_once('@').filter(|(_, host)| !host.contains('@'))
        else {
            return Err(NameError::AtSigns(text.matches('@').count()));
        };
        check_alive(alive)?;
        check_host(host)?;
        Ok(Self {
            text: text.into(),
            alive_len: alive.len(),
        })
    }
}

// OTP starts no node under another alive name (net_kernel, valid_name_head).
// A dot is kept because C nodes are seen with it.
fn check_alive(alive: &str) -> Result<(), NameError> {
    if alive.is_empty() {
        return Err(NameError::NoAlive);
    }
    refuse_others(alive, |c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

fn check_host(host: &str) -> Result<(), NameError> {
    if host.is_empty() {
        return Err(NameError::NoHost);
    }
    refuse_others(host, |c| c.is_ascii_alphanumeric() || "_-.:%".contains(c))
}

fn refuse_others(text: &str, is_allowed: impl Fn(char) -> bool) -> Result<(), NameError> {
    match text.chars().find(|&c| !is_allowed(c)) {
        Some(c) => Err(NameError::BadCharacter(c)),
        None => Ok(()),
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The part before the `@`: what EPMD lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliveName(Arc<str>);

impl AliveName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of this node on `host`.
    ///
    /// # Errors
    ///
    /// When the host has characters that no node name has.
    pub fn at(&self, host: &str) -> Result<NodeName, NameError> {
        format!("{}@{host}", self.0).parse()
    }
}

impl FromStr for AliveName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_BYTES {
            return Err(NameError::TooLong(text.len()));
        }
        check_alive(text)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AliveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<NodeName, NameError> {
        text.parse()
    }

    #[test]
    fn parts_of_a_name() {
        let name = parse("my_app-1@10.0.0.9").unwrap();
        assert_eq!(name.alive(), "my_app-1");
        assert_eq!(name.host(), "10.0.0.9");
        assert_eq!(name.host_ip(), Some("10.0.0.9".parse().unwrap()));
        assert_eq!(name.form(), NameForm::Long);
        assert_eq!(parse("a@db2").unwrap().form(), NameForm::Short);
        assert_eq!(parse("a@::1").unwrap().form(), NameForm::Long);
    }

    #[test]
    fn what_is_no_name_says_why() {
        assert_eq!(parse(""), Err(NameError::Empty));
        assert_eq!(parse("nohost"), Err(NameError::AtSigns(0)));
        assert_eq!(parse("a@b@c"), Err(NameError::AtSigns(2)));
        assert_eq!(parse("@b"), Err(NameError::NoAlive));
        assert_eq!(parse("a@"), Err(NameError::NoHost));
        assert_eq!(parse("a b@c"), Err(NameError::BadCharacter(' ')));
        assert_eq!(parse("a@b\0"), Err(NameError::BadCharacter('\0')));
        assert_eq!(parse("🦀@b"), Err(NameError::BadCharacter('🦀')));
        assert_eq!(parse("heartbeat:a@b"), Err(NameError::BadCharacter(':')));
    }

    #[test]
    fn length_is_that_of_an_atom() {
        let fits = format!("{}@h", "a".repeat(253));
        assert!(parse(&fits).is_ok());
        assert_eq!(parse(&format!("a{fits}")), Err(NameError::TooLong(256)));
    }

    #[test]
    fn order_is_that_of_the_whole_text() {
        // '-' sorts before '@' and '@' before letters: the parts apart would
        // give another order than the handshake's.
        let (dash, plain) = (parse("a-b@h").unwrap(), parse("a@h").unwrap());
        assert!(dash < plain);
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_an_error(text in ".*") {
            if let Ok(name) = parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert_eq!(format!("{}@{}", name.alive(), name.host()), text);
            }
        }
    }
}
