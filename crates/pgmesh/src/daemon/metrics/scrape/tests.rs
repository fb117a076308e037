use std::io::Write as _;
use std::process::{Command, Stdio};

use pgmesh_mesh::{Config, Event, Failure, Input, LinkId, Peer, Retry};

use super::*;

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// Nodes that are all linked to us, and to each other but for the first two.
fn mesh_of(count: usize) -> (Mesh, Vec<NodeName>) {
    let mut mesh = Mesh::new(Config::new(name("pgmesh@10.0.0.1")), 1);
    let names: Vec<_> = (0..count)
        .map(|n| name(&format!("app{n}@10.0.1.{n}")))
        .collect();
    for (n, name) in (1..).zip(&names) {
        let peer = Peer {
            name: name.clone(),
            creation: 4,
            hidden: false,
        };
        let link = LinkId(n);
        mesh.handle(Time::ZERO, Input::LinkUp { peer, link });
    }
    for (n, name) in (1..).zip(&names) {
        let is_cut = |peer: &NodeName| n <= 2 && names[..2].contains(peer);
        let peers = names.iter().filter(|peer| *peer != name && !is_cut(peer));
        let seen = Input::PeersSeen {
            name: name.clone(),
            link: LinkId(n),
            peers: peers.cloned().collect(),
        };
        mesh.handle(Time::ZERO, seen);
    }
    (mesh, names)
}

fn traffic_of(names: &[NodeName]) -> NodeTraffic {
    let one = Traffic {
        received_bytes: 1000,
        received_messages: 10,
        ..Traffic::default()
    };
    let mut total = Traffic::default();
    names.iter().for_each(|_| total += one);
    let links = names.iter().map(|name| (name.clone(), one)).collect();
    NodeTraffic { total, links }
}

fn scraped(metrics: &Metrics, mesh: &Mesh, names: &[NodeName]) -> String {
    metrics.scrape(&Moment {
        now: Time::from_start(Duration::from_secs(9)),
        mesh,
        min_cluster: 3,
        announce_interval: Duration::from_secs(5),
        postgres: PostgresState::Listening,
        bad_payloads: &BTreeMap::from([("at_signs", 12)]),
        is_registered: Some(true),
        is_ready: true,
        directions: names.iter().map(|_| Direction::Initiator).collect(),
        traffic: traffic_of(names),
        counters: Counters::default(),
        event_readers: 2,
    })
}

fn assert_has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|l| l == *line),
            "no line {line} in:\n{text}"
        );
    }
}

