//! Whether other nodes can reach us under our own name: the way that they take, taken
//! from this host.

use pgmesh_dist::StartError;
use pgmesh_name::NodeName;

use super::check::{Check, Group};
use super::trouble::{DialTrouble, cause_and_remedy};
use super::visitor::Visitor;
use crate::settings::RunSettings;

const GROUP: Group = Group::Distribution;

#[derive(Debug)]
pub(super) struct DistributionFacts {
    /// The daemon, or our visitor in its place.
    node: NodeName,
    /// Why nobody listens where the settings say, and what to do.
    listen: Option<(String, &'static str)>,
    /// On which port that node answered, up to its challenge.
    found: Result<u16, DialTrouble>,
}

impl DistributionFacts {
    pub(super) async fn gather(
        settings: &RunSettings,
        visitor: &Visitor,
        daemon_runs: bool,
    ) -> Self {
        let node = if daemon_runs {
            &settings.name
        } else {
            visitor.name()
        };
        let found = visitor.asker().find(node).await;
        Self {
            node: node.clone(),
            listen: visitor.listen_error().map(listen_trouble),
            found: found
                .map(|probed| probed.address.port())
                .map_err(|error| DialTrouble::from(&error)),
        }
    }
}

fn listen_trouble(error: &StartError) -> (String, &'static str) {
    let message = error.to_string();
    (cause_and_remedy(&message).0.to_owned(), error.remedy())
}

pub(super) fn checks(facts: &DistributionFacts, is_findable: bool) -> Vec<Check> {
    if let Some((message, remedy)) = &facts.listen {
        return vec![GROUP.failed("listen", message, *remedy).kind("listen")];
    }
    if !is_findable {
        return vec![GROUP.unchecked("reachable", "whether other nodes find us, without EPMD")];
    }
    let node = &facts.node;
    vec![match &facts.found {
        Ok(port) => {
            let message = format!("{node} answers under its name, at port {port}");
            GROUP.ok("reachable", message)
        }
        Err(trouble) => trouble.failed(GROUP, "reachable", &format!("nobody can dial {node}")),
    }]
}

#[cfg(test)]
pub(super) fn samples() -> Vec<Check> {
    use pgmesh_dist::FailureKind;

    let facts = |found| DistributionFacts {
        node: "pgmesh@10.0.0.9".parse().unwrap(),
        listen: None,
        found,
    };
    let trouble = |kind, detail: &str| DialTrouble {
        kind,
        detail: detail.to_owned(),
    };
    let refused = trouble(FailureKind::Refused, "connection refused");
    let no_epmd = "no EPMD at 10.0.0.9:4369: Connection refused (os error 111)";
    let no_epmd = trouble(FailureKind::EpmdUnreachable, no_epmd);
    let in_use = StartError::Listen {
        address: ([0, 0, 0, 0], 9100).into(),
        cause: std::io::Error::other("Address already in use (os error 98)"),
    };
    let taken = DistributionFacts {
        listen: Some(listen_trouble(&in_use)),
        ..facts(Ok(9100))
    };
    [
        checks(&facts(Ok(39201)), true),
        checks(&taken, true),
        checks(&facts(Err(refused)), true),
        checks(&facts(Err(no_epmd.clone())), true),
        checks(&facts(Err(no_epmd)), false),
    ]
    .concat()
}
