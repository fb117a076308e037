//! Each node that is known: can it be linked to, and what does it say of itself?

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pgmesh_dist::{FailureKind, Node};
use pgmesh_mesh::{IgnoredName, JoinScope};
use pgmesh_name::NodeName;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::check::{Check, Group, counted};
use super::daemon::DaemonFacts;
use super::linked::LinkedFacts;
use super::trouble::DialTrouble;
use super::visitor::Visitor;
use crate::api::shapes::Member;
use crate::epmd_entry;
use crate::settings::RunSettings;

const GROUP: Group = Group::Nodes;
/// How many are looked at.
const MAX_NODES: usize = 256;
const AT_ONCE: usize = 16;
/// A node of this host answers in milliseconds.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// For all of them together: a few that are silent may use up their time, not each
/// of many.
const ALL_LIMIT: Duration = Duration::from_secs(30);

/// One node, and what came of dialling it.
#[derive(Clone, Debug)]
pub(super) struct NodeFacts {
    pub(super) name: NodeName,
    /// Whether its port was asked of an EPMD.
    pub(super) by_epmd: bool,
    pub(super) outcome: DialOutcome,
}

#[derive(Clone, Debug)]
pub(super) enum DialOutcome {
    Linked(LinkedFacts),
    /// It is hidden, and left alone.
    Hidden,
    /// These settings do not let us dial it.
    NotAllowed,
    /// It is not meant to be linked to, for this reason.
    Excused(&'static str),
    Failed(DialTrouble),
    /// There was no time left.
    OutOfTime,
}

/// Whom there is to look at.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The first of them.
    names: Vec<NodeName>,
    local: BTreeSet<NodeName>,
    left_out: usize,
}

impl Known {
    /// This host's nodes, then those that the daemon is linked to and those that the
    /// settings name, then whoever was heard and whom else the daemon knows: a flood of
    /// names leaves out none of the first. Hidden ones are left out where that is known.
    pub(super) fn gather<'a>(
        heard: impl IntoIterator<Item = &'a NodeName>,
        daemon: &DaemonFacts,
        local: BTreeSet<NodeName>,
        settings: &RunSettings,
    ) -> Self {
        let running = daemon.running();
        let members = || running.into_iter().flat_map(|running| &running.members);
        let named = |wanted: fn(&Member) -> bool| {
            let wanted = members().filter(move |member| wanted(member));
            wanted.filter_map(|member| member.node.parse::<NodeName>().ok())
        };
        let mut seen: BTreeSet<_> = named(|member| member.hidden).collect();
        seen.insert(settings.name.clone());
        let linked = named(|member| member.state == "up");
        let all = local.iter().cloned().chain(linked);
        let all = all.chain(settings.peers.names().cloned());
        let all = all.chain(heard.into_iter().cloned()).chain(named(|_| true));
        let mut names: Vec<_> = all.filter(|name| seen.insert(name.clone())).collect();
        let left_out = names.len().saturating_sub(MAX_NODES);
        names.truncate(MAX_NODES);
        Self {
            names,
            local,
            left_out,
        }
    }
}

/// This host's visible nodes, by what each says of itself.
pub(super) async fn local_names(
    settings: &RunSettings,
    visitor: &Visitor,
    listed: &[(String, u16)],
) -> BTreeSet<NodeName> {
    let mut probes = JoinSet::new();
    for (alive, port) in listed {
        if alive != settings.name.alive() {
            let address = SocketAddr::new(settings.epmd_host, *port);
            let name = epmd_entry::beside(&settings.name, alive);
            let node = visitor.node().clone();
            probes.spawn(async move {
                let question = epmd_entry::ask(&node, name.as_ref(), address);
                timeout(PROBE_LIMIT, question).await
            });
        }
    }
    let probed = probes.join_all().await.into_iter().flatten().flatten();
    let visible = probed.filter(|probed| !probed.hidden);
    visible.map(|probed| probed.name).collect()
}

/// Dials them all, some at a time.
pub(super) async fn gather(
    settings: &RunSettings,
    visitor: &Visitor,
    known: &Known,
    daemon: &DaemonFacts,
) -> Vec<NodeFacts> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let give_up = Instant::now() + ALL_LIMIT;
    let mut dials = JoinSet::new();
    for name in &known.names {
        let member = daemon.member(name.as_str());
        let refused = refusal(settings, known, member, name);
        let by_epmd = settings.dist_port.is_none() && !settings.peers.contains(name);
        let (node, name, places) = (visitor.node().clone(), name.clone(), places.clone());
        dials.spawn(async move {
            let outcome = match refused {
                Some(refused) => refused,
                None => {
                    let _place = places.acquire().await;
                    let dialled = timeout_at(give_up, dial(&node, &name)).await;
                    dialled.unwrap_or(DialOutcome::OutOfTime)
                }
            };
            NodeFacts {
                name,
                by_epmd,
                outcome,
            }
        });
    }
    let mut facts = dials.join_all().await;
    facts.sort_by(|a, b| a.name.cmp(&b.name));
    facts
}