/// What Prometheus' own reader and linter say of it.
fn assert_read_by_promtool(text: &str) {
    let mut promtool = Command::new("promtool");
    let promtool = promtool.args(["check", "metrics"]);
    let pipes = promtool.stdin(Stdio::piped()).stdout(Stdio::piped());
    let spawned = pipes.stderr(Stdio::piped()).spawn();
    let mut child = spawned.expect("cannot run promtool (install Debian's prometheus)");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn two_hundred_and_fifty_nodes_are_summed_and_have_no_series() {
    let (mesh, names) = mesh_of(250);
    let text = scraped(&Metrics::new().unwrap(), &mesh, &names);
    assert_has(
        &text,
        &[
            "pgmesh_members{state=\"up\"} 250",
            "pgmesh_members{state=\"held\"} 0",
            "pgmesh_pairs{state=\"linked\"} 31124",
            "pgmesh_pairs{state=\"missing\"} 1",
            "pgmesh_pairs_expected 31125",
            "pgmesh_links{direction=\"initiator\"} 250",
            "pgmesh_received_bytes_total 250000",
            "pgmesh_nodes_without_labels 250",
            "pgmesh_postgres_up 1",
            "pgmesh_bad_payloads_total{kind=\"at_signs\"} 12",
        ],
    );
    assert!(!text.contains("node=\""));
    assert!(
        !text.contains("pgmesh_last_echo_age_seconds"),
        "never heard"
    );
    assert_read_by_promtool(&text);
}

#[test]
fn few_nodes_have_series_and_lose_them_when_they_are_forgotten() {
    let (mut mesh, names) = mesh_of(MAX_LABELLED_NODES);
    let metrics = Metrics::new().unwrap();
    let down = Input::LinkDown {
        name: names[1].clone(),
        link: LinkId(2),
        failure: Failure {
            kind: "closed_by_peer",
            message: String::new(),
            retry: Retry::Soon,
        },
    };
    mesh.handle(Time::ZERO, down);
    // Nobody has proven that there is such a node.
    mesh.handle(Time::ZERO, Input::HeardName(name("made_up@10.0.0.9")));
    let text = scraped(&metrics, &mesh, &names[..1]);
    assert_has(
        &text,
        &[
            "pgmesh_node_up{node=\"app0@10.0.1.0\"} 1",
            "pgmesh_node_up{node=\"app1@10.0.1.1\"} 0",
            "pgmesh_node_received_bytes_total{node=\"app0@10.0.1.0\"} 1000",
            "pgmesh_nodes_without_labels 0",
        ],
    );
    assert!(!text.contains("made_up"));
    assert_read_by_promtool(&text);
    mesh.handle(Time::ZERO, Input::Forget(names[1].clone()));
    let later = scraped(&metrics, &mesh, &[]);
    assert!(!later.contains("app1@10.0.1.1"));
    assert!(!later.contains("pgmesh_node_received_bytes_total{"));
}

#[test]
fn everything_of_a_closed_set_is_there_before_it_happens() {
    let metrics = Metrics::new().unwrap();
    let (mesh, names) = mesh_of(0);
    let text = scraped(&metrics, &mesh, &names);
    for metric in table::TABLE {
        let Some(table::Label::Closed(label, values)) = &metric.label else {
            continue;
        };
        for value in values() {
            let series = format!("{label}=\"{value}\"");
            let is_there = |line: &str| line.starts_with(metric.name) && line.contains(&series);
            assert!(text.lines().any(is_there), "{} {series}", metric.name);
        }
    }
}

#[test]
fn every_metric_is_shown_as_what_it_is() {
    let (mut mesh, names) = mesh_of(2);
    mesh.handle(Time::ZERO, Input::EchoHeard);
    let text = scraped(&Metrics::new().unwrap(), &mesh, &names);
    for metric in table::TABLE {
        let kind = match metric.kind {
            table::Kind::Counter => "counter",
            table::Kind::Gauge => "gauge",
            table::Kind::Histogram(_) => "histogram",
        };
        assert_has(&text, &[&format!("# TYPE {} {kind}", metric.name)]);
    }
}

#[test]
fn what_happens_is_counted() {
    let metrics = Metrics::new().unwrap();
    let healed = Event::Healed {
        a: name("a@h"),
        b: name("b@h"),
        after: Duration::from_millis(12),
    };
    metrics.on_mesh_event(&healed);
    metrics.on_mesh_event(&Event::EdgeDown(name("a@h"), name("b@h")));
    metrics.dial_failed("cookie_rejected_by_peer");
    let text = scraped(&metrics, &mesh_of(0).0, &[]);
    assert_has(
        &text,
        &[
            "pgmesh_edges_healed_total 1",
            "pgmesh_heal_seconds_bucket{le=\"0.01\"} 0",
            "pgmesh_heal_seconds_bucket{le=\"0.025\"} 1",
            "pgmesh_edge_changes_total{change=\"down\"} 1",
            "pgmesh_dials_failed_total{kind=\"cookie_rejected_by_peer\"} 1",
            "pgmesh_dials_failed_total{kind=\"host_unknown\"} 0",
        ],
    );
}

#[test]
fn what_there_is_not_is_neither_up_nor_registered() {
    let (mesh, _) = mesh_of(0);
    let bad_payloads = BTreeMap::new();
    let moment = Moment {
        now: Time::ZERO,
        mesh: &mesh,
        min_cluster: 0,
        announce_interval: Duration::from_secs(5),
        postgres: PostgresState::Off,
        bad_payloads: &bad_payloads,
        is_registered: None,
        is_ready: false,
        directions: Vec::new(),
        traffic: NodeTraffic::default(),
        counters: Counters::default(),
        event_readers: 0,
    };
    let text = Metrics::new().unwrap().scrape(&moment);
    assert!(!text.contains("pgmesh_postgres_up "));
    assert!(!text.contains("pgmesh_epmd_registered "));
    assert_has(&text, &["pgmesh_postgres_state{state=\"off\"} 1"]);
}
