//! What a scrape is told: what was counted, and what is so at this moment.

use std::collections::BTreeMap;
use std::time::Duration;

use pgmesh_dist::{Counters, Direction, NodeTraffic, Traffic};
use pgmesh_mesh::{Member, Mesh, State, Time};
use pgmesh_name::{NameError, NodeName};

use super::Metrics;
use super::table::{self, MAX_LABELLED_NODES};
use crate::daemon::postgres_view::PostgresState;
use crate::daemon::run_loop::Daemon;

/// Everything that is asked for at a scrape, from those who know it.
pub(super) struct Moment<'a> {
    pub(super) now: Time,
    pub(super) mesh: &'a Mesh,
    pub(super) min_cluster: usize,
    pub(super) announce_interval: Duration,
    pub(super) postgres: PostgresState,
    pub(super) bad_payloads: &'a BTreeMap<&'static str, u64>,
    pub(super) is_registered: Option<bool>,
    pub(super) is_ready: bool,
    pub(super) directions: Vec<Direction>,
    pub(super) traffic: NodeTraffic,
    pub(super) counters: Counters,
    pub(super) event_readers: usize,
}

impl Daemon {
    pub(in crate::daemon) fn scrape(&self, now: Time) -> String {
        let moment = Moment {
            now,
            mesh: &self.mesh,
            min_cluster: self.view.settings().min_cluster,
            announce_interval: self.view.settings().announce_interval,
            postgres: self.view.postgres().state(),
            bad_payloads: self.view.postgres().bad_payloads(),
            is_registered: self.view.is_registered(),
            is_ready: self.view.ready(false).is_ok(),
            directions: self.view.directions().collect(),
            traffic: self.node.traffic(),
            counters: self.node.counters(),
            event_readers: self.stream.readers(),
        };
        self.metrics.scrape(&moment)
    }
}

impl Metrics {
    /// Every metric as Prometheus reads it.
    pub(super) fn scrape(&self, moment: &Moment<'_>) -> String {
        self.clear_moment();
        self.show_mesh(moment);
        self.show_nodes(moment);
        self.show_links(moment);
        self.show_postgres(moment);
        self.show_daemon(moment);
        self.text()
    }

    fn show_mesh(&self, moment: &Moment<'_>) {
        let mesh = moment.mesh;
        let (counts, pairs) = (mesh.counts(), mesh.pair_counts());
        for (state, count) in counts.by_state() {
            self.set(&table::MEMBERS, &[state], number(count));
        }
        self.set(&table::HIDDEN_MEMBERS, &[], number(counts.hidden));
        self.set(&table::MIN_CLUSTER, &[], number(moment.min_cluster));
        for (state, count) in pairs.by_state() {
            self.set(&table::PAIRS, &[state], number(count));
        }
        self.set(&table::PAIRS_EXPECTED, &[], number(pairs.expected()));
        self.set(&table::FROZEN, &[], yes(mesh.is_frozen()));
        self.set(&table::LEADER, &[], yes(mesh.leads()));
    }

    /// Names that nobody has proven get no series: anybody can make them up. Nor do
    /// hidden nodes: each remote shell has a name of its own.
    fn show_nodes(&self, moment: &Moment<'_>) {
        let is_shown = |member: &Member| member.peer().is_some() && !member.is_hidden();
        let members = moment.mesh.members();
        let nodes: BTreeMap<_, _> = members.filter(|(_, member)| is_shown(member)).collect();
        let are_few = nodes.len() <= MAX_LABELLED_NODES;
        let left_out = if are_few { 0 } else { nodes.len() };
        self.set(&table::NODES_WITHOUT_LABELS, &[], number(left_out));
        if !are_few {
            return;
        }
        for (name, member) in &nodes {
            let is_up = matches!(member.state(), State::Up(_));
            self.set(&table::NODE_UP, &[name.as_str()], yes(is_up));
        }
        let links = moment.traffic.links.iter();
        for (name, traffic) in links.filter(|(name, _)| nodes.contains_key(name)) {
            self.show_link(name, traffic);
        }
    }

    fn show_link(&self, name: &NodeName, traffic: &Traffic) {
        let node = [name.as_str()];
        self.set_total(&table::NODE_RECEIVED_BYTES, &node, traffic.received_bytes);
        self.set_total(&table::NODE_SENT_BYTES, &node, traffic.sent_bytes);
        self.set_total(
            &table::NODE_RECEIVED_MESSAGES,
            &node,
            traffic.received_messages,
        );
        self.set_total(&table::NODE_SENT_MESSAGES, &node, traffic.sent_messages);
        self.set(&table::NODE_QUEUED_BYTES, &node, wide(traffic.queued_bytes));
    }

    fn show_links(&self, moment: &Moment<'_>) {
        for direction in Direction::ALL {
            let links = moment.directions.iter().filter(|d| **d == direction);
            self.set(&table::LINKS, &[direction.as_str()], number(links.count()));
        }
        let total = &moment.traffic.total;
        self.set_total(&table::RECEIVED_BYTES, &[], total.received_bytes);
        self.set_total(&table::SENT_BYTES, &[], total.sent_bytes);
        self.set_total(&table::RECEIVED_MESSAGES, &[], total.received_messages);
        self.set_total(&table::SENT_MESSAGES, &[], total.sent_messages);
        self.set_total(&table::RECEIVED_TICKS, &[], total.received_ticks);
        self.set_total(&table::SENT_TICKS, &[], total.sent_ticks);
        self.set(&table::QUEUED_BYTES, &[], wide(total.queued_bytes));
        let counters = moment.counters;
        self.set_total(
            &table::UNREADABLE_MESSAGES,
            &[],
            counters.unreadable_messages,
        );
        self.set_total(
            &table::UNDELIVERED_MESSAGES,
            &[],
            counters.undelivered_messages,
        );
        self.set_total(
            &table::NAMES_REFUSED,
            &[table::NO_NAME],
            counters.refused_names,
        );
    }

    fn show_postgres(&self, moment: &Moment<'_>) {
        for state in PostgresState::ALL {
            let is_it = yes(state == moment.postgres);
            self.set(&table::POSTGRES_STATE, &[state.as_str()], is_it);
        }
        if moment.postgres != PostgresState::Off {
            let hears = moment.postgres == PostgresState::Listening;
            self.set(&table::POSTGRES_UP, &[], yes(hears));
        }
        let interval = moment.announce_interval.as_secs_f64();
        self.set(&table::ANNOUNCE_INTERVAL, &[], interval);
        if let Some(at) = moment.mesh.last_echo_at() {
            let age = moment.now.since(at).as_secs_f64();
            self.set(&table::LAST_ECHO_AGE, &[], age);
        }
        for kind in NameError::KINDS {
            let count = moment.bad_payloads.get(kind).copied().unwrap_or_default();
            self.set_total(&table::BAD_PAYLOADS, &[kind], count);
        }
    }

    fn show_daemon(&self, moment: &Moment<'_>) {
        self.set(&table::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        self.set(&table::READY, &[], yes(moment.is_ready));
        if let Some(is_registered) = moment.is_registered {
            self.set(&table::EPMD_REGISTERED, &[], yes(is_registered));
        }
        self.set(&table::EVENT_READERS, &[], number(moment.event_readers));
    }
}

fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Prometheus has no other numbers; these are far from where it loses any.
fn number(count: usize) -> f64 {
    wide(u64::try_from(count).unwrap_or(u64::MAX))
}

#[allow(clippy::cast_precision_loss)]
fn wide(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
