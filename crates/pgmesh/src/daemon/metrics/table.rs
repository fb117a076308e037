//! Every metric once: its name, type, label and help. docs/METRICS.md, the dashboard
//! and the alert rules are compared with it.

use pgmesh_discovery::PostgresErrorKind;
use pgmesh_dist::{Direction, FailureKind};
use pgmesh_mesh::{Counts, IgnoredName, IntroductionOutcome, PairCounts};
use pgmesh_name::NameError;

use crate::daemon::postgres_view::PostgresState;

/// Up to so many nodes have series of their own. Names come over the network, and
/// each one costs its place in Prometheus for as long as that keeps anything.
pub(crate) const MAX_LABELLED_NODES: usize = 100;

/// What a metric is.
#[derive(Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) label: Option<Label>,
    pub(crate) help: &'static str,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// With these upper bounds.
    Histogram(&'static [f64]),
}

/// No metric has more than one.
#[derive(Debug)]
pub(crate) enum Label {
    /// From a closed set: each value is there from the start, at 0.
    Closed(&'static str, fn() -> Vec<&'static str>),
    /// A node's name, as long as there are few.
    Node,
}

impl Metric {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            kind,
            label: None,
            help,
        }
    }

    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Counter, help)
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Gauge, help)
    }

    const fn histogram(name: &'static str, bounds: &'static [f64], help: &'static str) -> Self {
        Self::new(name, Kind::Histogram(bounds), help)
    }

    const fn by(mut self, label: &'static str, values: fn() -> Vec<&'static str>) -> Self {
        self.label = Some(Label::Closed(label, values));
        self
    }

    const fn by_node(mut self) -> Self {
        self.label = Some(Label::Node);
        self
    }
}

impl Label {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Closed(name, _) => name,
            Self::Node => "node",
        }
    }
}

macro_rules! table {
    ($($name:ident = $metric:expr;)*) => {
        $(pub(super) static $name: Metric = $metric;)*

        /// All of them, in the order of docs/METRICS.md.
        pub(crate) static TABLE: &[&Metric] = &[$(&$name),*];
    };
}

/// From a link on one host to a dial across the world.
const SHORT: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// From a heal at once to one that waits for people.
const LONG: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

