//! A node against peers that say every status, stop at every step, or lie.

// The lint table is for what ships; clippy.toml spares #[test] functions, and
// this spares what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use pgmesh_dist::{
    ConnectError, Cookie, Direction, FailureKind, Node, NodeConfig, NodeEvent, NodeEvents, Step,
};
use pgmesh_name::NodeName;
use pgmesh_testkit::{PeerConnection, ScratchEpmd, ScriptedPeer, eventually};

/// The flags of a visible OTP 27 node.
const VISIBLE: u64 = 0xd_07df_7fbd;
const HIDDEN: u64 = VISIBLE & !1;

struct Stage {
    epmd: ScratchEpmd,
    peer: ScriptedPeer,
    node: Node,
    events: NodeEvents,
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

impl Stage {
    /// A node `m@127.0.0.1`, and a peer that EPMD knows as `peer`.
    async fn set() -> Self {
        Self::set_with(|_| ()).await
    }

    async fn set_with(change: impl FnOnce(&mut NodeConfig)) -> Self {
        let epmd = ScratchEpmd::start().await;
        let peer = ScriptedPeer::start().await;
        epmd.add("peer", peer.port());
        let mut config = NodeConfig::new(name("m@127.0.0.1"), Cookie::new("secret"));
        config.epmd_port = epmd.port();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.setup_timeout = Duration::from_millis(300);
        change(&mut config);
        let (node, events) = Node::start(config).await.unwrap();
        Self {
            epmd,
            peer,
            node,
            events,
        }
    }

    /// Dials `peer@127.0.0.1`, which says this after our name.
    async fn dial(&self, says: &[Vec<u8>]) -> (Result<(), ConnectError>, PeerConnection) {
        let peer = name("peer@127.0.0.1");
        let script = async {
            let mut connection = self.peer.accept().await;
            let _our_name = connection.receive().await.unwrap();
            for frame in says {
                connection.send(frame).await;
            }
            connection
        };
        tokio::join!(self.node.connect(&peer, false), script)
    }

    async fn dial_kind(&self, says: &[Vec<u8>]) -> FailureKind {
        self.dial(says).await.0.unwrap_err().kind()
    }

    /// Connects to the node as somebody of this name; returns its first answer.
    async fn call_in(&self, from: &str) -> (PeerConnection, Option<Vec<u8>>) {
        let port = self.epmd.find("m").unwrap();
        let mut connection = PeerConnection::open(port).await;
        connection.send(&name_frame(VISIBLE, 9, from)).await;
        let status = connection.receive().await;
        (connection, status)
    }

