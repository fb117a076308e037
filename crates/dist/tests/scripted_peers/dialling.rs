//! Peers that we dial: every status, every lie, every silence.

use std::time::Duration;

use pgmesh_dist::{Cookie, Direction, FailureKind, Node, NodeConfig, NodeEvent, Step};
use pgmesh_name::{AllowList, PeerMap};
use pgmesh_testkit::{PeerConnection, ScriptedPeer, eventually};

use crate::stage::{
    HIDDEN, Stage, VISIBLE, accept_with, acknowledge, challenge_frame, name, status, with_name,
};

const LIMIT: Duration = Duration::from_secs(10);

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

/// What OTP's TLS sends when it hears a plain handshake: an alert, unexpected_message.
#[tokio::test]
async fn peer_that_speaks_tls_is_named() {
    let stage = Stage::set().await;
    let peer = name("peer@127.0.0.1");
    let script = async {
        let mut connection = stage.peer.accept().await;
        let _our_name = connection.receive().await.unwrap();
        connection.send_raw(&[21, 3, 3, 0, 2, 2, 10]).await;
        connection
    };
    let (dialled, _connection) = tokio::join!(stage.node.connect(&peer, false), script);
    let error = dialled.unwrap_err();
    assert_eq!(error.kind(), FailureKind::SpeaksTls, "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn node_without_a_name_takes_the_one_that_the_peer_gives_it() {
    let stage = Stage::set().await;
    let mut config = NodeConfig::new(name("any@127.0.0.1"), Cookie::new("secret"));
    config.epmd_port = stage.epmd.port();
    let (guest, _events) = Node::dynamic(config);
    let peer = name("peer@127.0.0.1");
    let script = async {
        let mut connection = nameless(&stage).await;
        name_it(&mut connection, "given@127.0.0.1", "peer@127.0.0.1").await;
        connection
    };
    assert_eq!(guest.name(), None);
    let (connected, _link) = tokio::join!(guest.connect(&peer, false), script);
    connected.unwrap();
    assert_eq!(guest.name(), Some(&name("given@127.0.0.1")));
    assert_eq!(guest.creation(), Some(8));
}

/// Each of two peers would give it a name. It has the first; the other one is dialled again.
#[tokio::test]
async fn node_without_a_name_has_one_however_many_it_dials_at_once() {
    let stage = Stage::set().await;
    stage.epmd.add("other", stage.peer.port());
    let mut config = NodeConfig::new(name("any@127.0.0.1"), Cookie::new("secret"));
    config.epmd_port = stage.epmd.port();
    let (guest, _events) = Node::dynamic(config);
    let (peer, other) = (name("peer@127.0.0.1"), name("other@127.0.0.1"));
    // One after the other, and the first has given no name yet.
    let (ask, asked) = tokio::sync::oneshot::channel();
    let second = async {
        asked.await.unwrap();
        guest.connect(&other, false).await
    };
    let script = async {
        let mut first = nameless(&stage).await;
        ask.send(()).unwrap();
        let mut second = nameless(&stage).await;
        name_it(&mut first, "first@127.0.0.1", "peer@127.0.0.1").await;
        eventually("it has a name", || guest.name().map(drop)).await;
        name_it(&mut second, "second@127.0.0.1", "other@127.0.0.1").await;
        assert_eq!(second.receive_raw(1).await, None, "it keeps the other name");
        let mut again = stage.peer.accept().await;
        let hello = again.receive().await.unwrap();
        assert!(hello.ends_with(b"first@127.0.0.1"));
        again.send(&status("ok")).await;
        let challenge = challenge_frame(VISIBLE, "other@127.0.0.1");
        again.send(&challenge).await;
        acknowledge(&mut again).await;
        (first, again)
    };
    let (connected, also, _links) = tokio::join!(guest.connect(&peer, false), second, script);
    connected.unwrap();
    also.unwrap();
    assert_eq!(guest.name(), Some(&name("first@127.0.0.1")));
    assert_eq!(guest.linked(), [other, peer]);
}

/// A dial of one that asks for a name.
async fn nameless(stage: &Stage) -> PeerConnection {
    let mut connection = stage.peer.accept().await;
    let first = connection.receive().await.unwrap();
    assert!(first.ends_with(b"\0\x09127.0.0.1"), "the host alone");
    let flags = u64::from_be_bytes(first[1..9].try_into().unwrap());
    assert_ne!(flags & (1 << 33), 0, "NAME_ME");
    connection
}

async fn name_it(connection: &mut PeerConnection, given: &str, by: &str) {
    let named = with_name(b"snamed:".to_vec(), given);
    connection.send(&[named, vec![0, 0, 0, 8]].concat()).await;
    connection.send(&challenge_frame(VISIBLE, by)).await;
    acknowledge(connection).await;
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
        config.allow = AllowList::parse(["10.0.0.0/8"]).unwrap();
    })
    .await;
    let dialled = stage.node.connect(&name("peer@127.0.0.1"), false).await;
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::AddressNotAllowed);
    stage.node.set_allow(AllowList::default());
    let nobody = name("nobody@127.0.0.1");
    let dialled = stage.node.connect(&nobody, false).await;
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::NameUnknown);
}

/// A name shows nothing of where its host's addresses lie.
#[tokio::test]
async fn host_is_judged_by_the_addresses_that_it_has() {
    let stage = Stage::set_with(|config| {
        config.name = name("m@localhost");
        config.allow = AllowList::parse(["10.0.0.0/8"]).unwrap();
    })
    .await;
    let peer = name("nobody@localhost");
    let dialled = stage.node.connect(&peer, false).await;
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::AddressNotAllowed);
    stage.node.set_allow(AllowList::default());
    let dialled = stage.node.connect(&peer, false).await;
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::NameUnknown);
}

