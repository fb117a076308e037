//! The commands that end: they ask the daemon, or a node, or EPMD.

pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod disconnect;
pub(crate) mod doctor;
pub(crate) mod epmd;
pub(crate) mod forget;
pub(crate) mod man;
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
pub(crate) const EXIT_USAGE: u8 = 2;
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
    let message = without_controls(&format!("{error:#}"));
    let _ = writeln!(std::io::stderr(), "pgmesh: {message}");
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

/// Writes a result to stdout. What strangers and servers said must not reach the
/// terminal's controls.
fn print(text: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", without_controls(&text.to_string()))?;
    Ok(())
}

/// Escaped as JSON has it, so that JSON stays JSON.
fn without_controls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            char if char.is_control() && char != '\n' => {
                shown.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            char => shown.push(char),
        }
    }
    shown
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

#[cfg(test)]
mod tests {
    use super::without_controls;

    #[test]
    fn no_control_character_reaches_a_terminal_and_json_stays_json() {
        let said = "NODE  ERROR\na@h   \u{1b}[2Jümlaut\u{7f}";
        let shown = without_controls(said);
        assert_eq!(shown, "NODE  ERROR\na@h   \\u001b[2Jümlaut\\u007f");
        let json = serde_json::to_string("\u{9b}31m").unwrap();
        let back: String = serde_json::from_str(&without_controls(&json)).unwrap();
        assert_eq!(back, "\u{9b}31m");
    }
}
