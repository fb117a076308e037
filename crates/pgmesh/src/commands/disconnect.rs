//! `pgmesh disconnect`.

use std::process::ExitCode;

use clap::ArgMatches;

use super::daemon_client::{LIMIT, post};
use super::{duration, node_name, print};
use crate::api::shapes::{Disconnect, Held};

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let node = node_name(flags, "node", "NODE")?;
    let hold = duration(flags, "for", "--for")?;
    let wanted = Disconnect {
        node: node.to_string(),
        for_s: hold.map(|hold| hold.as_secs_f64()),
    };
    let held: Held = post(flags, "/api/v1/disconnect", &wanted, LIMIT)?;
    let until = match &held.held_until {
        Some(at) => format!("until {at}, or until it is connected or restarted"),
        None => "until it is connected or restarted".to_owned(),
    };
    print(format!("{node} is disconnected and held {until}"))?;
    Ok(ExitCode::SUCCESS)
}
