//! `pgmesh doctor`: looks at the set-up step by step, says what is wrong and what to
//! do.
//!
//! Each group is a file: it gathers facts at its edge, and a pure function makes
//! checks of them. A daemon that runs is asked, and not disturbed: nothing is said on
//! the channel, and nodes are dialled under a name of our own.

mod channel;
mod check;
mod daemon;
mod distribution;
mod epmd;
mod host;
mod linked;
mod mesh;
mod nodes;
mod postgres;
mod report;
mod settings;
#[cfg(test)]
mod table;
mod trouble;
mod visitor;

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;

use super::{EXIT_CONFIG, block_on, duration};
use crate::settings::{EpmdMode, RunSettings};
use channel::ChannelFacts;
use daemon::DaemonFacts;
use distribution::DistributionFacts;
use epmd::EpmdFacts;
use host::HostFacts;
use report::Report;
use visitor::Visitor;

/// Beyond an announce interval: names come a fifth later at the worst.
const LATENESS: f64 = 0.25;

pub(crate) fn run(flags: &ArgMatches) -> anyhow::Result<ExitCode> {
    let json = flags.get_flag("json");
    let listen_for = duration(flags, "listen-for", "--listen-for")?;
    let settings = match RunSettings::read(flags) {
        Ok(settings) => settings,
        Err(errors) => {
            let mut report = Report::new(json, None);
            report.add(settings::unusable(&errors))?;
            report.finish()?;
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let interval = settings.announce_interval;
    let listen_for = listen_for.unwrap_or(interval + interval.mul_f64(LATENESS));
    let report = Report::new(json, Some(settings.name.to_string()));
    let all_well = block_on(examine(&settings, listen_for, report))?;
    Ok(if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Group by group, each shown as soon as it is done.
async fn examine(
    settings: &RunSettings,
    listen_for: Duration,
    mut report: Report,
) -> anyhow::Result<bool> {
    let host = HostFacts::gather(&settings.name, settings.setup_timeout).await;
    report.add(settings::checks(settings, &host))?;
    let socket = daemon::socket(settings);
    let daemon = DaemonFacts::gather(&settings.name, &socket).await;
    report.add(daemon::checks(settings, &socket, &daemon))?;
    let daemon_runs = daemon.is_there();

    let visitor = Visitor::start(settings, daemon_runs).await?;
    let epmd = EpmdFacts::gather(settings, &host, &visitor).await;
    report.add(epmd::checks(settings, &daemon, &epmd))?;
    let distribution = DistributionFacts::gather(settings, &visitor, daemon_runs).await;
    let without_epmd = settings.epmd == EpmdMode::None;
    let is_findable = without_epmd || epmd.names.is_ok();
    report.add(distribution::checks(&distribution, is_findable))?;

    let heard = examine_postgres(settings, daemon_runs, listen_for, &mut report).await?;
    let listed = epmd.names.as_deref().ok().filter(|_| !without_epmd);
    let local = nodes::local_names(settings, &visitor, listed.unwrap_or_default()).await;
    let heard = heard.as_ref().map(|facts| facts.names(&settings.name));
    let known = nodes::Known::gather(heard.unwrap_or_default(), &daemon, local, settings);
    let nodes = nodes::gather(settings, &visitor, &known, &daemon).await;
    report.add(nodes::checks(&known, &nodes, &daemon))?;
    let own = mesh::Own {
        name: &settings.name,
        net_ticktime: settings.net_ticktime,
    };
    report.add(mesh::checks(&own, &nodes))?;
    visitor.leave();
    report.finish()
}

/// Who is heard, if there is a session that hears.
async fn examine_postgres(
    settings: &RunSettings,
    daemon_runs: bool,
    listen_for: Duration,
    report: &mut Report,
) -> anyhow::Result<Option<ChannelFacts>> {
    let Some(database) = &settings.database else {
        report.add(vec![postgres::without_database()])?;
        return Ok(None);
    };
    let (servers, listener) = postgres::gather(settings, database).await;
    report.add(postgres::checks(settings, &servers))?;
    let Some(listener) = listener else {
        report.add(vec![channel::unheard()])?;
        return Ok(None);
    };
    let heard = channel::gather(listener, listen_for).await;
    report.add(channel::checks(settings, daemon_runs, &heard))?;
    Ok(heard.ok())
}
