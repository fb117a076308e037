//! What only shows when several nodes are compared, with each other and with us.

use std::collections::BTreeMap;
use std::time::Duration;

use pgmesh_dist::FailureKind;
use pgmesh_name::NodeName;

use super::check::{Check, Group, counted, listed};
use super::linked::LinkedFacts;
use super::nodes::{DialOutcome, NodeFacts};
use super::trouble::dial_remedy;

const GROUP: Group = Group::Mesh;
/// The first release that demands flags which the last one named here lacks.
const DEMANDS_MORE: u32 = 26;
const LACKS_FLAGS: u32 = 23;

/// What we are like.
#[derive(Clone, Debug)]
pub(super) struct Own<'a> {
    pub(super) name: &'a NodeName,
    pub(super) net_ticktime: Duration,
}

pub(super) fn checks(own: &Own<'_>, nodes: &[NodeFacts]) -> Vec<Check> {
    let linked: Vec<_> = nodes.iter().filter_map(linked).collect();
    let all = [
        form_check(own.name, nodes),
        ticktime_check(own, &linked),
        releases_check(&linked),
        overlapping_check(&linked),
        partial_check(&linked),
    ];
    all.into_iter().flatten().collect()
}

type Linked<'a> = (&'a NodeName, &'a LinkedFacts);

fn linked(node: &NodeFacts) -> Option<Linked<'_>> {
    match &node.outcome {
        DialOutcome::Linked(facts) => Some((&node.name, facts)),
        _ => None,
    }
}

/// Where it is the others that agree, the odd one is us.
fn form_check(own: &NodeName, nodes: &[NodeFacts]) -> Option<Check> {
    let other_form = nodes
        .iter()
        .filter(|node| node.name.form() != own.form())
        .count();
    if other_form == 0 || other_form < nodes.len() {
        return None;
    }
    let kind = FailureKind::LongShortNames;
    let theirs = counted(other_form, "name");
    let message = format!(
        "our name {own} is {}, and all others have the other form ({theirs})",
        own.form()
    );
    Some(
        GROUP
            .failed("form", message, dial_remedy(kind))
            .kind(kind.as_str()),
    )
}

fn ticktime_check(own: &Own<'_>, linked: &[Linked<'_>]) -> Option<Check> {
    let ours = own.net_ticktime.as_secs();
    let by_time = grouped(linked, |facts| facts.net_ticktime);
    let others: Vec<_> = by_time.iter().filter(|(time, _)| **time != ours).collect();
    if by_time.is_empty() {
        return None;
    }
    if others.is_empty() {
        return Some(GROUP.ok(
            "net_ticktime",
            format!("net_ticktime is {ours} s everywhere"),
        ));
    }
    let told = others
        .iter()
        .map(|(time, names)| format!("{time} s at {}", listed(*names)));
    let message = format!("net_ticktime is {ours} s here, and {}", listed(told));
    let remedy = "give --net-ticktime the nodes' own value, and the nodes one value";
    Some(GROUP.warning("net_ticktime", message, remedy))
}