/// What the mesh decides before a dial.
fn refusal(
    settings: &RunSettings,
    known: &Known,
    member: Option<&Member>,
    name: &NodeName,
) -> Option<DialOutcome> {
    let is_local = known.local.contains(name) || name.host() == settings.name.host();
    match member.map(|member| member.state.as_str()) {
        _ if settings.join == JoinScope::Local && !is_local => {
            Some(DialOutcome::Excused("lives on another host (--join local)"))
        }
        _ if !settings.allow.allows_name(name) => Some(DialOutcome::NotAllowed),
        Some("left") => Some(DialOutcome::Excused("said goodbye")),
        Some("held") => Some(DialOutcome::Excused("is held (pgmesh disconnect)")),
        _ => None,
    }
}

async fn dial(node: &Node, name: &NodeName) -> DialOutcome {
    match node.connect(name, false).await {
        Ok(()) => DialOutcome::Linked(LinkedFacts::ask(node, name).await),
        Err(error) if error.kind() == FailureKind::NotPublic => DialOutcome::Hidden,
        Err(error) => DialOutcome::Failed(DialTrouble::from(&error)),
    }
}

pub(super) fn checks(known: &Known, nodes: &[NodeFacts], daemon: &DaemonFacts) -> Vec<Check> {
    let of_one = |node: &NodeFacts| {
        let check = node_check(node);
        let member = daemon.member(node.name.as_str());
        let told = member.and_then(|member| daemon_check(node, member));
        std::iter::once(check).chain(told)
    };
    let mut checks: Vec<_> = nodes.iter().flat_map(of_one).collect();
    if known.left_out > 0 {
        let more = counted(known.left_out, "more name");
        checks.push(GROUP.unchecked("link", format!("{more}: too many to dial each")));
    }
    if checks.is_empty() {
        checks.push(GROUP.unchecked("link", "no node is known"));
    }
    checks
}

fn node_check(node: &NodeFacts) -> Check {
    let name = &node.name;
    let check = match &node.outcome {
        DialOutcome::Linked(linked) => GROUP.ok("link", linked_text(node, linked)),
        DialOutcome::Hidden => GROUP.ok("link", format!("{name} is hidden, and left alone")),
        DialOutcome::Excused(reason) => GROUP.unchecked("link", format!("{name} {reason}")),
        DialOutcome::OutOfTime => {
            GROUP.unchecked("link", format!("{name}: no time left to dial it"))
        }
        DialOutcome::NotAllowed => {
            let message = format!("{name} is not allowed here: {}", why_not_allowed(name));
            let remedy = "add its network or its name with --allow if it is yours";
            let failed = GROUP.failed("link", message, remedy);
            failed.kind(IgnoredName::NotAllowed.kind())
        }
        DialOutcome::Failed(trouble) => trouble.failed(GROUP, "link", name.as_str()),
    };
    check.node(name)
}

fn linked_text(node: &NodeFacts, linked: &LinkedFacts) -> String {
    let NodeFacts { name, by_epmd, .. } = node;
    let epmd = if *by_epmd { " EPMD," } else { "" };
    let otp = linked
        .otp
        .map_or_else(String::new, |otp| format!(" (OTP {otp})"));
    format!("{name}: address,{epmd} port, handshake and cookie are good{otp}")
}

fn why_not_allowed(name: &NodeName) -> &'static str {
    match name.host_ip() {
        Some(_) => "no --allow pattern covers it, or its address is a public one",
        None => "no --allow pattern covers it",
    }
}

/// A daemon may still have what is over by now.
fn daemon_check(node: &NodeFacts, member: &Member) -> Option<Check> {
    let error = member.error.as_ref()?;
    let linked = matches!(node.outcome, DialOutcome::Linked(_));
    (linked && member.state != "up").then(|| {
        let name = &node.name;
        let message = format!(
            "{name} can be linked to, but the daemon has it as {}",
            member.state
        );
        let remedy = "the daemon dials it again when it is next announced: wait, or restart it";
        let warning = GROUP.warning("daemon", message, remedy);
        warning.kind(error.kind.clone()).node(name)
    })
}

#[cfg(test)]
pub(super) mod tests;
