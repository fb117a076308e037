//! `pgmesh forget`.

use std::process::ExitCode;

use clap::ArgMatches;

use super::daemon_client::{LIMIT, post};
use super::{node_name, print};
use crate::api::shapes::{Forget, Forgotten};

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let node = node_name(flags, "node", "NODE")?.to_string();
    let Forgotten { node } = post(flags, "/api/v1/forget", &Forget { node }, LIMIT)?;
    print(format!("{node} is forgotten until it is heard again"))?;
    Ok(ExitCode::SUCCESS)
}
