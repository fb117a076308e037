//! `pgmesh names`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::ArgMatches;
use pgmesh_dist::epmd;

use super::{print, table};
use crate::settings::{ConfigErrors, epmd_port};

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let host = flags.get_one::<String>("host").map_or("", String::as_str);
    let port = epmd_port().map_err(ConfigErrors::from)?;
    let names = super::block_on(async {
        let address = resolve(host, port).await?;
        Ok(epmd::names(address, LIMIT).await?)
    })?;
    if names.is_empty() {
        print(format!("EPMD on {host} knows no names"))?;
    } else {
        let rows = names
            .iter()
            .map(|(name, port)| [name.to_string(), port.to_string()]);
        let head = ["NAME", "PORT"].map(str::to_owned);
        print(table::aligned(std::iter::once(head).chain(rows)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// IPv4 first: that is where an EPMD always listens.
async fn resolve(host: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let lookup = tokio::net::lookup_host((host, port));
    let found = tokio::time::timeout(LIMIT, lookup).await;
    let found = found.with_context(|| format!("no answer from DNS for {host}"))?;
    let mut found: Vec<_> = found
        .with_context(|| format!("host {host} is unknown (check DNS and /etc/hosts)"))?
        .collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let first = found.first().copied();
    first.with_context(|| format!("host {host} has no address"))
}
