//! `pgmesh rpc`.

use std::process::ExitCode;

use anyhow::bail;
use clap::ArgMatches;
use pgmesh_dist::CallLimits;
use pgmesh_dist::terms::Term;

use super::guest::Guest;
use super::{UsageError, print};
use crate::terms::{JsonStyle, Printed, parse_args, to_json};

/// What a person can still read, and more.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let text = |flag: &str| flags.get_one::<String>(flag).map_or("", String::as_str);
    let (module, function) = (text("module"), text("function"));
    let args = parse_args(text("args")).map_err(|error| UsageError {
        argument: "ARGS",
        value: text("args").to_owned(),
        problem: error.to_string(),
    })?;
    let result = super::block_on(async {
        let guest = Guest::link(flags).await?;
        let limits = CallLimits {
            time: guest.limit,
            answer_bytes: MAX_ANSWER,
        };
        let call = guest.node.call(&guest.peer, module, function, args, limits);
        Ok(call.await?)
    })?;
    if let Some(reason) = badrpc(&result) {
        bail!(
            "{module}:{function} on {} failed: {}",
            text("node"),
            Printed(reason)
        );
    }
    match flags.get_one::<String>("json").map(String::as_str) {
        Some("tagged") => print(to_json(&result, JsonStyle::Tagged))?,
        Some(_) => print(to_json(&result, JsonStyle::Plain))?,
        None => print(Printed(&result))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The reason in `{badrpc, Reason}`: the call threw, or was refused.
fn badrpc(result: &Term) -> Option<&Term> {
    let Term::Tuple(tuple) = result else {
        return None;
    };
    match tuple.elements.as_slice() {
        [Term::Atom(tag), reason] if tag.name == "badrpc" => Some(reason),
        _ => None,
    }
}