#[tokio::test]
async fn no_digest_leaves_us_for_an_address_that_is_allowed_no_longer() {
    let stage = Stage::set().await;
    let peer = name("peer@127.0.0.1");
    let script = async {
        let mut connection = stage.peer.accept().await;
        let _our_name = connection.receive().await.unwrap();
        let elsewhere = AllowList::parse(["10.0.0.0/8"]).unwrap();
        stage.node.set_allow(elsewhere);
        connection.send(&status("ok")).await;
        let challenge = challenge_frame(VISIBLE, "peer@127.0.0.1");
        connection.send(&challenge).await;
        connection.receive().await
    };
    let (dialled, answer) = tokio::join!(stage.node.connect(&peer, false), script);
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::AddressNotAllowed);
    assert_eq!(answer, None, "something was sent after the challenge");
}

/// Neither DNS nor EPMD knows these.
#[tokio::test]
async fn peer_whose_place_is_known_is_dialled_there() {
    let stage = Stage::set().await;
    let port = stage.peer.port();
    let mut peers = PeerMap::default();
    for entry in [
        format!("a@host.invalid=127.0.0.1:{port}"),
        format!("b@127.0.0.1={port}"),
        format!("c@host.invalid=8.8.8.8:{port}"),
    ] {
        peers.add(&entry).unwrap();
    }
    stage.node.set_peers(peers);
    for peer in ["a@host.invalid", "b@127.0.0.1"] {
        let script = async {
            let mut connection = stage.peer.accept().await;
            let _our_name = connection.receive().await.unwrap();
            connection.send(&status("ok")).await;
            let challenge = challenge_frame(VISIBLE, peer);
            connection.send(&challenge).await;
            acknowledge(&mut connection).await;
            connection
        };
        let peer = name(peer);
        let (dialled, _link) = tokio::join!(stage.node.connect(&peer, false), script);
        dialled.unwrap();
    }
    let public = stage.node.connect(&name("c@host.invalid"), false).await;
    assert_eq!(public.unwrap_err().kind(), FailureKind::AddressNotAllowed);
}

#[tokio::test]
async fn nobody_of_our_host_is_looked_for_at_our_own_port() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let stage = Stage::set_with(|config| {
        config.listen = listen.into();
        config.peer_port = Some(listen.port());
    })
    .await;
    let peer = name("peer@127.0.0.1");
    let dialled = stage.node.connect(&peer, false).await;
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::NameMismatch);
    // Where it has an address of its own, that port is another's.
    let mut peers = PeerMap::default();
    peers
        .add(&format!("{peer}=127.0.0.9:{}", listen.port()))
        .unwrap();
    stage.node.set_peers(peers);
    let dialled = stage.node.connect(&peer, false).await;
    assert_eq!(dialled.unwrap_err().kind(), FailureKind::Refused);
}

/// As within a task that sends in a `select!` and then sends again.
#[tokio::test]
async fn dial_goes_on_and_ends_while_nobody_polls_its_caller() {
    for says in ["ok", "not_allowed"] {
        let stage = Stage::set_with(|config| config.setup_timeout = LIMIT).await;
        let peer = name("peer@127.0.0.1");
        let mut first = std::pin::pin!(stage.node.connect(&peer, false));
        tokio::select! {
            biased;
            dialled = &mut first => panic!("over: {dialled:?}"),
            () = std::future::ready(()) => {}
        }
        let script = async {
            if says != "ok" {
                let mut refused = stage.peer.accept().await;
                refused.receive().await.unwrap();
                refused.send(&status(says)).await;
            }
            accept_with(&stage, status("ok"), None).await
        };
        let both = async { tokio::join!(stage.node.connect(&peer, false), script) };
        let (connected, _link) = tokio::time::timeout(LIMIT, both).await.expect(says);
        connected.unwrap();
    }
}

/// What carries a link is what the node was started on, not what its caller runs on.
#[test]
fn link_outlives_the_runtime_that_dialled() {
    let carrying = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let passing = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stage = carrying.block_on(Stage::set());
    let (node, peer) = (stage.node.clone(), name("peer@127.0.0.1"));
    let script = carrying.spawn(async move {
        let link = accept_with(&stage, status("ok"), None).await;
        (stage, link)
    });
    passing.block_on(node.connect(&peer, false)).unwrap();
    drop(passing);
    carrying.block_on(async {
        let (_stage, mut link) = script.await.unwrap();
        let mailbox = node.mailbox().unwrap();
        let hello = pgmesh_dist::terms::Term::from(eetf::Atom::from("hello"));
        mailbox.send(("any", &peer), &hello).await.unwrap();
        let length = tokio::time::timeout(LIMIT, link.receive_raw(4)).await;
        assert!(length.expect("nothing is sent").is_some(), "it is closed");
    });
}

#[tokio::test]
async fn cancelled_dial_leaves_no_trace() {
    let stage = Stage::set_with(|config| config.setup_timeout = Duration::from_secs(60)).await;
    let peer = name("peer@127.0.0.1");
    let said_name = async {
        let mut connection = stage.peer.accept().await;
        connection.receive().await.unwrap();
        connection
    };
    let mut connection = tokio::select! {
        dialled = stage.node.connect(&peer, false) => panic!("over: {dialled:?}"),
        connection = said_name => connection,
    };
    assert_eq!(connection.receive().await, None, "and then the end");
    let (connected, _link) = tokio::join!(
        stage.node.connect(&peer, false),
        accept_with(&stage, status("ok"), None)
    );
    connected.unwrap();
}
