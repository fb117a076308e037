//! This host's EPMD: is it there, does it take a name, who else is in it, and who can
//! reach it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pgmesh_dist::{FailureKind, StartError, epmd};
use pgmesh_name::{AllowList, NodeName};

use super::check::{Check, Group, counted, listed};
use super::daemon::DaemonFacts;
use super::host::HostFacts;
use super::trouble::{EpmdTrouble, dial_remedy};
use super::visitor::Visitor;
use crate::settings::{EpmdMode, RunSettings};

const GROUP: Group = Group::Epmd;

#[derive(Debug)]
pub(super) struct EpmdFacts {
    address: SocketAddr,
    /// Who is registered; our visitor is left out.
    pub(super) names: Result<Vec<(String, u16)>, EpmdTrouble>,
    /// Whether it took a name of ours.
    registers: bool,
    /// Other addresses of this host at which it answers.
    open_at: Vec<IpAddr>,
}

/// What else the checks depend on.
#[derive(Clone, Copy, Debug)]
struct Surroundings<'a> {
    own: &'a NodeName,
    daemon_runs: bool,
    /// Whether `pgmesh run` would start one.
    may_start: bool,
}

impl EpmdFacts {
    pub(super) async fn gather(
        settings: &RunSettings,
        host: &HostFacts,
        visitor: &Visitor,
    ) -> Self {
        let address = SocketAddr::new(settings.epmd_host, settings.epmd_port);
        let limit = settings.setup_timeout;
        let names = epmd::names(address, limit).await;
        let names = names.map(|names| {
            let names = names
                .into_iter()
                .map(|(name, port)| (name.to_string(), port));
            names.filter(|(name, _)| name != visitor.alive()).collect()
        });
        let mut open_at = Vec::new();
        for ip in host.reachable_at() {
            if answers(SocketAddr::new(ip, settings.epmd_port), limit).await {
                open_at.push(ip);
            }
        }
        Self {
            address,
            names: names.map_err(|error| EpmdTrouble::from(&error)),
            registers: visitor.is_registered(),
            open_at,
        }
    }
}

async fn answers(address: SocketAddr, limit: Duration) -> bool {
    epmd::names(address, limit.min(Duration::from_secs(1)))
        .await
        .is_ok()
}

pub(super) fn checks(
    settings: &RunSettings,
    daemon: &DaemonFacts,
    facts: &EpmdFacts,
) -> Vec<Check> {
    if settings.epmd == EpmdMode::None {
        return vec![GROUP.unchecked("answers", "nobody asks one (--epmd none)")];
    }
    let daemon_runs = daemon.is_there();
    let surroundings = Surroundings {
        own: &settings.name,
        daemon_runs,
        may_start: settings.epmd != EpmdMode::External && !daemon_runs,
    };
    surroundings.checks(facts)
}

impl Surroundings<'_> {
    fn checks(self, facts: &EpmdFacts) -> Vec<Check> {
        let names = match &facts.names {
            Ok(names) => names,
            Err(trouble) => {
                let rest = GROUP.unchecked("name", "whether our name is free, without EPMD");
                return vec![self.unreachable(trouble), rest];
            }
        };
        let mut checks = vec![answers_check(facts.address, names)];
        checks.push(self.name_check(names));
        checks.push(registers_check(facts.registers));
        let open_at = facts.open_at.iter().map(|address| open_check(*address));
        checks.extend(open_at);
        checks
    }

    fn unreachable(self, trouble: &EpmdTrouble) -> Check {
        let kind = FailureKind::EpmdUnreachable;
        let message = trouble.detail.clone();
        let check = if self.may_start {
            let remedy = "pgmesh run starts one (--epmd auto)";
            GROUP.warning("answers", message, remedy)
        } else {
            GROUP.failed("answers", message, dial_remedy(kind))
        };
        check.kind(trouble.kind)
    }

    fn name_check(self, names: &[(String, u16)]) -> Check {
        let alive = self.own.alive();
        let entry = names.iter().find(|(name, _)| name == alive);
        match (entry, self.daemon_runs) {
            (Some((_, port)), true) => GROUP.ok(
                "name",
                format!("our name {alive} is the daemon's, at port {port}"),
            ),
            (None, false) => GROUP.ok("name", format!("our name {alive} is free")),
            (Some((_, port)), false) => {
                let message = format!("our name {alive} is taken by somebody at port {port}");
                let error = StartError::NameTaken(self.own.clone());
                GROUP
                    .failed("name", message, error.remedy())
                    .kind(error.kind())
            }
            (None, true) => {
                let message = format!("EPMD does not know {alive}, which runs here");
                let remedy = "it registers within a second; if not, is it another EPMD \
                              (ERL_EPMD_PORT, ERL_EPMD_ADDRESS) that the daemon was given?";
                GROUP.failed("name", message, remedy).kind("name_unknown")
            }
        }
    }
}

fn answers_check(address: SocketAddr, names: &[(String, u16)]) -> Check {
    let count = counted(names.len(), "name");
    let list = listed(names.iter().map(|(name, _)| name));
    let list = if list.is_empty() {
        String::new()
    } else {
        format!(": {list}")
    };
    GROUP.ok("answers", format!("EPMD at {address} knows {count}{list}"))
}

fn registers_check(registers: bool) -> Check {
    if registers {
        return GROUP.ok("registers", "it took a name of ours, and gave it back");
    }
    let message = "it did not take a name of ours";
    let remedy = "it takes names from this host only, and none when it is full: see its log";
    GROUP.failed("registers", message, remedy)
}

/// Nodes of other hosts have to ask it, so that being open is no fault by itself.
fn open_check(address: IpAddr) -> Check {
    if AllowList::default().allows_address(address) {
        let message = format!("other hosts can ask it at {address}, which they must");
        return GROUP.ok("open", message);
    }
    let message =
        format!("it is open to the world at {address}: anybody can list this host's nodes");
    let remedy = "let a firewall admit the cluster only, or start it with ERL_EPMD_ADDRESS";
    GROUP.warning("open", message, remedy)
}

#[cfg(test)]
pub(super) fn samples() -> Vec<Check> {
    let address: SocketAddr = "127.0.0.1:4369".parse().unwrap();
    let own = "pgmesh@10.0.0.9".parse().unwrap();
    let entry = |name: &str| (name.to_owned(), 39201);
    let facts = |names: &[&str], registers, open_at: &[[u8; 4]]| EpmdFacts {
        address,
        names: Ok(names.iter().map(|name| entry(name)).collect()),
        registers,
        open_at: open_at.iter().map(|ip| (*ip).into()).collect(),
    };
    let gone = EpmdFacts {
        names: Err(EpmdTrouble {
            kind: "epmd_unreachable",
            detail: format!("no EPMD at {address}: Connection refused (os error 111)"),
        }),
        ..facts(&[], false, &[])
    };
    let surroundings = |daemon_runs, may_start| Surroundings {
        own: &own,
        daemon_runs,
        may_start,
    };
    [
        surroundings(true, false).checks(&facts(&["pgmesh", "app"], true, &[[10, 0, 0, 9]])),
        surroundings(false, false).checks(&facts(&[], false, &[[203, 0, 113, 7]])),
        surroundings(false, false).checks(&facts(&["pgmesh"], true, &[])),
        surroundings(true, false).checks(&facts(&["app"], true, &[])),
        surroundings(false, true).checks(&gone),
        surroundings(true, false).checks(&gone),
    ]
    .concat()
}