    async fn next_link_event(&mut self) -> NodeEvent {
        loop {
            match self.events.recv().await.unwrap() {
                NodeEvent::Registered
                | NodeEvent::Unregistered
                | NodeEvent::CookieRejected { .. } => {}
                event => return event,
            }
        }
    }
}

fn status(text: &str) -> Vec<u8> {
    format!("s{text}").into_bytes()
}

fn with_name(head: Vec<u8>, text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap().to_be_bytes();
    [head, len.to_vec(), text.as_bytes().to_vec()].concat()
}

fn name_frame(flags: u64, creation: u32, text: &str) -> Vec<u8> {
    let head = [&b"N"[..], &flags.to_be_bytes(), &creation.to_be_bytes()];
    with_name(head.concat(), text)
}

fn challenge_frame(flags: u64, text: &str) -> Vec<u8> {
    let head = [
        &b"N"[..],
        &flags.to_be_bytes(),
        &[0, 0, 0, 1],
        &[0, 0, 0, 5],
    ];
    with_name(head.concat(), text)
}

fn digest(cookie: &str, challenge: u32) -> [u8; 16] {
    use md5::{Digest as _, Md5};
    Md5::digest(format!("{cookie}{challenge}")).into()
}

/// Reads our challenge reply, checks our digest, and sends the right one.
async fn acknowledge(connection: &mut PeerConnection) {
    let reply = connection.receive().await.unwrap();
    assert_eq!(reply[0], b'r');
    assert_eq!(reply[5..], digest("secret", 1));
    let challenge = u32::from_be_bytes(reply[1..5].try_into().unwrap());
    let ack = [&b"a"[..], &digest("secret", challenge)].concat();
    connection.send(&ack).await;
}

/// Plays an honest acceptor behind this status.
async fn accept_with(stage: &Stage, first: Vec<u8>, wants: Option<&[u8]>) -> PeerConnection {
    let mut connection = stage.peer.accept().await;
    let our_name = connection.receive().await.unwrap();
    assert!(our_name.ends_with(b"m@127.0.0.1"));
    connection.send(&first).await;
    if let Some(wanted) = wants {
        assert_eq!(connection.receive().await.unwrap(), wanted);
    }
    let challenge = challenge_frame(VISIBLE, "peer@127.0.0.1");
    connection.send(&challenge).await;
    acknowledge(&mut connection).await;
    connection
}

#[tokio::test]
async fn dial_goes_through_with_every_status_that_allows_it() {
    let statuses: [(&str, Option<&[u8]>); 3] = [
        ("ok", None),
        ("ok_simultaneous", None),
        ("alive", Some(b"strue")),
    ];
    for (said, wants) in statuses {
        let mut stage = Stage::set().await;
        let peer = name("peer@127.0.0.1");
        let dial = stage.node.connect(&peer, false);
        let (dialled, _link) = tokio::join!(dial, accept_with(&stage, status(said), wants));
        dialled.unwrap_or_else(|error| panic!("{said}: {error}"));
        let NodeEvent::LinkUp { peer, .. } = stage.next_link_event().await else {
            panic!("no link after {said}");
        };
        assert_eq!(peer.name, name("peer@127.0.0.1"));
        assert_eq!((peer.creation, peer.hidden), (5, false));
        assert_eq!(peer.direction, Direction::Initiator);
    }
}

#[tokio::test]
async fn node_without_a_name_takes_the_one_that_the_peer_gives_it() {
    let stage = Stage::set().await;
    let mut config = NodeConfig::new(name("any@127.0.0.1"), Cookie::new("secret"));
    config.epmd_port = stage.epmd.port();
    let (guest, _events) = Node::dynamic(config);
    let peer = name("peer@127.0.0.1");
    let script = async {
        let mut connection = stage.peer.accept().await;
        let first = connection.receive().await.unwrap();
        assert!(first.ends_with(b"\0\x09127.0.0.1"), "the host alone");
        let flags = u64::from_be_bytes(first[1..9].try_into().unwrap());
        assert_ne!(flags & (1 << 33), 0, "NAME_ME");
        let named = with_name(b"snamed:".to_vec(), "given@127.0.0.1");
        connection.send(&[named, vec![0, 0, 0, 8]].concat()).await;
        let challenge = challenge_frame(VISIBLE, "peer@127.0.0.1");
        connection.send(&challenge).await;
        acknowledge(&mut connection).await;
        connection
    };
    assert_eq!(guest.name(), None);
    let (connected, _link) = tokio::join!(guest.connect(&peer, false), script);
    connected.unwrap();
    assert_eq!(guest.name(), Some(&name("given@127.0.0.1")));
    assert_eq!(guest.creation(), Some(8));
}

#[tokio::test]
async fn dial_fails_with_every_status_that_refuses_it() {
    let stage = Stage::set().await;
    assert_eq!(
        stage.dial_kind(&[status("not_allowed")]).await,
        FailureKind::NotAllowed
    );
    assert_eq!(
        stage.dial_kind(&[status("nok")]).await,
        FailureKind::Simultaneous
    );
    assert_eq!(
        stage.dial_kind(&[status("nonsense")]).await,
        FailureKind::Malformed
    );
    let named = with_name(b"snamed:".to_vec(), "x@127.0.0.1");
    assert_eq!(
        stage.dial_kind(&[named]).await,
        FailureKind::Malformed,
        "not asked for"
    );
}

#[tokio::test]
async fn no_digest_leaves_us_for_a_peer_that_is_not_meant() {
    let stage = Stage::set().await;
    let lies = [
        (
            challenge_frame(VISIBLE, "other@127.0.0.1"),
            FailureKind::NameMismatch,
        ),
        (
            challenge_frame(HIDDEN, "peer@127.0.0.1"),
            FailureKind::NotPublic,
        ),
        (challenge_frame(1, "peer@127.0.0.1"), FailureKind::Flags),
        (b"Nshort".to_vec(), FailureKind::Malformed),
    ];
    for (challenge, kind) in lies {
        let (dialled, mut connection) = stage.dial(&[status("ok"), challenge]).await;
        assert_eq!(dialled.unwrap_err().kind(), kind);
        assert_eq!(
            connection.receive().await,
            None,
            "{kind:?}: something was sent"
        );
    }
}

#[tokio::test]
async fn wrong_cookies_are_told_apart_by_who_rejects() {
    let stage = Stage::set().await;
    let says = [status("ok"), challenge_frame(VISIBLE, "peer@127.0.0.1")];
    let peer = name("peer@127.0.0.1");
    let rejects_ours = async {
        let mut connection = stage.peer.accept().await;
        connection.receive().await.unwrap();
        for frame in &says {
            connection.send(frame).await;
        }
        connection.receive().await.unwrap();
    };
    let (dialled, ()) = tokio::join!(stage.node.connect(&peer, false), rejects_ours);
    let error = dialled.unwrap_err();
    assert_eq!(error.kind(), FailureKind::CookieRejectedByPeer);
    let expected = "cannot dial peer@127.0.0.1: cookie rejected by peer@127.0.0.1 \
                    (check --cookie-file)";
    assert_eq!(error.to_string(), expected);
    let has_another = [&says[..], &[[b'a'; 17].to_vec()]].concat();
    assert_eq!(
        stage.dial_kind(&has_another).await,
        FailureKind::CookieRejectedByUs
    );
}

#[tokio::test]
async fn each_silent_step_has_its_name() {
    let stage = Stage::set().await;
    let challenge = challenge_frame(VISIBLE, "peer@127.0.0.1");
    let steps = [
        (vec![], Step::Status),
        (vec![status("ok")], Step::Challenge),
        (vec![status("ok"), challenge], Step::ChallengeAck),
    ];
    for (says, step) in steps {
        assert_eq!(stage.dial_kind(&says).await, FailureKind::Timeout(step));
    }
}

#[tokio::test]
async fn silent_epmd_and_unknown_name_cost_one_dial() {
    let stage = Stage::set().await;
    let unknown = stage.node.connect(&name("nosuch@127.0.0.1"), false).await;
    assert_eq!(unknown.unwrap_err().kind(), FailureKind::NameUnknown);
    let silent = ScriptedPeer::start().await;
    let port = silent.port();
    let stage = Stage::set_with(|config| config.epmd_port = port).await;
    let dialled = stage.node.connect(&name("peer@127.0.0.1"), false).await;
    assert_eq!(
        dialled.unwrap_err().kind(),
        FailureKind::Timeout(Step::Epmd)
    );
}

#[tokio::test]
async fn short_name_is_not_dialled_by_a_long_one() {
    let stage = Stage::set().await;
    let error = stage
        .node
        .connect(&name("peer@localhost"), false)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), FailureKind::LongShortNames);
    assert!(
        error
            .to_string()
            .contains("our name is long and its name short"),
        "{error}"
    );
}

