//! `pgmesh completions`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::ArgMatches;
use clap_complete::Shell;

use crate::cli;

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let shell = flags.get_one("shell").copied().unwrap_or(Shell::Bash);
    // To memory first: clap_complete panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "pgmesh", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
