//! A node for one command: no daemon, no EPMD entry, and a name that the peer
//! gives it.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use anyhow::Context as _;
use clap::ArgMatches;
use pgmesh_dist::{Node, NodeConfig, TlsConfig};
use pgmesh_name::{AllowList, NameForm, NodeName};

use super::{duration, node_name};
use crate::settings::{
    ConfigErrors, epmd_port, given_dist_port, read_cookie, short_host, tls_config, variable_of,
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
        let own = own_name(&settings.peer).with_context(|| {
            let host = settings.peer.host();
            format!(
                "cannot dial {}: host {host} is unknown (check DNS and /etc/hosts)",
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
        let variable = std::env::var("PGMESH_COOKIE_FILE").ok();
        let file = text("cookie-file").or(variable.as_deref());
        let dist_port = given_dist_port(text("dist-port"));
        let by_variable = |setting: &str| {
            let variable = std::env::var(variable_of(setting)).ok();
            variable.filter(|text| !text.is_empty())
        };
        let given = |setting: &str| {
            text(setting)
                .map(str::to_owned)
                .or_else(|| by_variable(setting))
        };
        let tls = tls_config(given, |setting| format!("--{setting}"));
        let (cookie, _) = read_cookie(file, "--cookie-file").map_err(ConfigErrors::from)?;
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
fn own_name(peer: &NodeName) -> anyhow::Result<NodeName> {
    let host = match peer.form() {
        NameForm::Short => short_host(),
        NameForm::Long => local_address(peer)?.to_string(),
    };
    Ok(format!("guest@{host}").parse()?)
}

/// The address that the peer sees us come from. Nothing is sent for this.
fn local_address(peer: &NodeName) -> std::io::Result<IpAddr> {
    let any = match peer.host_ip() {
        Some(IpAddr::V6(_)) => "[::]:0",
        _ => "0.0.0.0:0",
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect((peer.host(), 9))?;
    Ok(socket.local_addr()?.ip())
}