#[tokio::test]
async fn address_that_is_not_allowed_is_not_connected_to() {
    let stage = Stage::set_with(|config| {
        config.allow = pgmesh_name::AllowList::parse(["10.0.0.0/8"]).unwrap();
    })
    .await;
    let dialled = stage.node.connect(&name("peer@127.0.0.1"), false).await;
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::AddressNotAllowed);
}

#[tokio::test]
async fn oversized_handshake_frame_is_refused_before_it_arrives() {
    let patient = Duration::from_secs(60);
    let stage = Stage::set_with(|config| config.setup_timeout = patient).await;
    let port = stage.epmd.find("m").unwrap();
    let mut connection = PeerConnection::open(port).await;
    connection.send_raw(&[255, 255, b'N']).await;
    let closed = tokio::time::timeout(patient / 6, connection.receive()).await;
    assert_eq!(closed.expect("still open"), None);
}

/// Whoever merely claims a name must not keep us from dialling its owner.
#[tokio::test]
async fn claims_of_a_name_do_not_keep_us_from_dialling_it() {
    let mut stage = Stage::set_with(|config| config.setup_timeout = Duration::from_secs(60)).await;
    stage.epmd.add("z", stage.peer.port());
    let z = name("z@127.0.0.1");
    let script = async {
        let mut first = stage.peer.accept().await;
        let _our_name = first.receive().await.unwrap();
        let (claim, said) = stage.call_in("z@127.0.0.1").await;
        assert_eq!(said.unwrap(), status("ok_simultaneous"));
        drop(claim);
        // Our next dial gives way to nobody.
        let mut second = stage.peer.accept().await;
        let _our_name = second.receive().await.unwrap();
        for _ in 0..5 {
            let (_claim, said) = stage.call_in("z@127.0.0.1").await;
            assert_eq!(said.unwrap(), status("nok"));
        }
        second.send(&status("ok")).await;
        second.send(&challenge_frame(VISIBLE, "z@127.0.0.1")).await;
        acknowledge(&mut second).await;
        second
    };
    let (connected, _link) = tokio::join!(stage.node.connect(&z, false), script);
    connected.unwrap();
    assert!(matches!(
        stage.next_link_event().await,
        NodeEvent::LinkUp { .. }
    ));
}

