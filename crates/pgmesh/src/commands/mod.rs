//! The commands that end: they ask the daemon, or a node, or EPMD.

pub(crate) mod connect;
pub(crate) mod disconnect;
pub(crate) mod doctor;
pub(crate) mod forget;
pub(crate) mod matrix;
pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod ping;
pub(crate) mod rpc;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod wait;
pub(crate) mod watch;

mod daemon_client;
mod guest;
mod table;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use pgmesh_name::NodeName;

use crate::settings::{ConfigErrors, parse_duration};

/// The command line is wrong.
const EXIT_USAGE: u8 = 2;
/// The configuration is wrong (EX_CONFIG of sysexits.h).
const EXIT_CONFIG: u8 = 78;

/// An argument of a command that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{argument} {value:?} cannot be used: {problem}")]
struct UsageError {
    argument: &'static str,
    value: String,
    problem: String,
}

/// Says why a command failed; returns the exit code for that.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "pgmesh: {error:#}");
    if error.is::<ConfigErrors>() {
        ExitCode::from(EXIT_CONFIG)
    } else if error.is::<UsageError>() {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::FAILURE
    }
}

/// A node name that the command line must have; `shown` is how the help calls it.
fn node_name(
    flags: &ArgMatches,
    argument: &str,
    shown: &'static str,
) -> Result<NodeName, UsageError> {
    let text = flags.get_one::<String>(argument);
    let text = text.map(String::as_str).unwrap_or_default();
    text.parse()
        .map_err(|error: pgmesh_name::NameError| UsageError {
            argument: shown,
            value: text.to_owned(),
            problem: error.to_string(),
        })
}

/// A duration, if it was given.
fn duration(
    flags: &ArgMatches,
    flag: &str,
    shown: &'static str,
) -> Result<Option<Duration>, UsageError> {
    let Some(text) = flags.get_one::<String>(flag) else {
        return Ok(None);
    };
    let unusable = |problem| UsageError {
        argument: shown,
        value: text.clone(),
        problem,
    };
    parse_duration(text).map(Some).map_err(unusable)
}

/// Writes a result to stdout.
fn print(text: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// Runs one command to its end.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_background();
    outcome
}
