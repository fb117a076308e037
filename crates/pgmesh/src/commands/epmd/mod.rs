//! `pgmesh epmd`: the port mapper, called as OTP's is and with its answers.
//!
//! Also what a link of the name `epmd` runs. OTP's flags have one dash and are no
//! business of the rest of the command line.

mod detach;
mod options;
mod questions;
mod service;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use options::{Environment, Invocation};

const USAGE: &str = include_str!("usage.txt");

/// Whether a program of this name (the first word of a command line) is an EPMD.
pub(crate) fn is_called(program: Option<&OsString>) -> bool {
    program.and_then(|path| Path::new(path).file_name()) == Some("epmd".as_ref())
}

/// `pgmesh epmd WORDS`.
pub(crate) fn run_within(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let words = matches.get_many::<OsString>("words");
    run(words.into_iter().flatten().cloned())
}

/// Runs with the words behind the program's name.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match options::parse(&words, Environment::of_process()?) {
        Some(Invocation::Serve(options)) => service::run(&options),
        Some(Invocation::StartDaemon) => detach::start(&words),
        Some(Invocation::Ask {
            question,
            port,
            silent,
        }) => questions::run(&question, port, silent),
        None => {
            write!(std::io::stderr(), "{USAGE}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