#[tokio::test]
async fn linked_peer_that_dials_again_is_told_alive_and_taken_when_proven() {
    let mut stage = Stage::set().await;
    let (mut first, said) = stage.call_in("peer@127.0.0.1").await;
    assert_eq!(said.unwrap(), status("ok"));
    prove(&mut first).await;
    let NodeEvent::LinkUp { link: old, .. } = stage.next_link_event().await else {
        panic!("no first link");
    };
    // A wrong digest leaves the old link alone.
    let (mut wrong, said) = stage.call_in("peer@127.0.0.1").await;
    assert_eq!(said.unwrap(), status("alive"));
    wrong.send(b"strue").await;
    let _challenge = wrong.receive().await.unwrap();
    wrong.send(&[b'r'; 21]).await;
    assert_eq!(wrong.receive().await, None);
    // So does giving way.
    let (mut gives_way, _) = stage.call_in("peer@127.0.0.1").await;
    gives_way.send(b"sfalse").await;
    assert_eq!(gives_way.receive().await, None);
    // The right one takes its place, and the old one is closed.
    let (mut second, _) = stage.call_in("peer@127.0.0.1").await;
    second.send(b"strue").await;
    prove(&mut second).await;
    let NodeEvent::LinkUp { link: new, .. } = stage.next_link_event().await else {
        panic!("the old link's end was told");
    };
    assert_ne!(old, new);
    assert_eq!(first.receive().await, None);
}

/// Answers the node's challenge as a dialler that has the cookie.
async fn prove(connection: &mut PeerConnection) {
    let challenge = connection.receive().await.unwrap();
    let theirs = u32::from_be_bytes(challenge[9..13].try_into().unwrap());
    let reply = [&b"r\0\0\0\x02"[..], &digest("secret", theirs)].concat();
    connection.send(&reply).await;
    let ack = connection.receive().await.unwrap();
    assert_eq!(ack[1..], digest("secret", 2));
}

#[tokio::test]
async fn our_own_name_is_refused() {
    let stage = Stage::set().await;
    let (mut connection, said) = stage.call_in("m@127.0.0.1").await;
    assert_eq!(said.unwrap(), status("not_allowed"));
    assert_eq!(connection.receive().await, None);
}

#[tokio::test]
async fn simultaneous_connect_is_settled_by_the_greater_name() {
    // Ours is "m@…": "z@…" wins against it, "a@…" loses.
    for (peer_name, says) in [("z@127.0.0.1", "ok_simultaneous"), ("a@127.0.0.1", "nok")] {
        let stage = Stage::set().await;
        let (alive, _) = peer_name.split_once('@').unwrap();
        stage.epmd.add(alive, stage.peer.port());
        let peer = name(peer_name);
        let script = async {
            let mut dialled = stage.peer.accept().await;
            let _our_name = dialled.receive().await.unwrap();
            // Our dial is under way; now the peer's own arrives.
            let (mut own, said) = stage.call_in(peer_name).await;
            assert_eq!(said.unwrap(), status(says));
            if says == "nok" {
                dialled.send(&status("ok_simultaneous")).await;
                dialled.send(&challenge_frame(VISIBLE, peer_name)).await;
                acknowledge(&mut dialled).await;
            } else {
                dialled.send(&status("nok")).await;
                prove(&mut own).await;
            }
            (own, dialled)
        };
        let (connected, _open) = tokio::join!(stage.node.connect(&peer, false), script);
        connected.unwrap_or_else(|error| panic!("{peer_name}: {error}"));
    }
}

