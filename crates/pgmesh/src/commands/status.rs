//! `pgmesh status`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::ArgMatches;
use hyper::StatusCode;

use super::daemon_client::{get, get_json};
use super::print;
use crate::api::shapes::{Counts, Status};

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    if flags.get_flag("ready") {
        let answer = get(flags, "/readyz")?;
        print(answer.text())?;
        return Ok(match answer.status {
            StatusCode::OK => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        });
    }
    let answer = get_json(flags, "/api/v1/status")?;
    if flags.get_flag("json") {
        print(answer.text())?;
    } else {
        print(describe(&serde_json::from_slice(&answer.body)?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(status: &Status) -> String {
    let mut text = format!(
        "node      {} (pgmesh {}, up {})\n",
        status.node,
        status.version,
        super::table::age(Some(status.uptime_s)),
    );
    let postgres = &status.postgres;
    let channel = match (&postgres.channel, postgres.channel_from_cookie) {
        (Some(channel), _) => format!("channel {channel}"),
        (None, true) => "the channel made from the cookie".to_owned(),
        (None, false) => "no channel".to_owned(),
    };
    let echo = match postgres.last_echo_s {
        Some(echo) => format!("last echo {echo:.1} s ago"),
        None => "no echo yet".to_owned(),
    };
    let _ = match postgres.state.as_str() {
        "off" => writeln!(text, "postgres  off (no --database-url)"),
        state => writeln!(text, "postgres  {state} ({channel}), {echo}"),
    };
    if let Some(error) = &postgres.error {
        let _ = writeln!(text, "          {} ({})", error.message, error.kind);
    }
    let bad: u64 = postgres.bad_payloads.values().sum();
    if bad > 0 {
        let kinds = postgres.bad_payloads.iter();
        let kinds: Vec<_> = kinds
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let _ = writeln!(
            text,
            "          {bad} payloads were no names: {}",
            kinds.join(", ")
        );
    }
    let _ = writeln!(text, "epmd      {}", status.epmd.verdict());
    let scopes = &status.scopes;
    let _ = writeln!(
        text,
        "scopes    join {}, announce {}, introduce {}{}",
        scopes.join,
        scopes.announce,
        scopes.introduce,
        if status.leader { " (leading)" } else { "" },
    );
    text.push_str(&members_line(&status.counts));
    text.push_str(&mesh_line(&status.counts));
    if status.frozen {
        text.push_str("\n          frozen: nobody is forgotten while Postgres is not heard");
    }
    for warning in &status.warnings {
        let _ = write!(text, "\nwarning   {} ({})", warning.message, warning.kind);
    }
    text
}

fn mesh_line(counts: &Counts) -> String {
    let hint = if counts.has_gaps() || counts.excluded > 0 {
        " (see pgmesh matrix)"
    } else {
        ""
    };
    format!("\nmesh      {}{hint}", counts.verdict())
}

fn members_line(counts: &Counts) -> String {
    let told =
        counts.up + counts.down + counts.dialing + counts.refused + counts.left + counts.held;
    format!(
        "members   {} known: {} up, {} down, {} dialing, {} refused, {} left, {} held, {} waiting; {} hidden",
        counts.heard,
        counts.up,
        counts.down,
        counts.dialing,
        counts.refused,
        counts.left,
        counts.held,
        counts.heard.saturating_sub(told),
        counts.hidden
    )
}
