//! pgmesh: a hidden Erlang node that does the discovery for a cluster.
//!
//! This file parses the command line and turns outcomes into exit codes; what a
//! command does is in `commands` and `daemon`.

mod api;
mod cli;
mod commands;
mod daemon;
mod dashboard;
mod epmd_entry;
mod file_limit;
mod logging;
mod settings;
mod terms;

use std::process::ExitCode;

use clap::ArgMatches;

use commands::EXIT_USAGE;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let outcome = if commands::epmd::is_called(words.next().as_ref()) {
        commands::epmd::run(words)
    } else {
        run()
    };
    match outcome {
        Ok(code) => code,
        Err(error) => commands::fail(&error),
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let word = std::env::args_os().nth(1);
    let matches = cli::command_for(word.as_deref()).get_matches();
    let called = matches.subcommand();
    match called.and_then(|(name, flags)| Some((command_named(name)?, flags))) {
        Some((command, flags)) => command(flags),
        // clap answers everything else itself.
        None => Ok(ExitCode::from(EXIT_USAGE)),
    }
}

/// Called through a pointer: within one function each command would take the stack that the
/// largest of them needs.
type Command = fn(&ArgMatches) -> anyhow::Result<ExitCode>;

fn command_named(name: &str) -> Option<Command> {
    Some(match name {
        "run" => daemon::run,
        "status" => commands::status::run,
        "members" => commands::members::run,
        "matrix" => commands::matrix::run,
        "watch" => commands::watch::run,
        "wait" => commands::wait::run,
        "connect" => commands::connect::run,
        "disconnect" => commands::disconnect::run,
        "forget" => commands::forget::run,
        "ping" => commands::ping::run,
        "rpc" => commands::rpc::run,
        "names" => commands::names::run,
        "doctor" => commands::doctor::run,
        "epmd" => commands::epmd::run_within,
        "validate" => commands::validate::run,
        "completions" => commands::completions::run,
        "man" => commands::man::run,
        _ => return None,
    })
}
