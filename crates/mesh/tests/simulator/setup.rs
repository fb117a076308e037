//! What a world is made of.

use pgmesh_mesh::IntroduceScope;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    pub nodes: usize,
    /// Of these, how many say their names and dial those that they hear; the
    /// others know of nobody.
    pub speaking: usize,
    pub daemons: usize,
    /// How many nodes share a host, and so a daemon where each host has one.
    pub nodes_per_host: usize,
    /// Whom the daemons introduce. With `Local`, each lives on the host with its number.
    pub introduce: IntroduceScope,
    pub watch_edges: bool,
    pub prune: bool,
    /// Whether nodes cut others off that somebody has lost
    /// (`prevent_overlapping_partitions`).
    pub overlapping_prevented: bool,
    /// Whether the first daemon's inputs are kept, to be repeated.
    pub is_recorded: bool,
    /// Whether the daemons' settings name every node, and there is neither Postgres nor
    /// EPMD.
    pub configured: bool,
}

impl Setup {
    /// Nodes that find each other by themselves, and daemons that only join.
    pub fn joining(nodes: usize, daemons: usize) -> Self {
        Self {
            nodes,
            speaking: nodes,
            daemons,
            nodes_per_host: 1,
            introduce: IntroduceScope::None,
            watch_edges: false,
            prune: false,
            overlapping_prevented: false,
            is_recorded: false,
            configured: false,
        }
    }

    /// Plain nodes, each with a daemon beside it.
    pub fn sidecars(nodes: usize) -> Self {
        Self {
            speaking: 0,
            introduce: IntroduceScope::Local,
            watch_edges: true,
            ..Self::joining(nodes, nodes)
        }
    }

    /// Plain nodes, several to a host, each host with one daemon.
    pub fn hosts(hosts: usize, nodes_per_host: usize) -> Self {
        Self {
            daemons: hosts,
            nodes_per_host,
            ..Self::sidecars(hosts * nodes_per_host)
        }
    }

    /// Sidecars that know of each other's nodes from their settings alone.
    pub fn configured(nodes: usize) -> Self {
        Self {
            configured: true,
            ..Self::sidecars(nodes)
        }
    }

    /// Speaking nodes, and daemons any of which introduces everybody.
    pub fn healers(nodes: usize, daemons: usize) -> Self {
        Self {
            introduce: IntroduceScope::All,
            watch_edges: true,
            ..Self::joining(nodes, daemons)
        }
    }
}
