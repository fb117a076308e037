//! Figures for the report of `scripts/bench`: terms that Erlang reads, in the file that
//! `BENCH_RESULTS` names.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::Outcome;

/// The contenders' names in the report, in the order of the programs.
const CONTENDERS: [&str; 2] = ["otp", "pgmesh"];

/// Notes what a round has measured, of the first program or the second; the unit stands
/// after the metric's name and a comma. Does nothing if nobody wants a report.
pub(crate) fn note(metric: &str, program: usize, round: usize, value: f64) -> Outcome<()> {
    let Some(path) = std::env::var_os("BENCH_RESULTS") else {
        return Ok(());
    };
    let metric = metric.replace('\'', "\\'");
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    writeln!(
        file,
        "{{value,epmd,'{metric}',{},{round},{value:?}}}.",
        CONTENDERS[program]
    )?;
    Ok(())
}
