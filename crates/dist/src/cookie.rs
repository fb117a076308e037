//! The secret that nodes of a cluster share, or two of them.

use std::collections::HashMap;
use std::fmt;

use md5::{Digest as _, Md5};
use pgmesh_name::NodeName;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A cookie: wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct Cookie(Zeroizing<String>);

/// MD5 over cookie and challenge: what proves a cookie in the handshake.
pub(crate) type Digest = [u8; 16];

impl Cookie {
    /// Takes the text as it is; trim a file's line end first.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself, for what must be derived from it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digest for a challenge (erl_dist_protocol, "Distribution Handshake":
    /// the challenge counts as an unsigned decimal text).
    pub(crate) fn digest(&self, challenge: u32) -> Digest {
        let mut hasher = Md5::new();
        hasher.update(self.0.as_bytes());
        hasher.update(challenge.to_string().as_bytes());
        hasher.finalize().into()
    }

    /// Whether `digest` proves this cookie. Takes the same time either way.
    pub(crate) fn proves(&self, challenge: u32, digest: &Digest) -> bool {
        self.digest(challenge).ct_eq(digest).into()
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

/// Which secret is whose.
#[derive(Debug)]
pub(crate) struct Cookies {
    default: Cookie,
    peers: HashMap<NodeName, Cookie>,
}

impl Cookies {
    pub(crate) fn new(default: Cookie, peers: HashMap<NodeName, Cookie>) -> Self {
        Self { default, peers }
    }

    /// What both sides prove when this peer is linked, whoever dials.
    pub(crate) fn of(&self, peer: &NodeName) -> &Cookie {
        self.peers.get(peer).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_counts_as_unsigned_decimal() {
        // erl: binary_to_list(erlang:md5("secret4294967295")).
        let digest = Cookie::new("secret").digest(0xFFFF_FFFF);
        let expected: Digest = Md5::digest(b"secret4294967295").into();
        assert_eq!(digest, expected);
    }

    #[test]
    fn never_shown() {
        assert!(!format!("{:?}", Cookie::new("secret")).contains("secret"));
        let peers = HashMap::from([("a@h".parse().unwrap(), Cookie::new("own secret"))]);
        let cookies = Cookies::new(Cookie::new("secret"), peers);
        assert!(!format!("{cookies:?}").contains("secret"));
    }
}
