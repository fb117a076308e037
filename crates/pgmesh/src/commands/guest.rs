//! A node for one command: no daemon, no EPMD entry, and a name that the peer
//! gives it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Context as _;
use clap::ArgMatches;
use pgmesh_dist::{Node, NodeConfig, TlsConfig};
use pgmesh_name::{AllowList, NameForm, NodeName};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::{duration, node_name};
use crate::settings::{
    ConfigErrors, epmd_port, given_dist_port, read_cookie, short_host, tls_config, variable,
    variable_of,
};

/// What `ping` and `rpc` need.
pub(super) struct Guest {
    pub(super) node: Node,
    pub(super) peer: NodeName,
    pub(super) limit: Duration,
}

impl Guest {
    /// Links to the node that the command line names.
    pub(super) async fn link(flags: &ArgMatches) -> anyhow::Result<Self> {
        let settings = Settings::read(flags)?;
        let own = own_name(&settings.peer, settings.limit)
            .await
            .with_context(|| {
                let host = settings.peer.host();
                format!(
                    "cannot dial {}: host {host} is unknown or out of reach (check DNS, \
                     /etc/hosts and routes)",
                    settings.peer
                )
            })?;
        let config = NodeConfig {
            epmd_port: settings.epmd_port,
            peer_port: settings.dist_port,
            setup_timeout: settings.limit,
            tls: settings.tls,
            // The person at the keyboard named this node: no need to allow it.
            allow: AllowList::parse(["*@*"]).unwrap_or_default(),
            ..NodeConfig::new(own, settings.cookie)
        };
        let (node, _events) = Node::dynamic(config);
        node.connect(&settings.peer, true).await?;
        Ok(Self {
            node,
            peer: settings.peer,
            limit: settings.limit,
        })
    }
}

struct Settings {
    peer: NodeName,
    cookie: pgmesh_dist::Cookie,
    limit: Duration,
    epmd_port: u16,
    dist_port: Option<u16>,
    tls: Option<TlsConfig>,
}

impl Settings {
    fn read(flags: &ArgMatches) -> anyhow::Result<Self> {
        let text = |flag: &str| flags.get_one::<String>(flag).map(String::as_str);
        let peer = node_name(flags, "node", "NODE")?;
        let limit = duration(flags, "timeout", "--timeout")?.unwrap_or_default();
        let given = |setting: &str| {
            let flag = text(setting).map(str::to_owned);
            flag.or_else(|| variable(&variable_of(setting)))
        };
        let file = given("cookie-file");
        let dist_port = given_dist_port(text("dist-port"));
        let tls = tls_config(given, |setting| format!("--{setting}"));
        let (cookie, _) =
            read_cookie(file.as_deref(), "--cookie-file").map_err(ConfigErrors::from)?;
        Ok(Self {
            peer,
            cookie,
            limit,
            epmd_port: epmd_port().map_err(ConfigErrors::from)?,
            dist_port: dist_port.map_err(ConfigErrors::from)?,
            tls: tls.map_err(ConfigErrors::from)?,
        })
    }
}

/// A name of the peer's form; only its host is used, for the name that the peer
/// makes for us.
async fn own_name(peer: &NodeName, limit: Duration) -> anyhow::Result<NodeName> {
    let host = match peer.form() {
        NameForm::Short => short_host(),
        NameForm::Long => {
            let address = timeout(limit, address_of(peer)).await;
            local_address(address.context("DNS does not answer")??)?.to_string()
        }
    };
    Ok(format!("guest@{host}").parse()?)
}

async fn address_of(peer: &NodeName) -> std::io::Result<SocketAddr> {
    const ANY_PORT: u16 = 9;
    if let Some(ip) = peer.host_ip() {
        return Ok(SocketAddr::new(ip, ANY_PORT));
    }
    let mut found = lookup_host((peer.host(), ANY_PORT)).await?;
    found
        .next()
        .ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

/// The address that a peer there sees us come from. Nothing is sent for this.
fn local_address(peer: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}