#[tokio::test]
async fn silent_link_is_ticked_and_then_dropped() {
    let mut stage = Stage::set_with(|config| {
        config.net_ticktime = Duration::from_millis(400);
    })
    .await;
    let (mut connection, _) = stage.call_in("peer@127.0.0.1").await;
    prove(&mut connection).await;
    let NodeEvent::LinkUp { .. } = stage.next_link_event().await else {
        panic!("no link");
    };
    assert_eq!(connection.receive_raw(4).await.unwrap(), [0; 4], "a tick");
    // As long as something comes the link stays.
    for _ in 0..8 {
        connection.send_raw(&[0; 4]).await;
        assert_eq!(connection.receive_raw(4).await.unwrap(), [0; 4]);
    }
    let NodeEvent::LinkDown { error, .. } = stage.next_link_event().await else {
        panic!("the silent link is still up");
    };
    assert_eq!(error.kind(), FailureKind::TickTimeout);
}

#[tokio::test]
async fn frames_that_lie_about_their_length_end_the_link_alone() {
    let mut stage = Stage::set().await;
    let (mut healthy, _) = stage.call_in("healthy@127.0.0.1").await;
    prove(&mut healthy).await;
    let (mut hostile, _) = stage.call_in("hostile@127.0.0.1").await;
    prove(&mut hostile).await;
    for _ in 0..2 {
        stage.next_link_event().await;
    }
    // Garbage inside a frame is passed over.
    hostile.send_raw(&[0, 0, 0, 3, 112, 131, 68]).await;
    hostile.send_raw(&[255, 255, 255, 255]).await;
    let NodeEvent::LinkDown {
        name: ended, error, ..
    } = stage.next_link_event().await
    else {
        panic!("the hostile link is still up");
    };
    assert_eq!(
        (ended, error.kind()),
        (name("hostile@127.0.0.1"), FailureKind::FrameTooLarge)
    );
    assert_eq!(stage.node.counters().unreadable_messages, 1);
    // The healthy one still answers: a monitor of nobody fires.
    let pid = b"\x58\x77\x09h@1.1.1.1\0\0\0\x01\0\0\0\0\0\0\0\x05";
    let control = [&[112, 131, 104, 4, 97, 19][..], pid, b"\x77\x01x", &[97, 1]].concat();
    let len = u32::try_from(control.len()).unwrap().to_be_bytes();
    healthy.send_raw(&[&len[..], &control].concat()).await;
    let answer = healthy.receive_raw(4 + 6).await.unwrap();
    assert_eq!(answer[4..], [112, 131, 104, 5, 97, 21]);
}

#[tokio::test]
async fn cancelled_dial_leaves_no_trace() {
    let stage = Stage::set().await;
    let peer = name("peer@127.0.0.1");
    let dial = stage.node.connect(&peer, false);
    let dial = tokio::time::timeout(Duration::from_millis(50), dial);
    let (outcome, mut connection) = tokio::join!(dial, stage.peer.accept());
    assert!(outcome.is_err(), "the peer said nothing");
    assert!(connection.receive().await.is_some(), "our name");
    assert_eq!(connection.receive().await, None, "and then the end");
    let (connected, _link) = tokio::join!(
        stage.node.connect(&peer, false),
        accept_with(&stage, status("ok"), None)
    );
    connected.unwrap();
}

#[tokio::test]
async fn stopped_node_closes_its_links_and_leaves_epmd() {
    let mut stage = Stage::set().await;
    let (mut connection, _) = stage.call_in("peer@127.0.0.1").await;
    prove(&mut connection).await;
    stage.next_link_event().await;
    stage.node.stop();
    assert_eq!(connection.receive().await, None);
    eventually("the name is gone", || {
        stage.epmd.find("m").is_none().then_some(())
    })
    .await;
}
