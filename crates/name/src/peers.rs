//! Nodes whose place is known beforehand: EPMD is not asked for them, nor, where an
//! address is given, DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::str::FromStr;

use crate::{NameError, NodeName};

/// Where a node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its host's address; without it the host is looked up.
    pub ip: Option<IpAddr>,
    /// Its distribution port.
    pub port: u16,
}

/// Node names, and where each listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerMap(BTreeMap<NodeName, PeerAddress>);

/// Why a text is no entry of a [`PeerMap`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// There is no `=`.
    #[error("has no port")]
    NoPort,
    /// What stands before the `=`.
    #[error("is no node name")]
    Name(#[source] NameError),
    /// What stands after it.
    #[error("is given neither a port nor an address with a port")]
    Address,
    /// Another entry has that name.
    #[error("is given twice")]
    Twice,
}

impl PeerError {
    /// Every kind, for tables and metrics.
    pub const KINDS: [&'static str; 4] = [
        "peer_without_port",
        "peer_name",
        "peer_address",
        "peer_twice",
    ];

    /// A label from [`KINDS`](Self::KINDS), for counters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPort => "peer_without_port",
            Self::Name(_) => "peer_name",
            Self::Address => "peer_address",
            Self::Twice => "peer_twice",
        }
    }

    /// An entry does not get better by trying again.
    pub fn is_retryable(&self) -> bool {
        false
    }

    /// What to write instead.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoPort => "write NAME=PORT or NAME=ADDR:PORT".to_owned(),
            Self::Name(error) => error.to_string(),
            Self::Address => "write 9100, 10.0.0.8:9100 or [fd00::8]:9100".to_owned(),
            Self::Twice => "give each name once".to_owned(),
        }
    }
}

impl FromStr for PeerAddress {
    type Err = PeerError;

    /// Reads `9100`, `10.0.0.8:9100` or `[fd00::8]:9100`.
    fn from_str(text: &str) -> Result<Self, PeerError> {
        let (ip, port) = match text.parse::<SocketAddr>() {
            Ok(address) => (Some(address.ip()), NonZero::new(address.port())),
            Err(_) => (None, text.parse().ok()),
        };
        let port = port.ok_or(PeerError::Address)?.get();
        Ok(Self { ip, port })
    }
}

impl PeerMap {
    /// Adds an entry: `app@10.0.0.7=9100`, or `app@db2=10.0.0.8:9100`.
    ///
    /// # Errors
    ///
    /// When it is none, or its name is there already.
    pub fn add(&mut self, entry: &str) -> Result<(), PeerError> {
        let (name, address) = entry.split_once('=').ok_or(PeerError::NoPort)?;
        let name: NodeName = name.parse().map_err(PeerError::Name)?;
        let address = address.parse()?;
        if self.0.contains_key(&name) {
            return Err(PeerError::Twice);
        }
        self.insert(name, address);
        Ok(())
    }

    /// Says where a node listens, whatever was said of it before.
    pub fn insert(&mut self, name: NodeName, address: PeerAddress) {
        self.0.insert(name, address);
    }

    /// Where this node listens, if it is one of these.
    pub fn get(&self, name: &NodeName) -> Option<PeerAddress> {
        self.0.get(name).copied()
    }

    /// Whether this node is one of these.
    pub fn contains(&self, name: &NodeName) -> bool {
        self.0.contains_key(name)
    }

    /// All of them, in order.
    pub fn names(&self) -> impl Iterator<Item = &NodeName> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[&str]) -> Result<PeerMap, PeerError> {
        let mut map = PeerMap::default();
        for entry in entries {
            map.add(entry)?;
        }
        Ok(map)
    }

    #[test]
    fn entries_have_a_port_and_may_have_an_address() {
        let map = map(&["a@10.0.0.7=9100", "b@db2=10.0.0.8:9101", "c@db3=[::1]:1"]).unwrap();
        let get = |name: &str| map.get(&name.parse().unwrap());
        let at = |ip: Option<&str>, port| {
            let ip = ip.map(|ip| ip.parse().unwrap());
            Some(PeerAddress { ip, port })
        };
        assert_eq!(get("a@10.0.0.7"), at(None, 9100));
        assert_eq!(get("b@db2"), at(Some("10.0.0.8"), 9101));
        assert_eq!(get("c@db3"), at(Some("::1"), 1));
        assert_eq!(get("d@db4"), None);
        assert_eq!(map.names().count(), 3);
    }

    #[test]
    fn what_is_no_entry_says_why() {
        let error = |entries: &[&str]| map(entries).unwrap_err();
        assert_eq!(error(&["a@h"]), PeerError::NoPort);
        let no_host = PeerError::Name(NameError::AtSigns(0));
        assert_eq!(error(&["a=9100"]), no_host);
        for address in [
            "",
            "0",
            "65536",
            "-1",
            "h:9100",
            "10.0.0.8",
            "10.0.0.8:0",
            "::1:9100",
        ] {
            let entry = format!("a@h={address}");
            assert_eq!(error(&[&entry]), PeerError::Address, "{entry}");
        }
        assert_eq!(error(&["a@h=1", "a@h=2"]), PeerError::Twice);
    }
}
