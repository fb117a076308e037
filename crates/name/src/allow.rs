//! Which names and addresses may be dialled.
//!
//! A dialler proves its cookie first: whoever makes us dial an address of his
//! choice receives MD5(cookie + challenge) for a challenge of his choice. Any
//! database role can put a name on the channel, so an address must be allowed
//! before a digest leaves us.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use wildmatch::WildMatch;

use crate::NodeName;

// RFC 6598, carrier-grade NAT: what some clouds give to pods.
const CARRIER_GRADE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);

/// Names and addresses that may be dialled and passed on.
///
/// The empty list (the default) allows every name on loopback, private,
/// link-local, unique-local and carrier-grade addresses, and no others. As soon
/// as patterns are given they decide alone: a name must match one of the globs
/// (if there are any), its address must lie in one of the networks (if there
/// are any).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AllowList {
    globs: Vec<WildMatch>,
    networks: Vec<IpNet>,
}

/// A pattern that is neither a glob over node names nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{pattern:?} is no pattern (write a glob like 'app_*@*.internal' or a network like 10.0.0.0/8)"
)]
pub struct AllowError {
    pattern: String,
}

impl AllowError {
    /// A label from a closed set, for counters.
    pub fn kind(&self) -> &'static str {
        "allow_pattern"
    }

    /// A pattern does not get better by trying again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

impl AllowList {
    /// Reads patterns: a network (`10.0.0.0/8`), an address, or a glob with an
    /// `@` in which `*` stands for any text and `?` for one character.
    ///
    /// # Errors
    ///
    /// One error for each pattern that is none of these.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<AllowError>> {
        let (mut list, mut errors) = (Self::default(), Vec::new());
        for pattern in patterns {
            if let Some(network) = parse_network(pattern) {
                list.networks.push(network);
            } else if pattern.contains('@') && !pattern.contains(char::is_whitespace) {
                list.globs.push(WildMatch::new(pattern));
            } else {
                errors.push(AllowError {
                    pattern: pattern.to_owned(),
                });
            }
        }
        if errors.is_empty() {
            Ok(list)
        } else {
            Err(errors)
        }
    }

    /// Whether this name may be dialled, as far as the name alone tells.
    pub fn allows_name(&self, name: &NodeName) -> bool {
        let by_glob = self.globs.is_empty() || self.globs.iter().any(|g| g.matches(name.as_str()));
        by_glob && name.host_ip().is_none_or(|ip| self.allows_address(ip))
    }

    /// Whether an address may be dialled; asked again after DNS.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if !self.networks.is_empty() {
            return self.networks.iter().any(|n| n.contains(&address));
        }
        !self.globs.is_empty() || is_private(address)
    }
}

fn parse_network(pattern: &str) -> Option<IpNet> {
    let address = || pattern.parse::<IpAddr>().ok().map(IpNet::from);
    pattern.parse().ok().or_else(address)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || CARRIER_GRADE.contains(&v4)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(patterns: &[&str]) -> AllowList {
        AllowList::parse(patterns.iter().copied()).unwrap()
    }

    fn allows(list: &AllowList, name: &str) -> bool {
        list.allows_name(&name.parse().unwrap())
    }

    #[test]
    fn default_allows_private_addresses_only() {
        let default = AllowList::default();
        for inside in [
            "127.0.0.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.0.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(default.allows_address(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2001:4860::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(
                !default.allows_address(outside.parse().unwrap()),
                "{outside}"
            );
        }
        assert!(allows(&default, "a@db2"), "a host name is judged after DNS");
        assert!(!allows(&default, "a@8.8.8.8"));
    }

    #[test]
    fn globs_decide_names_and_open_addresses() {
        let globs = list(&["app_*@*.example.org", "web?@*"]);
        assert!(allows(&globs, "app_1@a.example.org"));
        assert!(allows(&globs, "web1@8.8.8.8"));
        assert!(!allows(&globs, "web12@8.8.8.8"));
        assert!(!allows(&globs, "app_1@example.com"));
    }

    #[test]
    fn networks_decide_addresses() {
        let networks = list(&["203.0.113.0/24", "2001:db8::1"]);
        assert!(allows(&networks, "a@203.0.113.7"));
        assert!(!allows(&networks, "a@10.0.0.1"), "patterns decide alone");
        assert!(networks.allows_address("2001:db8::1".parse().unwrap()));
        assert!(!networks.allows_address("2001:db8::2".parse().unwrap()));
    }

    #[test]
    fn every_bad_pattern_is_reported() {
        let errors = AllowList::parse(["10.0.0.0/99", "*@ok", "no pattern"]).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[0].to_string().contains("10.0.0.0/99"));
    }
}
