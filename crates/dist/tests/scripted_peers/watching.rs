//! Peers that carry a watcher, or claim to.

use std::time::Duration;

use pgmesh_dist::{CallError, CallLimits, NodeEvent};
use pgmesh_testkit::{PeerConnection, eventually};

use crate::stage::{Stage, name, prove};

const LIMITS: CallLimits = CallLimits {
    time: Duration::from_secs(10),
    answer_bytes: 1024,
};
const SHORT: CallLimits = CallLimits {
    time: Duration::from_millis(100),
    answer_bytes: 1024,
};
/// Some process of the peer, and a reference of it.
const WATCHER: &[u8] = b"\x58\x77\x0epeer@127.0.0.1\0\0\0\x63\0\0\0\0\0\0\0\x09";
const REFERENCE: &[u8] = b"\x5a\0\x01\x77\x0epeer@127.0.0.1\0\0\0\x09\0\0\0\x07";

/// A peer after the handshake, and the call that asks it to spawn a watcher.
struct Watched {
    connection: PeerConnection,
    call: Vec<u8>,
}

impl Watched {
    async fn frame(connection: &mut PeerConnection) -> Vec<u8> {
        let len = connection.receive_raw(4).await.expect("the link is over");
        let len = u32::from_be_bytes(len.try_into().unwrap());
        connection.receive_raw(len as usize).await.unwrap()
    }

    async fn send(connection: &mut PeerConnection, parts: &[&[u8]]) {
        let body = [&[112, 131][..], &parts.concat()].concat();
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        connection.send_raw(&[&len[..], &body].concat()).await;
    }

    async fn asked(mut connection: PeerConnection) -> Self {
        let call = Self::frame(&mut connection).await;
        for word in ["rex", "spawn", "erl_eval", "monitor_nodes", "pgmesh_watch"] {
            assert!(!find(&call, word.as_bytes()).is_empty(), "no {word}");
        }
        Self { connection, call }
    }

    /// What follows the last of these bytes in the call, with them.
    fn last(&self, head: &[u8], len: usize) -> Vec<u8> {
        let at = *find(&self.call, head).last().unwrap();
        self.call[at..at + len].to_vec()
    }

    /// The pid that the watcher is to report to.
    fn me(&self) -> Vec<u8> {
        self.last(b"\x58\x77\x0bm@127.0.0.1", 14 + 12)
    }

    /// Sends a message to this pid of the node under test.
    async fn send_to(&mut self, pid: &[u8], message: &[u8]) {
        let control = [b"\x68\x03\x61\x02\x77\0", pid, &[131]].concat();
        Self::send(&mut self.connection, &[&control, message]).await;
    }

    /// Says that the watcher runs, as `rex` does.
    async fn spawned(&mut self) {
        let reference = self.last(b"\x5a\0\x03\x77\x0bm@127.0.0.1", 16 + 16);
        let caller = [
            &b"\x58\x77\x0bm@127.0.0.1\0\0\0\x01\0\0\0\0"[..],
            &self.me()[22..],
        ]
        .concat();
        self.send_to(&caller, &[&[104, 2], &reference[..], WATCHER].concat())
            .await;
    }

    async fn monitor(&mut self) {
        let me = self.me();
        Self::send(
            &mut self.connection,
            &[b"\x68\x04\x61\x13", WATCHER, &me, REFERENCE],
        )
        .await;
    }

    /// Expects the end of that monitor.
    async fn monitor_ends(&mut self) {
        let ended = Self::frame(&mut self.connection).await;
        let noproc = b"\x77\x06noproc";
        let parts = [
            b"\x70\x83\x68\x05\x61\x15",
            &self.me()[..],
            WATCHER,
            REFERENCE,
            noproc,
        ];
        assert_eq!(ended, parts.concat());
    }

    async fn says(&mut self, kind: &str, what: &[u8]) {
        let me = self.me();
        self.send_to(&me, &news(kind, what)).await;
    }

