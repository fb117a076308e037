//! Whether a host is known, and whether it is this one.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use pgmesh_dist::{FailureKind, Step};
use pgmesh_name::NodeName;

use super::trouble::DialTrouble;

/// What the host part of our name leads to.
#[derive(Clone, Debug)]
pub(super) struct HostFacts {
    pub(super) addresses: Result<Vec<IpAddr>, DialTrouble>,
    /// Whether one of them is an address of this host.
    pub(super) ours: bool,
}

impl HostFacts {
    pub(super) async fn gather(name: &NodeName, limit: Duration) -> Self {
        let addresses = look_up(name.host(), limit).await;
        let ours = addresses.iter().flatten().copied().any(is_ours);
        Self { addresses, ours }
    }

    /// Addresses of this host that other hosts may reach it at.
    pub(super) fn reachable_at(&self) -> Vec<IpAddr> {
        let named = self.addresses.iter().flatten().copied();
        let mut found: Vec<_> = named.chain(outward()).filter(|ip| is_ours(*ip)).collect();
        found.retain(|address| !address.is_loopback());
        found.sort();
        found.dedup();
        found
    }
}

async fn look_up(host: &str, limit: Duration) -> Result<Vec<IpAddr>, DialTrouble> {
    let trouble = |kind, detail| DialTrouble { kind, detail };
    let lookup = tokio::net::lookup_host((host, 0));
    let Ok(found) = tokio::time::timeout(limit, lookup).await else {
        let kind = FailureKind::Timeout(Step::Resolve);
        return Err(trouble(kind, format!("DNS does not answer for {host}")));
    };
    let unknown = |cause| {
        let detail = format!("its host {host} is unknown: {cause}");
        trouble(FailureKind::HostUnknown, detail)
    };
    let mut found: Vec<_> = found
        .map_err(unknown)?
        .map(|address| address.ip())
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    Ok(found)
}

/// Only a host's own addresses can be bound to.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The address that we would come from on the way to others. Nothing is sent for this:
/// the address is one of those that documentation uses (RFC 5737).
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}
