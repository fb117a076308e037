//! `pgmesh ping`.

use std::process::ExitCode;
use std::time::Instant;

use clap::ArgMatches;

use super::guest::Guest;
use super::print;

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    super::block_on(async {
        let started = Instant::now();
        Guest::link(flags).await?;
        let millis = started.elapsed().as_secs_f64() * 1000.0;
        print(format!("pong ({millis:.1} ms)"))?;
        Ok(ExitCode::SUCCESS)
    })
}
