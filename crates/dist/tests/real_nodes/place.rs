//! Where the nodes of a test are, and over what their links go.
//!
//! `DIST_WIRE` says the latter, as `-proto_dist` does: `inet_tcp`, which it is without,
//! `inet6_tcp`, `inet_tls` or `inet6_tls`. Tests write `@host` for the host of a name.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::LazyLock;

use pgmesh_dist::{NodeConfig, TlsConfig, TlsRole};
use pgmesh_testkit::{Certificates, ScratchEpmd};

static WIRE: LazyLock<String> =
    LazyLock::new(|| env::var("DIST_WIRE").unwrap_or_else(|_| "inet_tcp".to_owned()));

pub(crate) fn is_tls() -> bool {
    match WIRE.as_str() {
        "inet_tls" | "inet6_tls" => true,
        "inet_tcp" | "inet6_tcp" => false,
        other => panic!("DIST_WIRE: {other}"),
    }
}

pub(crate) fn address() -> IpAddr {
    if WIRE.starts_with("inet6") {
        Ipv6Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::LOCALHOST.into()
    }
}

/// With the host of this run.
pub(crate) fn placed(text: &str) -> String {
    text.replace("@host", &format!("@{}", address()))
}

/// Text of this run, as it is in every other.
pub(crate) fn unplaced(text: &str) -> String {
    text.replace(&format!("@{}", address()), "@host")
}

/// An EPMD, and certificates if links need them.
pub(crate) struct Place {
    epmd: ScratchEpmd,
    certificates: Option<Certificates>,
}

impl Deref for Place {
    type Target = ScratchEpmd;

    fn deref(&self) -> &ScratchEpmd {
        &self.epmd
    }
}

impl Place {
    pub(crate) async fn start() -> Self {
        let place = Self {
            epmd: ScratchEpmd::start().await,
            certificates: is_tls().then(Certificates::make),
        };
        if let Some(certificates) = &place.certificates {
            fs::write(optfile(certificates), optfile_text(certificates)).unwrap();
        }
        place
    }

    /// What `erl` needs to be there.
    pub(crate) fn flags(&self) -> Vec<String> {
        let interface = match address() {
            IpAddr::V4(_) => "{127,0,0,1}",
            IpAddr::V6(_) => "{0,0,0,0,0,0,0,1}",
        };
        let mut flags = vec!["-proto_dist", WIRE.as_str()];
        flags.extend(["-kernel", "inet_dist_use_interface", interface]);
        let mut flags: Vec<_> = flags.into_iter().map(str::to_owned).collect();
        if let Some(certificates) = &self.certificates {
            flags.push("-ssl_dist_optfile".to_owned());
            flags.push(optfile(certificates).to_str().unwrap().to_owned());
        }
        flags
    }

    /// What a node of ours needs to be there.
    pub(crate) fn configure(&self, config: &mut NodeConfig) {
        config.epmd_port = self.epmd.port();
        config.listen = SocketAddr::from((address(), 0)).into();
        config.tls = self.certificates.as_ref().map(|certificates| TlsConfig {
            server: role(certificates),
            client: role(certificates),
        });
    }
}

fn role(certificates: &Certificates) -> TlsRole {
    let path = |name| Some(PathBuf::from(certificates.path(name)));
    TlsRole {
        certificate: path("node.crt"),
        key: path("node.key"),
        authorities: path("root.crt"),
        verifies: true,
        demands_certificate: true,
        ..TlsRole::default()
    }
}

fn optfile(certificates: &Certificates) -> PathBuf {
    PathBuf::from(certificates.path("root.crt")).with_file_name("tls.conf")
}

fn optfile_text(certificates: &Certificates) -> String {
    let [certificate, key, authority] =
        ["node.crt", "node.key", "root.crt"].map(|name| certificates.path(name));
    let both = format!(
        "{{certfile, \"{certificate}\"}}, {{keyfile, \"{key}\"}}, \
         {{cacertfile, \"{authority}\"}}, {{verify, verify_peer}}"
    );
    format!("[{{server, [{{fail_if_no_peer_cert, true}}, {both}]}}, {{client, [{both}]}}].\n")
}
