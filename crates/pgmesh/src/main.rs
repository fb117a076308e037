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
    let matches = cli::command().get_matches();
    match matches.subcommand() {
        Some(("run", flags)) => daemon::run(flags),
        Some(("status", flags)) => commands::status::run(flags),
        Some(("members", flags)) => commands::members::run(flags),
        Some(("matrix", flags)) => commands::matrix::run(flags),
        Some(("watch", flags)) => commands::watch::run(flags),
        Some(("wait", flags)) => commands::wait::run(flags),
        Some(("connect", flags)) => commands::connect::run(flags),
        Some(("disconnect", flags)) => commands::disconnect::run(flags),
        Some(("forget", flags)) => commands::forget::run(flags),
        Some(("ping", flags)) => commands::ping::run(flags),
        Some(("rpc", flags)) => commands::rpc::run(flags),
        Some(("names", flags)) => commands::names::run(flags),
        Some(("doctor", flags)) => commands::doctor::run(flags),
        Some(("epmd", words)) => commands::epmd::run_within(words),
        Some(("validate", flags)) => commands::validate::run(flags),
        Some(("completions", flags)) => commands::completions::run(flags),
        Some(("man", flags)) => commands::man::run(flags),
        // clap answers everything else itself.
        _ => Ok(ExitCode::from(2)),
    }
}
