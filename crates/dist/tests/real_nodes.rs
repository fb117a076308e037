//! A node of ours among real BEAM nodes: who is linked to whom, and mending it.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::process::Stdio;
use std::slice;
use std::time::Duration;

use pgmesh_dist::terms::Term;
use pgmesh_dist::{
    CallLimits, Cookie, FailureKind, Introduced, Node, NodeConfig, NodeEvent, NodeEvents,
};
use pgmesh_name::NodeName;
use pgmesh_testkit::ScratchEpmd;
use tokio::io::AsyncReadExt as _;

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(10),
    answer_bytes: 1024 * 1024,
};

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// A real `erl`, ended when dropped, and when this process ends.
struct Beam {
    name: NodeName,
    _process: tokio::process::Child,
}

impl Beam {
    async fn start(epmd: &ScratchEpmd, full_name: &str, flags: &[&str]) -> Self {
        let mut command = tokio::process::Command::new("erl");
        command
            .args(["-noshell", "-start_epmd", "false", "-setcookie", "secret"])
            .args(["-name", full_name])
            .args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"])
            .args(flags)
            // The end of its input is the end of whoever started it.
            .args(["-eval", "io:nl(), io:get_line(''), halt()."])
            .env("ERL_EPMD_PORT", epmd.port().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("erl is not to be started");
        // It writes this once all of kernel is up: rex is later than EPMD.
        let read = async { process.stdout.as_mut().unwrap().read_u8().await };
        let written = tokio::time::timeout(LIMITS.time, read).await;
        written.expect("erl is not up in time").unwrap();
        Self {
            name: name(full_name),
            _process: process,
        }
    }
}

/// A node of ours and two of OTP's, which it is linked to.
struct Cluster {
    epmd: ScratchEpmd,
    node: Node,
    events: NodeEvents,
    a: Beam,
    b: Beam,
}

async fn our_node(epmd: &ScratchEpmd, full_name: &str) -> (Node, NodeEvents) {
    let mut config = NodeConfig::new(name(full_name), Cookie::new("secret"));
    config.epmd_port = epmd.port();
    config.listen = "127.0.0.1:0".parse().unwrap();
    Node::start(config).await.unwrap()
}

impl Cluster {
    async fn start(flags: &[&str]) -> Self {
        let epmd = ScratchEpmd::start().await;
        let (node, events) = our_node(&epmd, "m@127.0.0.1").await;
        let (a, b) = tokio::join!(
            Beam::start(&epmd, "a@127.0.0.1", flags),
            Beam::start(&epmd, "b@127.0.0.1", flags)
        );
        for beam in [&a, &b] {
            node.connect(&beam.name, true).await.unwrap();
        }
        Self {
            epmd,
            node,
            events,
            a,
            b,
        }
    }

    /// The next event that tells of links between others, in short.
    async fn next_news(&mut self) -> String {
        loop {
            let event = tokio::time::timeout(LIMITS.time, self.events.recv());
            match event.await.expect("no news in time").unwrap() {
                NodeEvent::PeersSeen { name, peers, .. } => return format!("{name} has {peers:?}"),
                NodeEvent::EdgeUp { name, peer, .. } => return format!("{name} up {peer}"),
                NodeEvent::EdgeDown { name, peer, .. } => return format!("{name} down {peer}"),
                _ => {}
            }
        }
    }

