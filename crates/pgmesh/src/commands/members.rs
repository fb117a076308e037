//! `pgmesh members`.

use std::process::ExitCode;

use clap::ArgMatches;

use super::daemon_client::get_json;
use super::{print, table};
use crate::api::shapes::{Error, Member};

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let answer = get_json(flags, "/api/v1/members")?;
    if flags.get_flag("json") {
        print(answer.text())?;
    } else {
        let members: Vec<Member> = serde_json::from_slice(&answer.body)?;
        print(describe(&members))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(members: &[Member]) -> String {
    if members.is_empty() {
        return "no names known yet".to_owned();
    }
    let head = ["NODE", "STATE", "OTP", "LINK", "HEARD", "LAST ERROR"].map(str::to_owned);
    let rows = members.iter().map(row);
    table::aligned(std::iter::once(head).chain(rows))
}

fn row(member: &Member) -> [String; 6] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let hidden = if member.hidden { " (hidden)" } else { "" };
    // A hidden node that we leave alone is no fault.
    let error = member.error.as_ref().filter(|_| !member.hidden);
    [
        member.node.clone(),
        format!("{}{hidden}", member.state),
        or_dash(&member.otp),
        or_dash(&member.direction),
        table::age(member.last_heard_s),
        error.map_or_else(|| "-".to_owned(), |error| shortened(&member.node, error)),
    ]
}

/// The message without the name that stands in the same row.
fn shortened(node: &str, error: &Error) -> String {
    let message = error.message.as_str();
    let prefixes = [format!("cannot dial {node}: "), format!("lost {node}: ")];
    let short = prefixes
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix.as_str()));
    format!("{}: {}", error.kind, short.unwrap_or(message))
}
