//! The commands that end: they ask the daemon, or a node, or EPMD.

pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod ping;
pub(crate) mod rpc;
pub(crate) mod status;

mod daemon_client;
mod guest;
mod table;

use std::io::Write as _;
use std::process::ExitCode;

use crate::settings::ConfigErrors;

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