    async fn introduce(&self) -> Introduced {
        let introduced = self.node.introduce(&self.a.name, &self.b.name, LIMITS.time);
        introduced.await.unwrap()
    }
}

/// How many processes on a node run code that erl_eval was given by spawn.
async fn watchers(node: &Node, at: &NodeName) -> usize {
    let code = "length([P || P <- erlang:processes(), \
        erlang:process_info(P, initial_call) =:= {initial_call, {erl_eval, exprs, 2}}]).";
    evaluate(node, at, code).await.parse().unwrap()
}

/// What Erlang code gives, as text.
async fn evaluate(node: &Node, at: &NodeName, code: &str) -> String {
    let binary = |text: &str| Term::from(eetf::Binary::from(text.as_bytes()));
    let call = async |module, function, args| {
        let result = node.call(at, module, function, args, LIMITS);
        result.await.unwrap()
    };
    let list = call("erlang", "binary_to_list", vec![binary(code)]).await;
    let scanned = call("erl_scan", "string", vec![list]).await;
    let parsed = call("erl_parse", "parse_exprs", vec![element(&scanned, 1)]).await;
    let nothing = Term::from(eetf::List::nil());
    let exprs = vec![element(&parsed, 1), nothing];
    element(&call("erl_eval", "exprs", exprs).await, 1).to_string()
}

fn element(tuple: &Term, at: usize) -> Term {
    match tuple {
        Term::Tuple(tuple) => tuple.elements[at].clone(),
        other => panic!("no tuple: {other}"),
    }
}

#[tokio::test]
async fn watched_nodes_tell_of_every_change_and_are_mended() {
    let mut cluster = Cluster::start(&[]).await;
    let (a, b) = (cluster.a.name.clone(), cluster.b.name.clone());
    cluster.node.watch(&a, LIMITS).await.unwrap();
    assert_eq!(cluster.next_news().await, "a@127.0.0.1 has []");
    assert_eq!(cluster.introduce().await, Introduced::Connected);
    assert_eq!(cluster.next_news().await, "a@127.0.0.1 up b@127.0.0.1");
    let node = &cluster.node;
    assert_eq!(
        node.visible_peers(&a, LIMITS).await.unwrap(),
        slice::from_ref(&b)
    );
    assert_eq!(
        node.visible_peers(&b, LIMITS).await.unwrap(),
        slice::from_ref(&a)
    );
    assert!(node.disconnect_at(&b, &a, LIMITS).await.unwrap());
    assert_eq!(cluster.next_news().await, "a@127.0.0.1 down b@127.0.0.1");
    let node = &cluster.node;
    assert!(!node.disconnect_at(&b, &a, LIMITS).await.unwrap());
    assert!(!node.mesh_intent(&a, LIMITS.time).await.unwrap().partial);
    // Hidden nodes are no edges, ours among them.
    let (other, _events) = our_node(&cluster.epmd, "other@127.0.0.1").await;
    other.connect(&a, true).await.unwrap();
    assert_eq!(cluster.introduce().await, Introduced::Connected);
    assert_eq!(cluster.next_news().await, "a@127.0.0.1 up b@127.0.0.1");
}

#[tokio::test]
async fn one_watcher_is_left_by_two_calls_and_none_without_us() {
    let mut cluster = Cluster::start(&["-mode", "embedded"]).await;
    let a = cluster.a.name.clone();
    let (onlooker, _events) = our_node(&cluster.epmd, "onlooker@127.0.0.1").await;
    onlooker.connect(&a, true).await.unwrap();
    assert_eq!(watchers(&onlooker, &a).await, 0);
    for _ in 0..3 {
        cluster.node.watch(&a, LIMITS).await.unwrap();
        assert_eq!(cluster.next_news().await, "a@127.0.0.1 has []");
    }
    let is_left = async |expected| {
        let wait = async { while watchers(&onlooker, &a).await != expected {} };
        let waited = tokio::time::timeout(LIMITS.time, wait).await;
        waited.unwrap_or_else(|_| panic!("not {expected} watchers"));
    };
    is_left(1).await;
    cluster.node.disconnect(&a);
    is_left(0).await;
    cluster.node.connect(&a, true).await.unwrap();
    cluster.node.watch(&a, LIMITS).await.unwrap();
    is_left(1).await;
    cluster.node.unwatch(&a);
    is_left(0).await;
    cluster.node.watch(&a, LIMITS).await.unwrap();
    is_left(1).await;
    cluster.node.stop();
    is_left(0).await;
}

#[tokio::test]
async fn node_that_stops_is_not_introduced() {
    // What init waits for is frozen: it stays where it is.
    let cluster = Cluster::start(&[]).await;
    let (a, b) = (&cluster.a.name, &cluster.b.name);
    let slow = "Self = self(), spawn(fun() -> \
            erlang:suspend_process(whereis(application_controller)), \
            Self ! suspended, receive never -> ok end \
        end), receive suspended -> init:stop() end.";
    assert_eq!(evaluate(&cluster.node, b, slow).await, "'ok'");
    let limit = LIMITS.time;
    let introduced = cluster.node.introduce(a, b, limit).await.unwrap();
    assert_eq!(introduced, Introduced::Stopping(b.clone()));
    let introduced = cluster.node.introduce(b, a, limit).await.unwrap();
    assert_eq!(introduced, Introduced::Stopping(b.clone()));
    // Whom we are not linked to cannot be asked first, and is not there to connect.
    let nobody = name("nobody@127.0.0.1");
    let introduced = cluster.node.introduce(a, &nobody, limit).await.unwrap();
    assert_eq!(introduced, Introduced::Refused);
}

#[tokio::test]
async fn intent_is_read_from_settings_and_flags() {
    for flags in [
        &["-connect_all", "false"][..],
        &["-kernel", "connect_all", "false"],
        &["-kernel", "dist_auto_connect", "never"],
    ] {
        let epmd = ScratchEpmd::start().await;
        let (node, _events) = our_node(&epmd, "m@127.0.0.1").await;
        let beam = Beam::start(&epmd, "a@127.0.0.1", flags).await;
        node.connect(&beam.name, true).await.unwrap();
        let intent = node.mesh_intent(&beam.name, LIMITS.time).await.unwrap();
        assert!(intent.partial, "{flags:?}");
    }
}

#[tokio::test]
async fn probe_learns_who_listens_and_leaves_links_alone() {
    let cluster = Cluster::start(&[]).await;
    let address = |alive| SocketAddr::from(([127, 0, 0, 1], cluster.epmd.find(alive).unwrap()));
    let (prober, _events) = our_node(&cluster.epmd, "p@127.0.0.1").await;
    let probed = prober.probe(address("a")).await.unwrap();
    assert_eq!((probed.name, probed.hidden), (name("a@127.0.0.1"), false));
    let probed = prober.probe(address("m")).await.unwrap();
    assert_eq!((probed.name, probed.hidden), (name("m@127.0.0.1"), true));
    let own = prober.probe(address("p")).await.unwrap_err();
    assert_eq!(own.kind(), FailureKind::NotAllowed);
    // A node that is linked to us says alive, and keeps its link.
    let linked = cluster.node.probe(address("a")).await.unwrap_err();
    assert_eq!(linked.kind(), FailureKind::AlreadyLinked);
    let a = &cluster.a.name;
    assert_eq!(
        evaluate(&cluster.node, a, "nodes(hidden).").await,
        "['m@127.0.0.1']"
    );
    prober.connect(a, true).await.unwrap();
}
