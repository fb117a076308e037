//! Who is linked to whom, and mending it.

use std::net::SocketAddr;
use std::slice;

use pgmesh_dist::{Introduced, Node, NodeEvent, NodeEvents};
use pgmesh_name::NodeName;

use crate::beam::{Beam, LIMITS, evaluate, name, our_node};
use crate::place::{self, Place, unplaced};

/// A node of ours and two of OTP's, which it is linked to.
struct Cluster {
    epmd: Place,
    node: Node,
    events: NodeEvents,
    a: Beam,
    b: Beam,
}

impl Cluster {
    async fn start(flags: &[&str]) -> Self {
        let epmd = Place::start().await;
        let (node, events) = our_node(&epmd, "m@host").await;
        let (a, b) = tokio::join!(
            Beam::start(&epmd, "a@host", flags),
            Beam::start(&epmd, "b@host", flags)
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
            let news = match event.await.expect("no news in time").unwrap() {
                NodeEvent::PeersSeen { name, peers, .. } => format!("{name} has {peers:?}"),
                NodeEvent::EdgeUp { name, peer, .. } => format!("{name} up {peer}"),
                NodeEvent::EdgeDown { name, peer, .. } => format!("{name} down {peer}"),
                _ => continue,
            };
            return unplaced(&news);
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

#[tokio::test]
async fn watched_nodes_tell_of_every_change_and_are_mended() {
    let mut cluster = Cluster::start(&[]).await;
    let (a, b) = (cluster.a.name.clone(), cluster.b.name.clone());
    cluster.node.watch(&a, LIMITS).await.unwrap();
    assert_eq!(cluster.next_news().await, "a@host has []");
    assert_eq!(cluster.introduce().await, Introduced::Connected);
    assert_eq!(cluster.next_news().await, "a@host up b@host");
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
    assert_eq!(cluster.next_news().await, "a@host down b@host");
    let node = &cluster.node;
    assert!(!node.disconnect_at(&b, &a, LIMITS).await.unwrap());
    assert!(!node.mesh_intent(&a, LIMITS.time).await.unwrap().partial);
    // Hidden nodes are no edges, ours among them.
    let (other, _events) = our_node(&cluster.epmd, "other@host").await;
    other.connect(&a, true).await.unwrap();
    assert_eq!(cluster.introduce().await, Introduced::Connected);
    assert_eq!(cluster.next_news().await, "a@host up b@host");
}

#[tokio::test]
async fn one_watcher_is_left_by_two_calls_and_none_without_us() {
    // Without ssl in its boot script a node in that mode does not start over TLS.
    let mode = if place::is_tls() {
        "interactive"
    } else {
        "embedded"
    };
    let mut cluster = Cluster::start(&["-mode", mode]).await;
    let a = cluster.a.name.clone();
    let (onlooker, _events) = our_node(&cluster.epmd, "onlooker@host").await;
    onlooker.connect(&a, true).await.unwrap();
    assert_eq!(watchers(&onlooker, &a).await, 0);
    for _ in 0..3 {
        cluster.node.watch(&a, LIMITS).await.unwrap();
        assert_eq!(cluster.next_news().await, "a@host has []");
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
    let nobody = name("nobody@host");
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
        let epmd = Place::start().await;
        let (node, _events) = our_node(&epmd, "m@host").await;
        let beam = Beam::start(&epmd, "a@host", flags).await;
        node.connect(&beam.name, true).await.unwrap();
        let intent = node.mesh_intent(&beam.name, LIMITS.time).await.unwrap();
        assert!(intent.partial, "{flags:?}");
    }
}

#[tokio::test]
async fn probe_learns_who_listens_and_leaves_links_alone() {
    let cluster = Cluster::start(&[]).await;
    let address = |alive| SocketAddr::from((place::address(), cluster.epmd.find(alive).unwrap()));
    let (prober, _events) = our_node(&cluster.epmd, "p@host").await;
    let probed = prober.probe(address("a")).await.unwrap();
    assert_eq!((probed.name, probed.hidden), (name("a@host"), false));
    let probed = prober.probe(address("m")).await.unwrap();
    assert_eq!((probed.name, probed.hidden), (name("m@host"), true));
    let probed = prober.probe(address("p")).await.unwrap();
    assert_eq!(probed.name, name("p@host"));
    // A node that is linked to us answers as any other, and keeps its link.
    let probed = cluster.node.probe(address("a")).await.unwrap();
    assert_eq!(probed.name, name("a@host"));
    let a = &cluster.a.name;
    assert_eq!(
        evaluate(&cluster.node, a, "nodes(hidden).").await,
        "['m@host']"
    );
    prober.connect(a, true).await.unwrap();
}