#[rustfmt::skip]
table! {
    // The mesh.
    MEMBERS = Metric::gauge("pgmesh_members",
        "Node names known, by state; hidden nodes are not counted").by("state", states);
    HIDDEN_MEMBERS = Metric::gauge("pgmesh_hidden_members",
        "Hidden nodes known: remote shells, other daemons");
    MIN_CLUSTER = Metric::gauge("pgmesh_min_cluster",
        "How many nodes are expected: the setting --min-cluster");
    NODE_UP = Metric::gauge("pgmesh_node_up",
        "Whether a node that was linked at least once is linked now").by_node();
    NODES_WITHOUT_LABELS = Metric::gauge("pgmesh_nodes_without_labels",
        "Nodes without series of their own, since there are more than 100; 0 while all have them");
    PAIRS = Metric::gauge("pgmesh_pairs",
        "Pairs of linked nodes, by whether the two are connected to each other").by("state", pair_states);
    PAIRS_EXPECTED = Metric::gauge("pgmesh_pairs_expected",
        "Pairs of linked nodes that should be connected to each other: all but the excluded");
    EDGE_CHANGES = Metric::counter("pgmesh_edge_changes_total",
        "Connections between two nodes that were seen to come (up) or go (down)").by("change", || vec!["up", "down"]);
    INTRODUCTIONS = Metric::counter("pgmesh_introductions_total",
        "Times that a node was told to connect to another");
    INTRODUCTION_RESULTS = Metric::counter("pgmesh_introduction_results_total",
        "What came of introductions").by("result", || IntroductionOutcome::KINDS.to_vec());
    EDGES_HEALED = Metric::counter("pgmesh_edges_healed_total",
        "Lost connections between two nodes that are there again after an introduction");
    HEAL_SECONDS = Metric::histogram("pgmesh_heal_seconds", LONG,
        "How long two nodes were apart, from the loss that we saw until they were healed");
    FROZEN = Metric::gauge("pgmesh_frozen",
        "Whether nobody is forgotten, because we do not hear and silence proves nothing");
    LEADER = Metric::gauge("pgmesh_leader",
        "Whether, with --introduce all, it is this daemon that heals at once");

    // Our links.
    LINKS = Metric::gauge("pgmesh_links",
        "Links that are up, to hidden nodes too, by who dialled (initiator: we)").by("direction", directions);
    LINKS_OPENED = Metric::counter("pgmesh_links_opened_total",
        "Links that came up, by who dialled (initiator: we)").by("direction", directions);
    LINKS_CLOSED = Metric::counter("pgmesh_links_closed_total",
        "Links that ended, by why").by("kind", failure_kinds);
    DIALS = Metric::counter("pgmesh_dials_total",
        "Times that we dialled a node");
    DIALS_FAILED = Metric::counter("pgmesh_dials_failed_total",
        "Dials that brought no link, by why; what was given up for another link is not counted").by("kind", dial_failure_kinds);
    HANDSHAKE_SECONDS = Metric::histogram("pgmesh_handshake_seconds", SHORT,
        "How long a link took to come up: from the beginning of our TCP connect (initiator) or from the moment that we accepted the peer's (acceptor)").by("direction", directions);
    COOKIE_REJECTIONS = Metric::counter("pgmesh_cookie_rejections_total",
        "Connections by others that we refused since their cookie is not ours");
    NAMES_REFUSED = Metric::counter("pgmesh_names_refused_total",
        "Names left alone: not_allowed_here (by --allow; once until it is forgotten), other_host (by --join local; each time), no_name (told by a node, and no node name)").by("kind", refusal_kinds);
    RECEIVED_BYTES = Metric::counter("pgmesh_received_bytes_total",
        "Bytes received over links after the handshake");
    SENT_BYTES = Metric::counter("pgmesh_sent_bytes_total",
        "Bytes sent over links after the handshake");
    RECEIVED_MESSAGES = Metric::counter("pgmesh_received_messages_total",
        "Messages received over links");
    SENT_MESSAGES = Metric::counter("pgmesh_sent_messages_total",
        "Messages sent over links");
    RECEIVED_TICKS = Metric::counter("pgmesh_received_ticks_total",
        "Ticks received over links");
    SENT_TICKS = Metric::counter("pgmesh_sent_ticks_total",
        "Ticks sent over links");
    QUEUED_BYTES = Metric::gauge("pgmesh_queued_bytes",
        "Bytes that wait to be sent over all links");
    NODE_RECEIVED_BYTES = Metric::counter("pgmesh_node_received_bytes_total",
        "Bytes received over the present link to a node").by_node();
    NODE_SENT_BYTES = Metric::counter("pgmesh_node_sent_bytes_total",
        "Bytes sent over the present link to a node").by_node();
    NODE_RECEIVED_MESSAGES = Metric::counter("pgmesh_node_received_messages_total",
        "Messages received over the present link to a node").by_node();
    NODE_SENT_MESSAGES = Metric::counter("pgmesh_node_sent_messages_total",
        "Messages sent over the present link to a node").by_node();
    NODE_QUEUED_BYTES = Metric::gauge("pgmesh_node_queued_bytes",
        "Bytes that wait to be sent to a node: it reads too slowly if they grow").by_node();
    UNREADABLE_MESSAGES = Metric::counter("pgmesh_unreadable_messages_total",
        "Messages that could not be read and were passed over");
    UNDELIVERED_MESSAGES = Metric::counter("pgmesh_undelivered_messages_total",
        "Messages to names and pids that are not here");

    // Postgres and our ears.
    POSTGRES_UP = Metric::gauge("pgmesh_postgres_up",
        "Whether we hear: a session listens, and our own words came back on it; absent without a database");
    POSTGRES_STATE = Metric::gauge("pgmesh_postgres_state",
        "1 for the state that the Postgres session is in").by("state", PostgresState::labels);
    POSTGRES_SESSIONS = Metric::counter("pgmesh_postgres_sessions_total",
        "Postgres sessions that came to listen");
    POSTGRES_RECONNECTS = Metric::counter("pgmesh_postgres_reconnects_total",
        "Attempts to get another Postgres session, after one that failed or did not come about");
    POSTGRES_FAILURES = Metric::counter("pgmesh_postgres_failures_total",
        "Postgres sessions that failed or did not come about, by why").by("kind", postgres_kinds);
    ANNOUNCE_INTERVAL = Metric::gauge("pgmesh_announce_interval_seconds",
        "How often names are announced: the setting --announce-interval");
    LAST_ECHO_AGE = Metric::gauge("pgmesh_last_echo_age_seconds",
        "How long ago our own announcement last came back; absent before the first");
    ECHO_SECONDS = Metric::histogram("pgmesh_echo_seconds", SHORT,
        "How long our own announcement took to come back through Postgres");
    NAMES_SAID = Metric::counter("pgmesh_names_said_total",
        "Names said on the channel, our own and those of this host's nodes");
    NAMES_HEARD = Metric::counter("pgmesh_names_heard_total",
        "Names of others heard on the channel");
    GOODBYES_HEARD = Metric::counter("pgmesh_goodbyes_heard_total",
        "Goodbyes heard on the channel");
    BAD_PAYLOADS = Metric::counter("pgmesh_bad_payloads_total",
        "What was said on the channel and is no name, by why").by("kind", || NameError::KINDS.to_vec());

    // The daemon.
    BUILD_INFO = Metric::gauge("pgmesh_build_info",
        "Always 1, with the version of this daemon").by("version", || vec![env!("CARGO_PKG_VERSION")]);
    READY = Metric::gauge("pgmesh_ready",
        "Whether /readyz says yes");
    EPMD_REGISTERED = Metric::gauge("pgmesh_epmd_registered",
        "Whether EPMD has us; without it other nodes cannot dial us. Absent with --epmd none");
    EVENT_READERS = Metric::gauge("pgmesh_event_readers",
        "Who reads the stream of events");
}

fn states() -> Vec<&'static str> {
    labels(Counts::default().by_state())
}

fn pair_states() -> Vec<&'static str> {
    labels(PairCounts::default().by_state())
}

fn labels<const N: usize>(states: [(&'static str, usize); N]) -> Vec<&'static str> {
    states.iter().map(|(label, _)| *label).collect()
}

fn directions() -> Vec<&'static str> {
    Direction::ALL.iter().map(|d| d.as_str()).collect()
}

fn failure_kinds() -> Vec<&'static str> {
    FailureKind::ALL.iter().map(|kind| kind.as_str()).collect()
}

/// A dial can also end by a bug.
fn dial_failure_kinds() -> Vec<&'static str> {
    let mut kinds = failure_kinds();
    kinds.push(crate::daemon::effects::INTERNAL);
    kinds
}

fn refusal_kinds() -> Vec<&'static str> {
    let mut kinds: Vec<_> = IgnoredName::ALL.iter().map(|why| why.kind()).collect();
    kinds.push(NO_NAME);
    kinds
}

/// Told by a node, and no node name.
pub(super) const NO_NAME: &str = "no_name";

fn postgres_kinds() -> Vec<&'static str> {
    let kinds = PostgresErrorKind::ALL.iter();
    kinds.map(|kind| kind.as_str()).collect()
}

#[cfg(test)]
mod tests;
