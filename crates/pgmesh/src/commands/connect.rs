//! `pgmesh connect`.

use std::process::ExitCode;

use anyhow::bail;
use clap::ArgMatches;

use super::daemon_client::{LIMIT, post};
use super::{node_name, print};
use crate::api::control::CONNECT_LIMIT;
use crate::api::shapes::{Connect, Connected};

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let (a, b) = (node_name(flags, "a", "A")?, node_name(flags, "b", "B")?);
    let wanted = Connect {
        a: a.to_string(),
        b: b.to_string(),
    };
    let limit = CONNECT_LIMIT + LIMIT;
    let Connected { connected, .. } = post(flags, "/api/v1/connect", &wanted, limit)?;
    if !connected {
        bail!(
            "{a} and {b} were told to connect and are not connected yet \
             (see pgmesh matrix, and the logs of both)"
        );
    }
    print(format!("{a} and {b} are connected"))?;
    Ok(ExitCode::SUCCESS)
}