fn releases_check(linked: &[Linked<'_>]) -> Option<Check> {
    let by_otp = grouped(linked, |facts| facts.otp);
    let old: Vec<_> = by_otp
        .range(..=LACKS_FLAGS)
        .flat_map(|(_, names)| names)
        .collect();
    let new: Vec<_> = by_otp
        .range(DEMANDS_MORE..)
        .flat_map(|(_, names)| names)
        .collect();
    if by_otp.is_empty() {
        return None;
    }
    if old.is_empty() || new.is_empty() {
        let releases = by_otp.keys().map(|otp| format!("OTP {otp}"));
        return Some(GROUP.ok(
            "releases",
            format!("releases that go together: {}", listed(releases)),
        ));
    }
    let message = format!(
        "OTP {LACKS_FLAGS} and OTP {DEMANDS_MORE} or later refuse each other: {} and {}",
        listed(old),
        listed(new)
    );
    let remedy = "upgrade the old ones to OTP 24 or 25 first";
    Some(GROUP.warning("releases", message, remedy))
}

fn overlapping_check(linked: &[Linked<'_>]) -> Option<Check> {
    let by_setting = grouped(linked, |facts| facts.prevents_overlapping);
    let count = |on| by_setting.get(&on).map_or(0, Vec::len);
    let setting = "prevent_overlapping_partitions";
    match (count(true), count(false)) {
        (0, 0) => None,
        (_, 0) => {
            let message = format!(
                "{setting} is on: a lost edge makes global cut others, and all are healed together"
            );
            Some(GROUP.ok("overlapping", message))
        }
        (0, _) => {
            let message =
                format!("{setting} is off: a lost edge stays the only one until it heals");
            Some(GROUP.ok("overlapping", message))
        }
        (on, off) => {
            let message = format!("{setting} is on at {on}, and off at {off}: {}", {
                let odd = by_setting.get(&(on < off));
                listed(odd.into_iter().flatten())
            });
            let remedy = "set it the same at all nodes: where they differ, global may stay \
                          apart after a lost edge";
            Some(GROUP.warning("overlapping", message, remedy))
        }
    }
}

fn partial_check(linked: &[Linked<'_>]) -> Option<Check> {
    let partial: Vec<_> = linked.iter().filter(|(_, facts)| facts.partial).collect();
    (!partial.is_empty()).then(|| {
        let names = listed(partial.iter().map(|(name, _)| name));
        let message = format!("set up to be linked only where told to, and so not healed: {names}");
        let remedy = "take out connect_all false and dist_auto_connect never if a full mesh is \
                      meant";
        GROUP.warning("partial", message, remedy)
    })
}

/// Names by what their nodes say, without those that say nothing.
fn grouped<'a, T: Ord>(
    linked: &[Linked<'a>],
    of: impl Fn(&LinkedFacts) -> Option<T>,
) -> BTreeMap<T, Vec<&'a NodeName>> {
    let mut groups = BTreeMap::<T, Vec<_>>::new();
    for (name, facts) in linked {
        if let Some(value) = of(facts) {
            groups.entry(value).or_default().push(*name);
        }
    }
    groups
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::check::Outcome;
    use super::*;

    fn node(name: &str, facts: LinkedFacts) -> NodeFacts {
        NodeFacts {
            name: name.parse().unwrap(),
            by_epmd: true,
            outcome: DialOutcome::Linked(facts),
        }
    }

    fn facts(otp: u32, net_ticktime: u64, prevents: bool) -> LinkedFacts {
        LinkedFacts {
            otp: Some(otp),
            net_ticktime: Some(net_ticktime),
            prevents_overlapping: Some(prevents),
            partial: false,
        }
    }

    fn examined(name: &str, nodes: &[NodeFacts]) -> Vec<Check> {
        let own = Own {
            name: &name.parse().unwrap(),
            net_ticktime: Duration::from_secs(60),
        };
        checks(&own, nodes)
    }

    pub(in super::super) fn samples() -> Vec<Check> {
        let alike = [node("a@10.0.0.1", facts(27, 60, true))];
        let off = [node("a@10.0.0.1", facts(27, 60, false))];
        let partial = LinkedFacts {
            partial: true,
            ..facts(27, 15, false)
        };
        let mixed = [
            node("a@10.0.0.1", facts(23, 60, true)),
            node("b@10.0.0.2", partial),
        ];
        let other_form = [node("a@h1", LinkedFacts::default())];
        [
            examined("pgmesh@10.0.0.9", &alike),
            examined("pgmesh@10.0.0.9", &off),
            examined("pgmesh@10.0.0.9", &mixed),
            examined("pgmesh@10.0.0.9", &other_form),
        ]
        .concat()
    }

    #[test]
    fn nodes_that_are_alike_are_fine() {
        let nodes = ["a@10.0.0.1", "b@10.0.0.2"].map(|name| node(name, facts(27, 60, true)));
        let checks = examined("pgmesh@10.0.0.9", &nodes);
        assert_eq!(checks.len(), 3);
        assert!(
            checks.iter().all(|check| check.outcome == Outcome::Ok),
            "{checks:?}"
        );
        assert!(examined("pgmesh@10.0.0.9", &[]).is_empty());
    }

    #[test]
    fn the_odd_ones_are_named() {
        let nodes = [
            node("a@10.0.0.1", facts(27, 60, true)),
            node("b@10.0.0.2", facts(27, 15, false)),
            node("c@10.0.0.3", facts(27, 60, true)),
        ];
        let checks = examined("pgmesh@10.0.0.9", &nodes);
        let odd: Vec<_> = checks
            .iter()
            .filter(|c| c.outcome == Outcome::Warning)
            .collect();
        assert_eq!(odd.len(), 2);
        assert!(
            odd.iter()
                .all(|check| check.message.ends_with("b@10.0.0.2")),
            "{odd:?}"
        );
    }
}