    /// What an honest watcher does first.
    async fn begin(&mut self, peers: &[&str]) {
        self.monitor().await;
        self.says("nodes", &list(peers)).await;
        self.spawned().await;
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(part.len()).enumerate();
    windows
        .filter(|(_, window)| *window == part)
        .map(|(at, _)| at)
        .collect()
}

fn atom(text: &str) -> Vec<u8> {
    [&[119, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn list(atoms: &[&str]) -> Vec<u8> {
    let count = u32::try_from(atoms.len()).unwrap().to_be_bytes();
    let atoms: Vec<u8> = atoms.iter().flat_map(|text| atom(text)).collect();
    [&[108][..], &count, &atoms, &[106]].concat()
}

fn news(kind: &str, what: &[u8]) -> Vec<u8> {
    [&[104, 3], &atom("pgmesh_watch")[..], &atom(kind), what].concat()
}

async fn linked(stage: &mut Stage, peer: &str) -> PeerConnection {
    let (mut connection, _) = stage.call_in(peer).await;
    prove(&mut connection).await;
    let event = stage.next_link_event().await;
    assert!(matches!(event, NodeEvent::LinkUp { .. }), "{event:?}");
    connection
}

/// A peer that is watched and has told of these nodes.
async fn watched(stage: &mut Stage, peer: &str, peers: &[&str]) -> Watched {
    let connection = linked(stage, peer).await;
    let peer_name = name(peer);
    let script = async {
        let mut watched = Watched::asked(connection).await;
        watched.begin(peers).await;
        watched
    };
    let (started, watched) = tokio::join!(stage.node.watch(&peer_name, LIMITS), script);
    started.unwrap();
    assert_eq!(
        next(stage).await,
        format!("{peer} has [{}]", peers.join(", "))
    );
    watched
}

/// The next event of a link, in short.
async fn next(stage: &mut Stage) -> String {
    match stage.next_link_event().await {
        NodeEvent::PeersSeen { name, peers, .. } => format!("{name} has {peers:?}"),
        NodeEvent::EdgeUp { name, peer, .. } => format!("{name} up {peer}"),
        NodeEvent::EdgeDown { name, peer, .. } => format!("{name} down {peer}"),
        NodeEvent::LinkUp { peer, .. } => format!("{} linked", peer.name),
        NodeEvent::LinkDown { name, .. } => format!("{name} gone"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn news_are_told_in_order_and_end_with_the_link() {
    let mut stage = Stage::set().await;
    let mut watched = watched(&mut stage, "peer@127.0.0.1", &["b@h", "c@h"]).await;
    watched.says("nodeup", &atom("d@h")).await;
    watched.says("nodedown", &atom("b@h")).await;
    watched.says("nodeup", &atom("b@h")).await;
    drop(watched);
    for expected in ["up d@h", "down b@h", "up b@h", "gone"] {
        assert_eq!(next(&mut stage).await, format!("peer@127.0.0.1 {expected}"));
    }
}

#[tokio::test]
async fn monitor_of_a_watch_is_kept_until_another_takes_its_place() {
    let mut stage = Stage::set().await;
    let mut first = watched(&mut stage, "peer@127.0.0.1", &[]).await;
    let peer = name("peer@127.0.0.1");
    let script = async {
        // The first frame since: no noproc came before.
        first.monitor_ends().await;
        let stale = first.me();
        let mut second = Watched::asked(first.connection).await;
        assert_ne!(second.me(), stale);
        // The older watcher is late, and another one later still.
        second
            .send_to(&stale, &news("nodes", &list(&["late@h"])))
            .await;
        second.begin(&["b@h"]).await;
        second
    };
    let (started, mut second) = tokio::join!(stage.node.watch(&peer, LIMITS), script);
    started.unwrap();
    assert_eq!(next(&mut stage).await, "peer@127.0.0.1 has [b@h]");
    assert_eq!(stage.node.counters().undelivered_messages, 1);
    second.says("nodeup", &atom("c@h")).await;
    assert_eq!(next(&mut stage).await, "peer@127.0.0.1 up c@h");
}

#[tokio::test]
async fn watch_that_is_ended_before_it_is_polled_asks_the_node_for_nothing() {
    let mut stage = Stage::set().await;
    let connection = linked(&mut stage, "peer@127.0.0.1").await;
    let peer = name("peer@127.0.0.1");
    let watching = stage.node.watch(&peer, LIMITS);
    stage.node.unwatch(&peer);
    assert!(matches!(watching.await, Err(CallError::LinkLost(of)) if of == peer));
    // The first that the peer is asked is the watcher that is wanted.
    let script = async {
        let mut watched = Watched::asked(connection).await;
        watched.begin(&["b@h"]).await;
        watched
    };
    let (started, _watched) = tokio::join!(stage.node.watch(&peer, LIMITS), script);
    started.unwrap();
    assert_eq!(next(&mut stage).await, "peer@127.0.0.1 has [b@h]");
}

#[tokio::test]
async fn watcher_that_comes_too_late_hears_that_nobody_waits() {
    let mut stage = Stage::set().await;
    let connection = linked(&mut stage, "peer@127.0.0.1").await;
    let peer = name("peer@127.0.0.1");
    let (started, mut late) =
        tokio::join!(stage.node.watch(&peer, SHORT), Watched::asked(connection));
    assert!(matches!(started, Err(CallError::Timeout(of)) if of == peer));
    late.monitor().await;
    late.monitor_ends().await;
    // A watcher that runs and tells nothing is none.
    let script = async {
        let mut silent = Watched::asked(late.connection).await;
        silent.monitor().await;
        silent.spawned().await;
        silent.monitor_ends().await;
        silent
    };
    let (started, silent) = tokio::join!(stage.node.watch(&peer, SHORT), script);
    assert!(matches!(started, Err(CallError::Timeout(_))));
    // Nor is one whose start failed.
    let script = async {
        let mut failing = Watched::asked(silent.connection).await;
        let badrpc = [&[104, 2], &atom("badrpc")[..], &atom("nodown")].concat();
        let reference = failing.last(b"\x5a\0\x03\x77\x0bm@127.0.0.1", 32);
        let caller = [
            &b"\x58\x77\x0bm@127.0.0.1\0\0\0\x01\0\0\0\0"[..],
            &failing.me()[22..],
        ]
        .concat();
        let answer = [&[104, 2], &reference[..], &badrpc].concat();
        failing.send_to(&caller, &answer).await;
        failing
    };
    let (started, _failing) = tokio::join!(stage.node.watch(&peer, LIMITS), script);
    let error = started.unwrap_err();
    assert_eq!(error.kind(), "failed");
    assert!(error.to_string().ends_with("'nodown'"), "{error}");
}

#[tokio::test]
async fn hostile_news_are_passed_over() {
    let mut stage = Stage::set().await;
    let mut honest = watched(&mut stage, "peer@127.0.0.1", &[]).await;
    let mut hostile = watched(&mut stage, "hostile@127.0.0.1", &[]).await;
    // In another's name, of another kind, twice, of names that are none, too much.
    let of_honest = honest.me();
    hostile
        .send_to(&of_honest, &news("nodeup", &atom("x@h")))
        .await;
    hostile.says("noise", &atom("x@h")).await;
    hostile.says("nodes", &list(&["x@h"])).await;
    hostile.says("nodeup", &atom("no name")).await;
    hostile.says("nodeup", &list(&["x@h"])).await;
    hostile.says("nodes", &list(&["x@h"; 10_001])).await;
    hostile.says("nodes", b"\x6c\xff\xff\xff\xff").await;
    let me = hostile.me();
    hostile.send_to(&me, &[104, 3, 255]).await;
    hostile.says("nodeup", &atom("y@h")).await;
    assert_eq!(next(&mut stage).await, "hostile@127.0.0.1 up y@h");
    let counters = stage.node.counters();
    assert_eq!(counters.undelivered_messages, 1);
    assert_eq!(
        (counters.unreadable_messages, counters.refused_names),
        (4, 2)
    );
    honest.says("nodeup", &atom("z@h")).await;
    assert_eq!(next(&mut stage).await, "peer@127.0.0.1 up z@h");
}

#[tokio::test]
async fn news_over_a_link_that_was_replaced_are_not_told() {
    let mut stage = Stage::set().await;
    let mut old = watched(&mut stage, "peer@127.0.0.1", &[]).await;
    let (mut new, _alive) = stage.call_in("peer@127.0.0.1").await;
    new.send(b"strue").await;
    prove(&mut new).await;
    assert_eq!(next(&mut stage).await, "peer@127.0.0.1 linked");
    let undelivered = || (stage.node.counters().undelivered_messages == 1).then_some(());
    // From the newer link, to the pid that the older link's watcher had.
    let me = old.me();
    let control = [b"\x68\x03\x61\x02\x77\0", &me[..], &[131]].concat();
    Watched::send(&mut new, &[&control, &news("nodeup", &atom("x@h"))]).await;
    eventually("the message came", undelivered).await;
    assert!(old.connection.receive_raw(1).await.is_none());
    drop(new);
    assert_eq!(next(&mut stage).await, "peer@127.0.0.1 gone");
}
